// SPDX-License-Identifier: Apache-2.0

// The stored form of merge fields, version 1:
//
//     fields  = 0x01 members                      (an empty array also means "no fields")
//     members = count (name value)*count          name = length octets
//     value   = tag payload                       see MergeTag
//
// Counts, lengths and offsets are LEB128 numbers. Lists and maps carry the octet length of what follows, so that a
// reader that looks for one name skips everything else without looking inside.

/// What the first octet of an encoded merge value says about the rest.
public enum MergeTag: UInt8, Sendable {
    /// No payload.
    case null = 0
    /// No payload.
    case no = 1
    /// No payload.
    case yes = 2
    /// A zigzag number.
    case integer = 3
    /// Eight octets, IEEE 754, least significant first.
    case double = 4
    /// A length, then UTF-8.
    case text = 5
    /// Milliseconds since the epoch as a zigzag number.
    case dateTime = 6
    /// A length, then the octets.
    case bytes = 7
    /// The length of the rest, a count, then that many values.
    case list = 8
    /// The length of the rest, a count, then that many names with their values.
    case map = 9
}

/// Why octets are not encoded merge fields.
public struct MergeEncodingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where reading stopped, in octets from the start.
    public let offset: Int
    /// What is wrong there.
    public let reason: String

    /// Composes an error.
    public init(offset: Int, reason: String) {
        self.offset = offset
        self.reason = reason
    }

    /// One line for a log.
    public var description: String { "merge fields: \(self.reason) at octet \(self.offset)" }
}

extension MergeFields {
    /// How deep lists and maps may be nested, in encoded and decoded form.
    public static let maximumDepth = 64

    /// The version that ``encoded()`` writes.
    static let encodingVersion: UInt8 = 1

    /// The stored form: versioned, self-delimiting, the same octets for the same fields in the same order.
    public func encoded() -> [UInt8] {
        var octets: [UInt8] = [Self.encodingVersion]
        octets.reserveCapacity(32 * (self.fields.count + 1))
        Self.append(self, to: &octets)
        return octets
    }

    /// Restores fields from ``encoded()``.
    ///
    /// - Throws: ``MergeEncodingError`` for another version, truncation, surplus octets, ill-formed UTF-8 or nesting
    ///   beyond ``maximumDepth``.
    public init(decoding octets: [UInt8]) throws(MergeEncodingError) {
        var cursor = try MergeCursor(fields: octets)
        self = try Self.read(&cursor, depth: 0)
        guard cursor.offset == octets.count else { throw cursor.failure("surplus octets") }
    }

    private static func append(_ fields: MergeFields, to octets: inout [UInt8]) {
        Self.append(number: UInt64(fields.fields.count), to: &octets)
        for field in fields.fields {
            Self.append(string: field.name, to: &octets)
            Self.append(field.value, to: &octets)
        }
    }

    private static func append(_ value: MergeValue, to octets: inout [UInt8]) {
        switch value {
        case .null: octets.append(MergeTag.null.rawValue)
        case .bool(let truth): octets.append((truth ? MergeTag.yes : .no).rawValue)
        case .integer(let number):
            octets.append(MergeTag.integer.rawValue)
            Self.append(signed: number, to: &octets)
        case .double(let number):
            octets.append(MergeTag.double.rawValue)
            let bits = number.bitPattern
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                octets.append(UInt8(truncatingIfNeeded: bits >> shift))
            }
        case .text(let text):
            octets.append(MergeTag.text.rawValue)
            Self.append(string: text, to: &octets)
        case .dateTime(let moment):
            octets.append(MergeTag.dateTime.rawValue)
            Self.append(signed: moment.milliseconds, to: &octets)
        case .bytes(let bytes):
            octets.append(MergeTag.bytes.rawValue)
            Self.append(number: UInt64(bytes.count), to: &octets)
            octets.append(contentsOf: bytes)
        case .list(let items):
            var inner: [UInt8] = []
            Self.append(number: UInt64(items.count), to: &inner)
            for item in items { Self.append(item, to: &inner) }
            octets.append(MergeTag.list.rawValue)
            Self.append(number: UInt64(inner.count), to: &octets)
            octets.append(contentsOf: inner)
        case .map(let fields):
            var inner: [UInt8] = []
            Self.append(fields, to: &inner)
            octets.append(MergeTag.map.rawValue)
            Self.append(number: UInt64(inner.count), to: &octets)
            octets.append(contentsOf: inner)
        }
    }

    private static func append(string: String, to octets: inout [UInt8]) {
        var string = string
        string.withUTF8 { utf8 in
            Self.append(number: UInt64(utf8.count), to: &octets)
            octets.append(contentsOf: utf8)
        }
    }

    private static func append(signed number: Int64, to octets: inout [UInt8]) {
        Self.append(number: UInt64(bitPattern: (number << 1) ^ (number >> 63)), to: &octets)
    }

    private static func append(number: UInt64, to octets: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            octets.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        octets.append(UInt8(truncatingIfNeeded: rest))
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
