// SPDX-License-Identifier: Apache-2.0

/// One field in binary form, read with every length checked.
struct FieldDecoder {
    /// What may be asked of a field, or of an array's elements.
    private enum Kind: String {
        case integer, bool = "truth value", double = "floating-point number", text, bytes

        /// Whether a type's binary form can be read so.
        func accepts(_ type: UInt32) -> Bool {
            switch (self, type) {
            case (.integer, 20), (.integer, 21), (.integer, 23), (.integer, 26), (.bool, 16), (.double, 700),
                (.double, 701), (.bytes, 17), (.bytes, 2950):
                true
            // name, text, json, xml, unknown, char(n), varchar(n).
            case (.text, 19), (.text, 25), (.text, 114), (.text, 142), (.text, 705), (.text, 1042), (.text, 1043): true
            default: false
            }
        }
    }

    /// The field's bytes, `nil` for null.
    let bytes: UnsafeRawBufferPointer?
    /// The type's number; 0 in a COPY, whose stream does not say.
    let type: UInt32
    /// The column, from 0.
    let column: Int

    var isNull: Bool { self.bytes == nil }

    func int64() throws -> Int64 {
        let bytes = try self.contents(.integer)
        guard let value = Self.int64(bytes, isUnsigned: self.type == 26) else { throw self.mismatch(.integer) }
        return value
    }

    func int32() throws -> Int32 {
        let wide = try self.int64()
        guard let value = Int32(exactly: wide) else { throw self.error("\(wide) does not fit 4 bytes") }
        return value
    }

    func bool() throws -> Bool {
        let bytes = try self.contents(.bool)
        guard bytes.count == 1 else { throw self.mismatch(.bool) }
        return bytes[0] != 0
    }

    func double() throws -> Double {
        let bytes = try self.contents(.double)
        guard let value = Self.double(bytes) else { throw self.mismatch(.double) }
        return value
    }

    func text() throws -> String {
        let bytes = try self.contents(.text)
        return try self.text(bytes)
    }

    func bytea() throws -> [UInt8] { [UInt8](try self.contents(.bytes)) }

    func int64Array() throws -> [Int64?] {
        try self.array(.integer) {
            guard let value = Self.int64($0, isUnsigned: $1 == 26) else { throw self.mismatch(.integer) }
            return value
        }
    }

    func boolArray() throws -> [Bool?] {
        try self.array(.bool) { bytes, _ in
            guard bytes.count == 1 else { throw self.mismatch(.bool) }
            return bytes[0] != 0
        }
    }

    func textArray() throws -> [String?] {
        try self.array(.text) { bytes, _ in try self.text(bytes) }
    }

    func byteaArray() throws -> [[UInt8]?] {
        try self.array(.bytes) { bytes, _ in [UInt8](bytes) }
    }

    // MARK: Steps

    private static func int64(_ bytes: UnsafeRawBufferPointer, isUnsigned: Bool) -> Int64? {
        switch bytes.count {
        case 2: Int64(Int16(bigEndian: bytes.loadUnaligned(as: Int16.self)))
        case 4 where isUnsigned: Int64(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
        case 4: Int64(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self)))
        case 8: Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
        default: nil
        }
    }

    private static func double(_ bytes: UnsafeRawBufferPointer) -> Double? {
        switch bytes.count {
        case 4: Double(Float(bitPattern: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self))))
        case 8: Double(bitPattern: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)))
        default: nil
        }
    }

    private func text(_ bytes: UnsafeRawBufferPointer) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw self.error("it is not UTF-8") }
        return text
    }

    /// The bytes of a field that is not null and of one of these types.
    private func contents(_ wanted: Kind) throws -> UnsafeRawBufferPointer {
        guard let bytes = self.bytes else { throw self.error("it is null; \(wanted.rawValue) is expected") }
        guard self.type == 0 || wanted.accepts(self.type) else { throw self.mismatch(wanted) }
        return bytes
    }

    /// Reads an array of one dimension: dimensions, a flag, the element's type, count, lower bound, elements.
    private func array<Element>(
        _ wanted: Kind,
        _ read: (UnsafeRawBufferPointer, UInt32) throws -> Element
    ) throws -> [Element?] {
        guard let bytes = self.bytes else { throw self.error("it is null; \(wanted.rawValue) is expected") }
        var position = 0
        func next() throws -> Int32 {
            guard bytes.count - position >= 4 else { throw self.mismatch(wanted) }
            defer { position += 4 }
            return Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: Int32.self))
        }
        let dimensions = try next()
        _ = try next()
        let type = UInt32(bitPattern: try next())
        guard wanted.accepts(type), dimensions == 0 || dimensions == 1 else { throw self.mismatch(wanted) }
        guard dimensions == 1 else {
            guard position == bytes.count else { throw self.mismatch(wanted) }
            return []
        }
        let count = Int(try next())
        _ = try next()
        guard count >= 0, count <= (bytes.count - position) / 4 else { throw self.mismatch(wanted) }
        var elements: [Element?] = []
        elements.reserveCapacity(count)
        for _ in 0..<count {
            let length = Int(try next())
            guard length != -1 else {
                elements.append(nil)
                continue
            }
            guard length >= 0, length <= bytes.count - position else { throw self.mismatch(wanted) }
            elements.append(try read(UnsafeRawBufferPointer(rebasing: bytes[position..<position + length]), type))
            position += length
        }
        guard position == bytes.count else { throw self.mismatch(wanted) }
        return elements
    }

    private func mismatch(_ wanted: Kind) -> PostgreSQLError {
        let type = self.type == 0 ? "" : " of type \(self.type)"
        return self.error("\(self.bytes?.count ?? 0) bytes\(type) are not \(wanted.rawValue)")
    }

    private func error(_ message: String) -> PostgreSQLError {
        PostgreSQLError(.unexpectedValue, "reading column \(self.column)", message)
    }
}
