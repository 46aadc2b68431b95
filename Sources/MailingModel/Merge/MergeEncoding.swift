// SPDX-License-Identifier: Apache-2.0

// The stored form of merge fields, version 1:
//
//     fields  = 0x01 members                      (an empty array also means "no fields")
//     members = count (name value)*count          name = length bytes
//     value   = tag payload                       see MergeTag
//
// Counts, lengths and offsets are LEB128 numbers. Lists and maps carry the byte length of what follows, so that a
// reader that looks for one name skips everything else without looking inside.

/// What the first byte of an encoded merge value says about the rest.
public enum MergeTag: UInt8, Sendable {
    /// No payload.
    case null = 0
    /// No payload.
    case no = 1
    /// No payload.
    case yes = 2
    /// A zigzag number.
    case integer = 3
    /// Eight bytes, IEEE 754, least significant first.
    case double = 4
    /// A length, then UTF-8.
    case text = 5
    /// Milliseconds since the epoch as a zigzag number.
    case dateTime = 6
    /// A length, then the bytes.
    case bytes = 7
    /// The length of the rest, a count, then that many values.
    case list = 8
    /// The length of the rest, a count, then that many names with their values.
    case map = 9
}

/// Why bytes are not encoded merge fields.
public struct MergeEncodingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where reading stopped, in bytes from the start.
    public let offset: Int
    /// What is wrong there.
    public let reason: String

    /// Composes an error.
    public init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }

    /// One line for a log.
    public var description: String { "merge fields: \(self.reason) at byte \(self.offset)" }
}

extension MergeFields {
    /// How deep lists and maps may be nested, in encoded and decoded form.
    public static let maximumDepth = 64

    /// The version that ``encoded()`` writes.
    static let encodingVersion: UInt8 = 1

    /// The stored form: versioned, self-delimiting, the same bytes for the same fields in the same order.
    public func encoded() -> [UInt8] {
        var output: [UInt8] = [Self.encodingVersion]
        output.reserveCapacity(32 * (self.fields.count + 1))
        Self.append(self, to: &output)
        return output
    }

    /// Restores fields from ``encoded()``.
    ///
    /// - Throws: ``MergeEncodingError`` for another version, truncation, surplus bytes, ill-formed UTF-8 or nesting
    ///   beyond ``maximumDepth``.
    public init(decoding bytes: [UInt8]) throws(MergeEncodingError) {
        var cursor = try MergeCursor(fields: bytes)
        self = try Self.read(&cursor, depth: 0)
        guard cursor.offset == bytes.count else { throw cursor.failure("surplus bytes") }
    }

    private static func append(_ fields: MergeFields, to output: inout [UInt8]) {
        Self.append(number: UInt64(fields.fields.count), to: &output)
        for field in fields.fields {
            Self.append(string: field.name, to: &output)
            Self.append(field.value, to: &output)
        }
    }

    private static func append(_ value: MergeValue, to output: inout [UInt8]) {
        switch value {
        case .null: output.append(MergeTag.null.rawValue)
        case .bool(let truth): output.append((truth ? MergeTag.yes : .no).rawValue)
        case .integer(let number):
            output.append(MergeTag.integer.rawValue)
            Self.append(signed: number, to: &output)
        case .double(let number):
            output.append(MergeTag.double.rawValue)
            let bits = number.bitPattern
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                output.append(UInt8(truncatingIfNeeded: bits >> shift))
            }
        case .text(let text):
            output.append(MergeTag.text.rawValue)
            Self.append(string: text, to: &output)
        case .dateTime(let timestamp):
            output.append(MergeTag.dateTime.rawValue)
            Self.append(signed: timestamp.milliseconds, to: &output)
        case .bytes(let bytes):
            output.append(MergeTag.bytes.rawValue)
            Self.append(number: UInt64(bytes.count), to: &output)
            output.append(contentsOf: bytes)
        case .list(let items):
            var inner: [UInt8] = []
            Self.append(number: UInt64(items.count), to: &inner)
            for item in items { Self.append(item, to: &inner) }
            output.append(MergeTag.list.rawValue)
            Self.append(number: UInt64(inner.count), to: &output)
            output.append(contentsOf: inner)
        case .map(let fields):
            var inner: [UInt8] = []
            Self.append(fields, to: &inner)
            output.append(MergeTag.map.rawValue)
            Self.append(number: UInt64(inner.count), to: &output)
            output.append(contentsOf: inner)
        }
    }

    private static func append(string: String, to output: inout [UInt8]) {
        var string = string
        string.withUTF8 { utf8 in
            Self.append(number: UInt64(utf8.count), to: &output)
            output.append(contentsOf: utf8)
        }
    }

    private static func append(signed number: Int64, to output: inout [UInt8]) {
        Self.append(number: UInt64(bitPattern: (number << 1) ^ (number >> 63)), to: &output)
    }

    private static func append(number: UInt64, to output: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        output.append(UInt8(truncatingIfNeeded: rest))
    }

    private static func read(_ cursor: inout MergeCursor, depth: Int) throws(MergeEncodingError) -> MergeFields {
        let count = try cursor.count()
        var fields: [Field] = []
        fields.reserveCapacity(min(count, 1024))
        for _ in 0..<count {
            let name = try Self.readString(&cursor)
            fields.append(Field(name: name, value: try Self.readValue(&cursor, depth: depth)))
        }
        return MergeFields(fields)
    }

    private static func readValue(_ cursor: inout MergeCursor, depth: Int) throws(MergeEncodingError) -> MergeValue {
        switch try cursor.tag() {
        case .null: return .null
        case .no: return .bool(false)
        case .yes: return .bool(true)
        case .integer: return .integer(try cursor.integer())
        case .double: return .double(try cursor.double())
        case .text: return .text(try Self.readString(&cursor))
        case .dateTime: return .dateTime(Timestamp(milliseconds: try cursor.integer()))
        case .bytes: return .bytes(Array(cursor.bytes[try cursor.string()]))
        case .list:
            let end = try cursor.nested(depth: depth)
            let count = try cursor.count()
            var items: [MergeValue] = []
            items.reserveCapacity(min(count, 1024))
            for _ in 0..<count { items.append(try Self.readValue(&cursor, depth: depth + 1)) }
            guard cursor.offset == end else { throw cursor.failure("a list's length disagrees with its items") }
            return .list(items)
        case .map:
            let end = try cursor.nested(depth: depth)
            let fields = try Self.read(&cursor, depth: depth + 1)
            guard cursor.offset == end else { throw cursor.failure("a map's length disagrees with its members") }
            return .map(fields)
        }
    }

    private static func readString(_ cursor: inout MergeCursor) throws(MergeEncodingError) -> String {
        let range = try cursor.string()
        guard let text = String(validating: cursor.bytes[range], as: UTF8.self) else {
            throw cursor.failure("text that is not UTF-8")
        }
        return text
    }
}
