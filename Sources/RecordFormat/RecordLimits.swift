// SPDX-License-Identifier: Apache-2.0

/// What readers of records accept; what lies beyond is refused record by record.
public struct RecordLimits: Sendable, Hashable {
    /// One field at most, bytes of UTF-8.
    public var fieldBytes = 64 * 1_024
    /// One record at most, bytes of UTF-8.
    ///
    /// A quote that is never closed costs no more than this.
    public var recordBytes = 256 * 1_024
    /// Fields in one record at most.
    public var fields = 1_000
    /// Records in one stream at most; the only bound that ends the stream.
    public var records = 1_000_000_000

    /// The defaults.
    public init() {}
}

/// A record that cannot be read; the stream goes on after it.
public struct RecordError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The reason, for programs.
    public enum Code: String, Sendable, Hashable {
        /// Text follows a closing quote.
        case textAfterQuote = "text_after_quote"
        /// The input ends inside quotes.
        case openQuote = "open_quote"
        /// A field has too many bytes.
        case longField = "long_field"
        /// The record has too many bytes; perhaps a quote is not closed.
        case longRecord = "long_record"
        /// The record has too many fields.
        case manyFields = "many_fields"
        /// The bytes are not text in the encoding of the stream.
        case badEncoding = "bad_encoding"
        /// The line is not JSON.
        case badJSON = "bad_json"
        /// The line is JSON, but not an object.
        case notObject = "not_an_object"
    }

    /// The reason, for programs.
    public var code: Code
    /// The line on which the record begins, from 1.
    public var line: Int
    /// The field, or the byte of a JSON line, where it was noticed, from 1; `nil` if that says nothing.
    public var column: Int?
    /// The reason, for people.
    public var message: String

    /// Composes an error.
    public init(_ code: Code, line: Int, column: Int? = nil, _ message: String) {
        self.code = code
        self.line = line
        self.column = column
        self.message = message
    }

    /// Line and reason.
    public var description: String { "line \(self.line): \(self.message)" }
}

/// The stream has more records than its reader takes.
public struct TooManyRecords: Error, Sendable, Hashable, CustomStringConvertible {
    /// How many it takes.
    public var limit: Int

    /// Composes an error.
    public init(limit: Int) { self.limit = limit }

    /// One line.
    public var description: String { "the stream has more than \(self.limit) records" }
}

/// What a reader found in what it was fed.
public enum RecordStep: Sendable, Hashable {
    /// A record; it can be looked at until the next step.
    case record
    /// A record that is refused.
    case refused(RecordError)
    /// Nothing more in what was fed: feed more, or say that it is over.
    case needsInput
    /// The end.
    case end
}
