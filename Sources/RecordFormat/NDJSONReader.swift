// SPDX-License-Identifier: Apache-2.0

/// Reads one JSON object a line from chunks of bytes in constant memory.
///
/// Feed it, then take steps until it needs input. Lines end with LF or CRLF; empty ones are skipped; a byte order mark
/// at the beginning is dropped. A line beyond a bound is refused and skipped.
public struct NDJSONReader: Sendable {
    private let limits: RecordLimits
    private var transcoder = TextTranscoder(.utf8)
    private var input: [UInt8] = []
    private var position = 0
    private var isFinished = false
    private var isSkipping = false
    private var records = 0

    /// The members of the record, in the order received.
    public private(set) var members: [JSONValue.Member] = []
    /// The line of the record, from 1.
    public private(set) var recordLine = 0
    /// The line that was read last, in UTF-8 and without its end; empty if it was too long.
    public private(set) var recordText: [UInt8] = []
    /// Lines read.
    public var lines: Int { self.recordLine }

    /// A reader at the beginning of a stream.
    public init(limits: RecordLimits = RecordLimits()) { self.limits = limits }

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
        self.input.removeFirst(self.position)
        self.position = 0
    }

    /// Reads the next line that is not empty.
    ///
    /// - Throws: ``TooManyRecords``.
    public mutating func next() throws(TooManyRecords) -> RecordStep {
        while let line = self.nextLine() {
            if line.isEmpty || line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
            self.records += 1
            guard self.records <= self.limits.records else { throw TooManyRecords(limit: self.limits.records) }
            self.recordText = line.count > self.limits.recordBytes ? [] : line
            if line.count > self.limits.recordBytes { return self.refusedLong }
            return self.parse(line)
        }
        guard !self.isSkipping else { return self.isFinished ? .end : .needsInput }
        if self.input.count - self.position > self.limits.recordBytes, !self.isFinished {
            self.position = self.input.count
            self.isSkipping = true
            self.recordText = []
            self.recordLine += 1
            self.records += 1
            return self.refusedLong
        }
        return self.isFinished ? .end : .needsInput
    }

    private var refusedLong: RecordStep {
        .refused(
            RecordError(.longRecord, line: self.recordLine, "the line has more than \(self.limits.recordBytes) bytes")
        )
    }

    private mutating func parse(_ line: [UInt8]) -> RecordStep {
        do {
            guard case .object(let members) = try JSONParser.parse(line, limits: self.limits) else {
                return .refused(RecordError(.notObject, line: self.recordLine, "the line is not a JSON object"))
            }
            self.members = members
            return .record
        } catch {
            return .refused(
                RecordError(error.code, line: self.recordLine, column: error.column, error.message)
            )
        }
    }

    /// The next whole line without its end; the rest of a line that was refused is skipped.
    private mutating func nextLine() -> [UInt8]? {
        while self.position < self.input.count {
            let start = self.position
            let found = self.input.withUnsafeBufferPointer { $0[start...].firstIndex(of: 0x0A) }
            guard let end = found ?? (self.isFinished ? self.input.count : nil) else {
                if self.isSkipping { self.position = self.input.count }
                return nil
            }
            self.position = min(end + 1, self.input.count)
            if self.isSkipping {
                self.isSkipping = false
                continue
            }
            self.recordLine += 1
            return Array(self.input[start..<end])
        }
        return nil
    }
}
