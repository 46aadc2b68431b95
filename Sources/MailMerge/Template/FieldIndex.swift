// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// Where the merge fields of one recipient lie that the templates name; values are decoded when they are used.
struct FieldIndex: Sendable {
    /// What a slot holds.
    enum Slot: Sendable {
        case absent
        /// The position of the value's tag in ``bytes``.
        case encoded(Int)
        case value(Value)
    }

    /// The recipient's encoded merge fields.
    private(set) var bytes: [UInt8] = []
    /// By slot of the name table.
    var slots: [Slot] = []

    /// Takes a recipient's fields; slots that were set stay unless a field has their name.
    mutating func load(_ bytes: [UInt8], names: NameTable) throws(RenderError) {
        self.bytes = bytes
        do {
            var cursor = try MergeCursor(fields: bytes)
            for _ in 0..<(try cursor.count()) {
                let name = try cursor.string()
                if let slot = names.slot(of: bytes, in: name) { self.slots[slot] = .encoded(cursor.offset) }
                try cursor.skip()
            }
        } catch {
            throw RenderError(.fields, error.description)
        }
    }

    /// Empties all slots.
    mutating func reset(count: Int) {
        self.slots.removeAll(keepingCapacity: true)
        for _ in 0..<count { self.slots.append(.absent) }
    }

    /// The bytes of a slot that holds text, without making a value.
    func text(_ slot: Int) -> Range<Int>? {
        guard case .encoded(let offset) = self.slots[slot] else { return nil }
        var cursor = MergeCursor(self.bytes, at: offset)
        guard let tag = try? cursor.tag(), tag == .text || tag == .bytes else { return nil }  // `value` reports it
        return try? cursor.string()
    }

    /// The value of a slot; a list or map is decoded once and kept.
    mutating func value(_ slot: Int, budget: inout RenderBudget) throws(RenderError) -> Value {
        switch self.slots[slot] {
        case .absent: return .undefined
        case .value(let value): return value
        case .encoded(let offset):
            var cursor = MergeCursor(self.bytes, at: offset)
            let value: Value
            do {
                value = try self.decode(&cursor, depth: 0)
            } catch {
                throw RenderError(.fields, error.description)
            }
            switch value {
            case .list, .map:
                try budget.pay(bytes: cursor.offset - offset)
                self.slots[slot] = .value(value)
            default: break
            }
            return value
        }
    }

    private func decode(_ cursor: inout MergeCursor, depth: Int) throws(MergeEncodingError) -> Value {
        switch try cursor.tag() {
        case .null: return .none
        case .no: return .bool(false)
        case .yes: return .bool(true)
        case .integer: return .integer(try cursor.integer())
        case .double: return .float(try cursor.double())
        case .text, .bytes: return .text(Value.Text(self.bytes[try cursor.string()]))
        case .dateTime: return .dateTime(Timestamp(milliseconds: try cursor.integer()))
        case .list:
            _ = try cursor.nested(depth: depth)
            var items: [Value] = []
            for _ in 0..<(try cursor.count()) { items.append(try self.decode(&cursor, depth: depth + 1)) }
            return .list(Value.List(items: items, isTuple: false))
        case .map:
            _ = try cursor.nested(depth: depth)
            var members: [Value.Map.Member] = []
            for _ in 0..<(try cursor.count()) {
                let key = Value.text(Value.Text(self.bytes[try cursor.string()]))
                members.append(Value.Map.Member(key: key, value: try self.decode(&cursor, depth: depth + 1)))
            }
            return .map(Value.Map(members: members))
        }
    }
}

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
