// SPDX-License-Identifier: Apache-2.0

/// A position in encoded merge fields, for readers that take what they need and skip the rest.
///
/// Every step checks the bounds of the bytes, so no input makes it trap.
public struct MergeCursor: Sendable {
    /// The bytes that are read.
    public let bytes: [UInt8]
    /// The position of the next byte.
    public private(set) var offset: Int

    /// Begins at the count of the top-level fields.
    ///
    /// - Parameter bytes: As written by ``MergeFields/encoded()``; an empty array stands for no fields.
    /// - Throws: ``MergeEncodingError`` if the version is not known.
    public init(fields bytes: [UInt8]) throws(MergeEncodingError) {
        self.bytes = bytes
        self.offset = 0
        guard let version = bytes.first else { return }
        self.offset = 1
        guard version == MergeFields.encodingVersion else { throw self.failure("version \(version) is not known") }
    }

    /// Begins at a value found earlier in the same bytes.
    public init(_ bytes: [UInt8], at offset: Int) {
        self.bytes = bytes
        self.offset = offset
    }

    /// Reads how many members follow; never more than there are bytes left.
    public mutating func count() throws(MergeEncodingError) -> Int {
        if self.bytes.isEmpty { return 0 }
        return try self.length()
    }

    /// Reads a name, text or bytes: a length and where they lie.
    public mutating func string() throws(MergeEncodingError) -> Range<Int> {
        let length = try self.length()
        let start = self.offset
        self.offset += length
        return start..<self.offset
    }

    /// Reads what kind of value follows.
    public mutating func tag() throws(MergeEncodingError) -> MergeTag {
        guard self.offset < self.bytes.count else { throw self.failure("truncated") }
        guard let tag = MergeTag(rawValue: self.bytes[self.offset]) else { throw self.failure("an unknown tag") }
        self.offset += 1
        return tag
    }

    /// Reads the payload of ``MergeTag/integer`` or ``MergeTag/dateTime``.
    public mutating func integer() throws(MergeEncodingError) -> Int64 {
        let raw = try self.number()
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// Reads the payload of ``MergeTag/double``.
    public mutating func double() throws(MergeEncodingError) -> Double {
        guard self.bytes.count - self.offset >= 8 else { throw self.failure("truncated") }
        var bits: UInt64 = 0
        for index in 0..<8 { bits |= UInt64(self.bytes[self.offset + index]) << UInt64(8 * index) }
        self.offset += 8
        return Double(bitPattern: bits)
    }

    /// Reads the length of a list or map, whose count follows.
    ///
    /// - Parameter depth: How many lists and maps are open already.
    /// - Returns: The position after its last byte.
    /// - Throws: ``MergeEncodingError`` if too many are open, or the bytes end first.
    public mutating func nested(depth: Int) throws(MergeEncodingError) -> Int {
        guard depth < MergeFields.maximumDepth else { throw self.failure("nested too deep") }
        let length = try self.length()
        return self.offset + length
    }

    /// Skips a value.
    public mutating func skip() throws(MergeEncodingError) {
        switch try self.tag() {
        case .null, .no, .yes: break
        case .integer, .dateTime: _ = try self.number()
        case .double: _ = try self.double()
        case .text, .bytes, .list, .map: _ = try self.string()
        }
    }

    /// An error at this position.
    public func failure(_ reason: String) -> MergeEncodingError {
        MergeEncodingError(offset: self.offset, reason: reason)
    }

    private mutating func length() throws(MergeEncodingError) -> Int {
        let length = try self.number()
        guard length <= UInt64(self.bytes.count - self.offset) else { throw self.failure("truncated") }
        return Int(length)
    }

    private mutating func number() throws(MergeEncodingError) -> UInt64 {
        var number: UInt64 = 0
        var shift: UInt64 = 0
        while self.offset < self.bytes.count {
            let byte = self.bytes[self.offset]
            self.offset += 1
            if shift == 63, byte > 1 { throw self.failure("a number is too large") }
            number |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return number }
            shift += 7
            if shift > 63 { throw self.failure("a number is too long") }
        }
        throw self.failure("truncated")
    }
}
