// SPDX-License-Identifier: Apache-2.0

/// Reads CSV (RFC 4180 §2) from chunks of bytes in constant memory.
///
/// Feed it, then take steps until it needs input. A quote inside an unquoted field stands for itself, as spreadsheets have
/// it; lines end with CRLF, LF or CR; empty lines are skipped. A record beyond a bound is refused and skipped to its
/// line's end; a quote that is never closed swallows at most ``RecordLimits/recordBytes``, because a reader in constant
/// memory cannot go back.
public struct CSVReader: Sendable {
    private enum State {
        case recordStart, fieldStart, unquoted, quoted, quoteInQuotes, skipping
    }

    private let delimiter: UInt8
    private let limits: RecordLimits
    private var transcoder: TextTranscoder
    /// What was fed and not read yet begins at `position`.
    private var input: [UInt8] = []
    private var position = 0
    private var isFinished = false

    private var state = State.recordStart
    /// The fields of the record without their quotes, one after the other, and where each ends.
    private var text: [UInt8] = []
    private var ends: [Int] = []
    private var isComplete = false
    private var error: RecordError?
    /// The line that is being read, and whether the byte before was a CR that ended one.
    private var line = 1
    private var sawCarriageReturn = false
    private var records = 0
    /// Where the record begins in `input` and where its line ends; what of it lay before `input` is in `carried`.
    private var recordStart = 0
    private var recordEnd = 0
    private var carried: [UInt8] = []
    /// Whether the first record is a line `sep=;` and no record.
    private var skipsFirst: Bool

    /// The line on which the record begins, from 1.
    public private(set) var recordLine = 1
    /// Lines of which something was read.
    public var lines: Int {
        self.state == .recordStart && self.position == self.input.count ? self.line - 1 : self.line
    }

    /// A reader at the beginning of a stream.
    public init(_ dialect: CSVDialect, limits: RecordLimits = RecordLimits()) {
        self.delimiter = dialect.delimiter
        self.limits = limits
        self.transcoder = TextTranscoder(dialect.encoding)
        self.skipsFirst = dialect.hasSeparatorLine
    }

    /// Takes in more bytes; everything fed before should have been read.
    public mutating func feed(_ bytes: some Sequence<UInt8>) {
        self.dropRead()
        let done: Void? = bytes.withContiguousStorageIfAvailable { self.transcoder.append($0, to: &self.input) }
        if done == nil { Array(bytes).withUnsafeBufferPointer { self.transcoder.append($0, to: &self.input) } }
    }

    /// Says that nothing follows.
    public mutating func finish() {
        guard !self.isFinished else { return }
        self.dropRead()
        self.isFinished = true
        self.transcoder.finish(to: &self.input)
    }

    private mutating func dropRead() {
        if self.state != .recordStart, self.carried.count < self.limits.recordBytes {
            self.carried += self.input[self.recordStart..<self.position]
        }
        self.recordStart = 0
        if self.position == self.input.count {
            self.input.removeAll(keepingCapacity: true)
        } else {
            self.input.removeFirst(self.position)
        }
        self.position = 0
    }

    // MARK: The record

    /// How many fields the record has.
    public var fieldCount: Int { self.ends.count }

    /// A field's text; `nil` if it is not well-formed.
    public func text(at field: Int) -> String? {
        // `String(validating:as:)` is not specialised for this, and takes three times as long.
        guard let text = try? UTF8Span(validating: self.bytes(at: field).span) else { return nil }
        return String(copying: text)
    }

    /// Appends the record as it is written, in UTF-8 and without its line's end; cut at ``RecordLimits/recordBytes``.
    ///
    /// To be called before more is fed.
    public func appendRecord(to text: inout [UInt8]) {
        let kept = self.carried.prefix(self.limits.recordBytes)
        text += kept
        text += self.input[self.recordStart..<max(self.recordStart, self.recordEnd)]
            .prefix(self.limits.recordBytes - kept.count)
    }

    /// A field's bytes of UTF-8, not validated.
    public func bytes(at field: Int) -> ArraySlice<UInt8> {
        self.text[(field == 0 ? 0 : self.ends[field - 1])..<self.ends[field]]
    }

    // MARK: Reading

    /// Reads up to the end of the next record.
    ///
    /// - Throws: ``TooManyRecords``.
    public mutating func next() throws(TooManyRecords) -> RecordStep {
        if self.isComplete {
            self.isComplete = false
            self.text.removeAll(keepingCapacity: true)
            self.ends.removeAll(keepingCapacity: true)
        }
        while self.position < self.input.count {
            self.read()
            guard self.isComplete else { continue }
            if self.skipsFirst {
                self.skipsFirst = false
                self.error = nil
                return try self.next()
            }
            return try self.completed()
        }
        guard self.isFinished else { return .needsInput }
        switch self.state {
        case .recordStart: return .end
        case .quoted: self.refuse(.openQuote, "the input ends inside quotes")
        case .fieldStart, .unquoted, .quoteInQuotes: self.endField()
        case .skipping: break
        }
        self.line += 1
        self.recordEnd = self.position
        self.endRecord()
        if self.skipsFirst {
            self.skipsFirst = false
            self.error = nil
            return try self.next()
        }
        return try self.completed()
    }

    private mutating func completed() throws(TooManyRecords) -> RecordStep {
        self.records += 1
        guard self.records <= self.limits.records else { throw TooManyRecords(limit: self.limits.records) }
        if let error = self.error.take() { return .refused(error) }
        return .record
    }

    /// Reads one run of bytes of the same kind, or one that means something.
    private mutating func read() {
        switch self.state {
        case .unquoted: self.readUnquoted()
        case .quoted: self.readQuoted()
        case .recordStart, .fieldStart, .quoteInQuotes, .skipping: self.readMark()
        }
    }

    private mutating func readUnquoted() {
        let (start, delimiter) = (self.position, self.delimiter)
        let room = min(self.roomInRecord, self.limits.fieldBytes - self.fieldLength)
        let limit = min(self.input.count, start + room + 1)
        let end = self.input.withUnsafeBufferPointer { input in
            var end = start
            while end < limit {
                let byte = input[end]
                if byte == delimiter || byte == 0x0A || byte == 0x0D { break }
                end += 1
            }
            return end
        }
        self.text.append(contentsOf: self.input[start..<end])
        self.position = end
        self.checkLength()
        guard self.state == .unquoted, end < self.input.count else { return }
        self.take(self.input[end])
    }

    private mutating func readQuoted() {
        let start = self.position
        var lines = 0
        var afterReturn = self.sawCarriageReturn
        let limit = min(self.input.count, start + max(0, self.roomInRecord + 1))
        let end = self.input.withUnsafeBufferPointer { input in
            var end = start
            while end < limit {
                let byte = input[end]
                if byte == UInt8(ascii: "\"") { break }
                if byte == 0x0D || (byte == 0x0A && !afterReturn) { lines += 1 }
                afterReturn = byte == 0x0D
                end += 1
            }
            return end
        }
        self.line += lines
        self.sawCarriageReturn = end < self.input.count ? false : afterReturn
        self.text.append(contentsOf: self.input[start..<end])
        self.position = end
        self.checkLength()
        guard self.state == .quoted, end < self.input.count else { return }
        self.position += 1
        self.state = .quoteInQuotes
    }

    private mutating func readMark() {
        let byte = self.input[self.position]
        switch (self.state, byte) {
        case (.recordStart, 0x0A) where self.sawCarriageReturn:
            self.position += 1
            self.sawCarriageReturn = false
        case (.recordStart, 0x0A), (.recordStart, 0x0D):  // An empty line.
            self.position += 1
            self.line += 1
            self.sawCarriageReturn = byte == 0x0D
        case (.recordStart, _):
            self.sawCarriageReturn = false
            self.recordLine = self.line
            self.recordStart = self.position
            self.carried.removeAll(keepingCapacity: true)
            self.state = .fieldStart
        case (.fieldStart, UInt8(ascii: "\"")):
            self.position += 1
            self.state = .quoted
        case (.fieldStart, _): self.state = .unquoted
        case (.quoteInQuotes, UInt8(ascii: "\"")):
            self.position += 1
            self.text.append(byte)
            self.state = .quoted
        case (_, self.delimiter), (_, 0x0A), (_, 0x0D): self.take(byte)
        case (.quoteInQuotes, _):
            self.refuse(.textAfterQuote, "text follows the quote that closes a field")
        default: self.skip()
        }
    }

    /// Ends the field, and the record with it if a line ends here.
    private mutating func take(_ byte: UInt8) {
        if self.state != .skipping { self.endField() }
        self.position += 1
        if byte == 0x0A || byte == 0x0D {
            self.line += 1
            self.sawCarriageReturn = byte == 0x0D
            self.recordEnd = self.position - 1
            self.endRecord()
        } else if self.state != .skipping {
            self.state = .fieldStart
        }
    }

    /// Skips what is left of a refused record's line.
    private mutating func skip() {
        let start = self.position
        self.position = self.input[start...].firstIndex { $0 == 0x0A || $0 == 0x0D } ?? self.input.count
    }

    private mutating func endField() {
        self.checkLength()
        guard self.state != .skipping else { return }
        self.ends.append(self.text.count)
        if self.ends.count > self.limits.fields {
            self.refuse(.manyFields, "the record has more than \(self.limits.fields) fields")
        }
    }

    private var roomInRecord: Int { self.limits.recordBytes - self.text.count }
    private var fieldLength: Int { self.text.count - (self.ends.last ?? 0) }

    /// Refuses what is too long.
    ///
    /// Runs are read no further than to the byte that breaks a bound, so that the same byte does it however the input
    /// is cut. A quoted field's own bound is looked at when it is closed.
    private mutating func checkLength() {
        if self.roomInRecord < 0 {
            let quoted = self.state == .quoted ? "; a quote that is not closed?" : ""
            self.refuse(.longRecord, "the record has more than \(self.limits.recordBytes) bytes\(quoted)")
        } else if self.fieldLength > self.limits.fieldBytes, self.state != .quoted {
            self.refuse(.longField, "the field has more than \(self.limits.fieldBytes) bytes")
        }
    }

    private mutating func refuse(_ code: RecordError.Code, _ message: String) {
        self.error = RecordError(code, line: self.recordLine, column: self.ends.count + 1, message)
        self.state = .skipping
    }

    private mutating func endRecord() {
        self.state = .recordStart
        self.isComplete = true
    }
}
