// SPDX-License-Identifier: Apache-2.0

/// How records lie in a segment: length (4 bytes, little-endian), CRC-32C of length and contents (4), contents.
///
/// A segment is zeros behind its last record; a length of zero therefore ends it.
struct RecordFrame: Sendable {
    static let headerSize = 8

    private let crc = CRC32C()

    /// Appends a framed record.
    func append(_ record: JournalRecord, to encoder: inout ByteEncoder, textLimit: Int) {
        let start = encoder.bytes.count
        encoder.fixed32(0)
        encoder.fixed32(0)
        record.encode(into: &encoder, textLimit: textLimit)
        encoder.patch32(UInt32(encoder.bytes.count - start - Self.headerSize), at: start)
        encoder.patch32(self.checksum(encoder.bytes, from: start, to: encoder.bytes.count), at: start + 4)
    }

    /// What lies at a position of a segment.
    enum Found {
        case record(JournalRecord, next: Int)
        /// Nothing but zeros from here on.
        case end
        /// No valid record: the tail of an interrupted write, if nothing was written behind it.
        case broken(reason: String, isTail: Bool)
    }

    /// Reads the record at `offset`.
    func read(_ bytes: [UInt8], at offset: Int) -> Found {
        guard offset + Self.headerSize <= bytes.count else {
            guard Self.lastUsed(bytes, from: offset) != nil else { return .end }
            return .broken(reason: "no room for a record", isTail: true)
        }
        let length = Int(Self.load32(bytes, at: offset))
        guard let lastUsed = Self.lastUsed(bytes, from: offset, unlessRecordOf: length) else { return .end }
        let end = offset + Self.headerSize + length
        guard length > 0, end <= bytes.count else {
            return .broken(reason: "impossible length \(length)", isTail: lastUsed < offset + Self.headerSize)
        }
        guard self.checksum(bytes, from: offset, to: end) == Self.load32(bytes, at: offset + 4) else {
            let tail = Self.lastUsed(bytes, from: offset) ?? offset
            return .broken(reason: "wrong checksum", isTail: tail < end)
        }
        do {
            var decoder = ByteDecoder(bytes, in: offset + Self.headerSize..<end)
            return .record(try JournalRecord(from: &decoder), next: end)
        } catch {
            return .broken(reason: error.reason, isTail: false)
        }
    }

    private func checksum(_ bytes: [UInt8], from start: Int, to end: Int) -> UInt32 {
        let length = self.crc.checksum(of: bytes, in: start..<start + 4)
        return length ^ self.crc.checksum(of: bytes, in: start + Self.headerSize..<end)
    }

    private static func load32(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<4 { value |= UInt32(bytes[offset + index]) << UInt32(index * 8) }
        return value
    }

    /// The last byte that is not zero, or `nil`; a plausible length makes the search unnecessary.
    private static func lastUsed(_ bytes: [UInt8], from offset: Int, unlessRecordOf length: Int = 0) -> Int? {
        if length > 0, offset + Self.headerSize + length <= bytes.count { return offset }
        return bytes[offset...].lastIndex { $0 != 0 }
    }
}
