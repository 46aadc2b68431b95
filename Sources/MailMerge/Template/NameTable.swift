// SPDX-License-Identifier: Apache-2.0

/// The merge fields that a content's templates name, each with a slot, so that one pass over a recipient's encoded
/// fields finds them all without making a string.
struct NameTable: Sendable {
    /// The names by slot.
    private(set) var names: [[UInt8]] = []
    /// Slot plus one by hash, 0 where free; a power of two long, never more than half full.
    private var buckets: [Int32] = Array(repeating: 0, count: 16)

    /// How many slots there are.
    var count: Int { self.names.count }

    /// The slot of a name, made if it is new.
    mutating func intern(_ name: [UInt8]) -> Int {
        if let slot = self.slot(of: name, in: 0..<name.count) { return slot }
        self.names.append(name)
        if self.names.count * 2 > self.buckets.count {
            self.buckets = Array(repeating: 0, count: self.buckets.count * 2)
            for slot in self.names.indices { self.insert(slot) }
        } else {
            self.insert(self.names.count - 1)
        }
        return self.names.count - 1
    }

    /// The slot of the name that lies in `range` of `bytes`.
    func slot(of bytes: [UInt8], in range: Range<Int>) -> Int? {
        let mask = self.buckets.count - 1
        var bucket = Self.hash(bytes, range) & mask
        while self.buckets[bucket] != 0 {
            let slot = Int(self.buckets[bucket]) - 1
            if Self.matches(self.names[slot], bytes, range) { return slot }
            bucket = (bucket + 1) & mask
        }
        return nil
    }

    private mutating func insert(_ slot: Int) {
        let mask = self.buckets.count - 1
        var bucket = Self.hash(self.names[slot], 0..<self.names[slot].count) & mask
        while self.buckets[bucket] != 0 { bucket = (bucket + 1) & mask }
        self.buckets[bucket] = Int32(slot + 1)
    }

    private static func matches(_ name: [UInt8], _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        guard name.count == range.count else { return false }
        for offset in 0..<name.count where name[offset] != bytes[range.lowerBound + offset] { return false }
        return true
    }

    private static func hash(_ bytes: [UInt8], _ range: Range<Int>) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in range { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: (hash ^ hash >> 32) & 0x7FFF_FFFF)
    }
}
