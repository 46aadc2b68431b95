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
