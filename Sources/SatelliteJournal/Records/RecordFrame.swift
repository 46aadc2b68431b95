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

/// The Castagnoli checksum (RFC 3720 §12.1), eight bytes at a time.
struct CRC32C: Sendable {
    private let tables: [UInt32]

    init() {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0x82F6_3B78 : value >> 1 }
            tables[index] = value
        }
        for slice in 1..<8 {
            for index in 0..<256 {
                let previous = tables[(slice - 1) * 256 + index]
                tables[slice * 256 + index] = (previous >> 8) ^ tables[Int(previous & 0xFF)]
            }
        }
        self.tables = tables
    }

    func checksum(of bytes: [UInt8], in range: Range<Int>) -> UInt32 {
        bytes.withUnsafeBytes { self.checksum(of: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    private func checksum(of bytes: UnsafeRawBufferPointer) -> UInt32 {
        self.tables.withUnsafeBufferPointer { tables in
            var crc = ~UInt32(0)
            var offset = 0
            while offset + 8 <= bytes.count {
                let low = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian ^ crc
                let high = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self).littleEndian
                let first = tables[7 * 256 + Int(low & 0xFF)] ^ tables[6 * 256 + Int((low >> 8) & 0xFF)]
                let second = tables[5 * 256 + Int((low >> 16) & 0xFF)] ^ tables[4 * 256 + Int(low >> 24)]
                let third = tables[3 * 256 + Int(high & 0xFF)] ^ tables[2 * 256 + Int((high >> 8) & 0xFF)]
                let fourth = tables[1 * 256 + Int((high >> 16) & 0xFF)] ^ tables[Int(high >> 24)]
                crc = first ^ second ^ third ^ fourth
                offset += 8
            }
            while offset < bytes.count {
                crc = (crc >> 8) ^ tables[Int((crc ^ UInt32(bytes[offset])) & 0xFF)]
                offset += 1
            }
            return ~crc
        }
    }
}
