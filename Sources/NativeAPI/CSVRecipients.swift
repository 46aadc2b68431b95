// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import MailingModel
import MasterCore
import RecordFormat

/// Recipients as the records of a CSV: `email`, `tracking_id`, and a merge field of every other column.
struct CSVRecipients: RecipientSource {
    private enum Column: Sendable, Equatable {
        case email, trackingID, field(String)
        /// A column without a name in the header.
        case nameless
    }

    /// The names of the address column, in order of preference; any other column with one of them is a merge field.
    private static let emailNames = ["email", "e-mail", "address"]

    private let encoding: TextEncoding?
    private let hasHeader: Bool?
    /// The beginning of the body, kept until the dialect is recognised.
    private var beginning: [UInt8] = []
    private var reader: CSVReader?
    private var layout: [Column]?
    private var emailIndex = 0
    private var trackingIndex: Int?
    private var firstIsHeader = true
    private var isFinished = false

    init(encoding: TextEncoding?, hasHeader: Bool?) {
        self.encoding = encoding
        self.hasHeader = hasHeader
    }

    var lines: Int { self.reader?.lines ?? 0 }

    func appendRow(to rows: inout [UInt8]) { self.reader?.appendRecord(to: &rows) }

    var columns: (email: Int, trackingID: Int?)? {
        self.layout == nil ? nil : (self.emailIndex + 1, self.trackingIndex.map { $0 + 1 })
    }

    mutating func feed(_ bytes: [UInt8]) throws {
        guard self.reader == nil else {
            self.reader?.feed(bytes)
            return
        }
        self.beginning += bytes
        if self.beginning.count >= CSVDialect.detectionBytes { try self.begin() }
    }

    mutating func finish() throws {
        self.isFinished = true
        if self.reader == nil { try self.begin() }
        self.reader?.finish()
    }

    private mutating func begin() throws {
        let dialect = CSVDialect(detecting: self.beginning, isWhole: self.isFinished, encoding: self.encoding)
        let isWide = dialect.encoding == .utf16LittleEndian || dialect.encoding == .utf16BigEndian
        guard isWide || !self.beginning.contains(0) else {
            throw APIRefusal(.badRequest, "bad_body", "the body is not CSV: it holds NUL bytes")
        }
        self.firstIsHeader = self.hasHeader ?? dialect.hasHeader
        var reader = CSVReader(dialect)
        reader.feed(self.beginning)
        self.beginning = []
        self.reader = reader
    }

    mutating func next() throws -> ImportLine? {
        while let step = try self.reader?.next() {
            switch step {
            case .record:
                if let layout = self.layout { return self.line(layout) }
                if try self.readLayout() { return self.layout.map(self.line) }
            case .refused(let error):
                guard self.layout != nil else {
                    throw APIRefusal(.badRequest, "bad_header", "the first record cannot be read: \(error.message)")
                }
                return .refused(ImportRefusal(error))
            case .needsInput: return nil
            case .end:
                guard self.layout != nil else {
                    throw APIRefusal(
                        .badRequest,
                        "no_email_column",
                        "the body is empty: it names no column `email`"
                    )
                }
                return nil
            }
        }
        return nil
    }

    /// Reads the columns from the first record; returns `true` if that is a recipient itself.
    private mutating func readLayout() throws -> Bool {
        guard let reader = self.reader else { return false }
        let cells = (0..<reader.fieldCount).map { CSVDialect.trimmed(reader.text(at: $0) ?? "\u{FFFD}") }
        let emailName = Self.emailNames.first { name in cells.contains { $0.lowercased() == name } }
        if self.hasHeader == false || (emailName == nil && !self.firstIsHeader) {
            // Without names there is only one thing that a column can be.
            guard cells.count == 1, cells[0].contains("@") else { throw Self.noEmailColumn(cells) }
            self.layout = [.email]
            return true
        }
        var layout: [Column] = []
        for cell in cells {
            let name = String(cell)
            let column: Column =
                switch name.lowercased() {
                case "": .nameless
                case emailName: .email
                case "tracking_id": .trackingID
                default: .field(name)
                }
            guard column == .nameless || !layout.contains(column) else {
                throw APIRefusal(.badRequest, "bad_header", "the column `\(name.prefix(80))` appears twice")
            }
            layout.append(column)
        }
        guard let email = layout.firstIndex(of: .email) else { throw Self.noEmailColumn(cells) }
        self.emailIndex = email
        self.trackingIndex = layout.firstIndex(of: .trackingID)
        self.layout = layout
        return false
    }

    private static func noEmailColumn(_ cells: [Substring]) -> APIRefusal {
        let found = cells.prefix(20).map { "`\($0.prefix(40))`" }.joined(separator: ", ")
        return APIRefusal(
            .badRequest,
            "no_email_column",
            "the first line names no column `email`, `e-mail` or `address`; it has \(found)"
        )
    }

    private func line(_ layout: [Column]) -> ImportLine {
        guard let reader = self.reader else { preconditionFailure("a record without a reader") }
        let line = reader.recordLine
        let surplus = reader.fieldCount - layout.count
        let isPadded = surplus > 0 && (layout.count..<reader.fieldCount).allSatisfy { reader.bytes(at: $0).isEmpty }
        guard surplus == 0 || isPadded else {
            let text = "the record has \(reader.fieldCount) fields, the header \(layout.count)"
            return .refused(.init(line: line, column: nil, code: "field_count", text: text))
        }
        var address = ""
        var trackingID: String?
        var fields: [MergeFields.Field] = []
        fields.reserveCapacity(layout.count)
        for (index, column) in layout.enumerated() {
            guard let text = reader.text(at: index) else {
                let text = "the field is not text in the encoding of the file; name the right one as charset"
                return .refused(
                    .init(line: line, column: index + 1, code: RecordError.Code.badEncoding.rawValue, text: text)
                )
            }
            switch column {
            case .email:
                address = String(CSVDialect.trimmed(text))
                fields.append(.init(name: "email", value: .text(address)))
            case .trackingID: trackingID = text.isEmpty ? nil : text
            case .field(let name): fields.append(.init(name: name, value: .text(text)))
            case .nameless: break
            }
        }
        guard !address.isEmpty else {
            return .refused(
                .init(line: line, column: self.emailIndex + 1, code: "no_email", text: "the email is empty")
            )
        }
        return .recipient(
            .init(
                line: line,
                RecipientSubmission(address: address, trackingID: trackingID, fields: MergeFields(unique: fields))
            )
        )
    }
}
