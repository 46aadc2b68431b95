// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import MailingModel
import MasterCore
import RecordFormat

/// A line of an import that is refused.
struct ImportRefusal: Sendable, Hashable {
    /// The line, from 1.
    var line: Int
    /// The field of a CSV, or the byte of a JSON line, from 1; `nil` if that says nothing.
    var column: Int?
    /// The reason, for programs.
    var code: String
    /// The reason, for people.
    var text: String
    /// The record itself, as it was written; `nil` if it is not kept.
    var row: String? = nil
}

/// A line of an import: a recipient to add, or a refusal.
enum ImportLine: Sendable {
    case recipient(ImportedRecipient)
    case refused(ImportRefusal)
}

/// Reads recipients from the pieces of an import's body.
protocol RecipientSource: Sendable {
    /// Lines read so far.
    var lines: Int { get }
    /// The CSV's columns that errors of a recipient point to; `nil` if there are none.
    var columns: (email: Int, trackingID: Int?)? { get }
    /// Takes in a piece of the body.
    mutating func feed(_ bytes: [UInt8]) throws
    /// Ends the input.
    mutating func finish() throws
    /// The next line that isn't empty; `nil` if more input is needed, or at the end.
    mutating func next() throws -> ImportLine?
    /// Appends the record of the line that ``next()`` returned last, as it was written; to be called before more is fed.
    func appendRow(to rows: inout [UInt8])
}

// MARK: - JSON lines

/// Recipients as JSON objects, one a line, with the names that `add_recipients` has.
struct NDJSONRecipients: RecipientSource {
    private var reader = NDJSONReader()
    private var hasBegun = false

    var lines: Int { self.reader.lines }
    var columns: (email: Int, trackingID: Int?)? { nil }
    func appendRow(to rows: inout [UInt8]) { rows += self.reader.recordText }

    mutating func feed(_ bytes: [UInt8]) throws {
        try self.check(bytes)
        self.reader.feed(bytes)
    }

    mutating func finish() throws { self.reader.finish() }

    /// Refuses a body whose first byte shows that it is no JSON line at all, rather than line by line.
    private mutating func check(_ bytes: [UInt8]) throws {
        guard !self.hasBegun, let first = bytes.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) else {
            return
        }
        self.hasBegun = true
        guard first == UInt8(ascii: "{") || first == 0xEF else {
            let isArray = first == UInt8(ascii: "[")
            throw APIRefusal(
                .badRequest,
                "bad_body",
                "the body is not JSON lines: it does not begin with `{`"
                    + (isArray ? "; write one object a line, without brackets around them" : "")
            )
        }
    }

    mutating func next() throws -> ImportLine? {
        switch try self.reader.next() {
        case .record:
            let line = self.reader.recordLine
            do {
                return .recipient(.init(line: line, try RecipientRecord.submission(self.reader.members)))
            } catch {
                return .refused(.init(line: line, column: nil, code: error.code, text: error.reason))
            }
        case .refused(let error): return .refused(ImportRefusal(error))
        case .needsInput, .end: return nil
        }
    }
}

extension ImportRefusal {
    init(_ error: RecordError) {
        self.init(line: error.line, column: error.column, code: error.code.rawValue, text: error.message)
    }
}
