// SPDX-License-Identifier: Apache-2.0

/// Appends numbers and byte strings to a buffer: variable-length integers as LEB128, strings after their length.
struct ByteEncoder {
    private(set) var bytes: [UInt8] = []

    mutating func reserve(_ count: Int) { self.bytes.reserveCapacity(count) }

    mutating func removeAll() { self.bytes.removeAll(keepingCapacity: true) }

    mutating func byte(_ value: UInt8) { self.bytes.append(value) }

    mutating func fixed32(_ value: UInt32) {
        for index in 0..<4 { self.bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(index * 8))) }
    }

    /// Overwrites four bytes written before.
    mutating func patch32(_ value: UInt32, at offset: Int) {
        for index in 0..<4 { self.bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8)) }
    }

    mutating func unsigned(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            self.bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func signed(_ value: Int64) { self.unsigned(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

    mutating func count(_ value: Int) { self.unsigned(UInt64(value)) }

    mutating func raw(_ value: [UInt8]) { self.bytes.append(contentsOf: value) }

    mutating func string(_ value: String) {
        self.count(value.utf8.count)
        self.bytes.append(contentsOf: value.utf8)
    }

    mutating func data(_ value: [UInt8]) {
        self.count(value.count)
        self.bytes.append(contentsOf: value)
    }
}

/// Why bytes are not a record: what was being read.
struct DecodingFailure: Error, Hashable {
    var reason: String
}

/// Reads back what ``ByteEncoder`` wrote; never reads outside its range and never allocates more than the range holds.
struct ByteDecoder {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    init(_ bytes: [UInt8], in range: Range<Int>? = nil) {
        self.bytes = bytes
        self.position = range?.lowerBound ?? 0
        self.end = range?.upperBound ?? bytes.count
    }

    var remaining: Int { self.end - self.position }

    mutating func byte() throws(DecodingFailure) -> UInt8 {
        guard self.position < self.end else { throw DecodingFailure(reason: "the record ends early") }
        defer { self.position += 1 }
        return self.bytes[self.position]
    }

    mutating func unsigned() throws(DecodingFailure) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try self.byte()
            guard shift < 63 || byte <= 1 else { throw DecodingFailure(reason: "a number is too long") }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
    }

    mutating func signed() throws(DecodingFailure) -> Int64 {
        let value = try self.unsigned()
        return Int64(bitPattern: (value >> 1) ^ (0 &- (value & 1)))
    }

    /// A number of things that follow, each at least `size` bytes long.
    mutating func count(ofAtLeast size: Int = 1) throws(DecodingFailure) -> Int {
        let value = try self.unsigned()
        guard value <= UInt64(self.remaining / size) else {
            throw DecodingFailure(reason: "a count exceeds the record")
        }
        return Int(value)
    }

    mutating func raw(_ count: Int) throws(DecodingFailure) -> [UInt8] {
        guard count <= self.remaining else { throw DecodingFailure(reason: "a string exceeds the record") }
        defer { self.position += count }
        return Array(self.bytes[self.position..<self.position + count])
    }

    mutating func data() throws(DecodingFailure) -> [UInt8] {
        let count = try self.count()
        return try self.raw(count)
    }

    mutating func string() throws(DecodingFailure) -> String {
        let count = try self.count()
        defer { self.position += count }
        return String(decoding: self.bytes[self.position..<self.position + count], as: UTF8.self)
    }

    /// Fails if anything is left over.
    func finish() throws(DecodingFailure) {
        guard self.remaining == 0 else { throw DecodingFailure(reason: "bytes are left over") }
    }
}
