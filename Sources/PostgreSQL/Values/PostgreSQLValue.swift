// SPDX-License-Identifier: Apache-2.0

/// A type of PostgreSQL that this module sends.
public enum PostgreSQLType: Sendable, Hashable, CaseIterable {
    // The types' own names.
    case bool, int2, int4, int8, double, text, bytea
    // Arrays of one dimension.
    case boolArray, int2Array, int4Array, int8Array, textArray, byteaArray

    /// The type's number in `pg_type`, the same in every server.
    public var oid: UInt32 {
        switch self {
        case .bool: 16
        case .bytea: 17
        case .int8: 20
        case .int2: 21
        case .int4: 23
        case .text: 25
        case .double: 701
        case .boolArray: 1000
        case .byteaArray: 1001
        case .int2Array: 1005
        case .int4Array: 1007
        case .textArray: 1009
        case .int8Array: 1016
        }
    }
}

/// A parameter of a statement, or a field of a COPY.
///
/// Arrays carry batches: `… FROM unnest($1, $2)` and `… = ANY($1)` run one statement for many rows.
public enum PostgreSQLValue: Sendable, Hashable {
    /// No value, of a type that the server must know to choose an operator.
    case null(PostgreSQLType)
    /// A truth value.
    case bool(Bool)
    /// A number of 2 bytes.
    case int2(Int16)
    /// A number of 4 bytes.
    case int4(Int32)
    /// A number of 8 bytes.
    case int8(Int64)
    /// A floating-point number of 8 bytes.
    case double(Double)
    /// Text, which must not hold U+0000.
    case text(String)
    /// Bytes.
    case bytea([UInt8])
    /// Truth values, `nil` for null.
    case boolArray([Bool?])
    /// Numbers of 2 bytes, `nil` for null.
    case int2Array([Int16?])
    /// Numbers of 4 bytes, `nil` for null.
    case int4Array([Int32?])
    /// Numbers of 8 bytes, `nil` for null.
    case int8Array([Int64?])
    /// Texts, `nil` for null.
    case textArray([String?])
    /// Strings of bytes, `nil` for null.
    case byteaArray([[UInt8]?])

    /// The type under which the server gets the value.
    public var type: PostgreSQLType {
        switch self {
        case .null(let type): type
        case .bool: .bool
        case .int2: .int2
        case .int4: .int4
        case .int8: .int8
        case .double: .double
        case .text: .text
        case .bytea: .bytea
        case .boolArray: .boolArray
        case .int2Array: .int2Array
        case .int4Array: .int4Array
        case .int8Array: .int8Array
        case .textArray: .textArray
        case .byteaArray: .byteaArray
        }
    }
}

extension PostgreSQLValue {
    /// A number, or null.
    public static func int8(orNull value: Int64?) -> PostgreSQLValue { value.map { .int8($0) } ?? .null(.int8) }
    /// A number, or null.
    public static func int4(orNull value: Int32?) -> PostgreSQLValue { value.map { .int4($0) } ?? .null(.int4) }
    /// Text, or null.
    public static func text(orNull value: String?) -> PostgreSQLValue { value.map { .text($0) } ?? .null(.text) }
    /// Bytes, or null.
    public static func bytea(orNull value: [UInt8]?) -> PostgreSQLValue { value.map { .bytea($0) } ?? .null(.bytea) }
}
