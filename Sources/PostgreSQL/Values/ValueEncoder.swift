// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Values in PostgreSQL's binary form, one after another in one buffer that is used again.
///
/// The form is that of the types' `send` functions: numbers in network order, text and bytes as they are, arrays as
/// dimensions followed by elements with their lengths.
struct ValueEncoder {
    private(set) var bytes: [UInt8] = []

    /// Forgets the bytes, keeps the memory.
    mutating func removeAll() { self.bytes.removeAll(keepingCapacity: true) }

    /// Forgets the bytes from a position on.
    mutating func truncate(to count: Int) { self.bytes.removeSubrange(count...) }

    /// Appends bytes as they are.
    mutating func append(_ bytes: [UInt8]) { self.bytes.append(contentsOf: bytes) }

    /// Appends a value's bytes without its length.
    ///
    /// - Returns: `false` for null, of which there are no bytes.
    /// - Throws: ``PostgreSQLError`` with ``PostgreSQLError/Code/invalidValue``.
    mutating func append(_ value: PostgreSQLValue) throws -> Bool {
        switch value {
        case .null: return false
        case .bool(let value): self.bytes.append(value ? 1 : 0)
        case .int2(let value): self.integer(value)
        case .int4(let value): self.integer(value)
        case .int8(let value): self.integer(value)
        case .double(let value): self.integer(value.bitPattern)
        case .text(let value): try self.text(value)
        case .bytea(let value): self.bytes.append(contentsOf: value)
        case .boolArray(let values): try self.array(values, of: .bool) { $0.bytes.append($1 ? 1 : 0) }
        case .int2Array(let values): try self.array(values, of: .int2) { $0.integer($1) }
        case .int4Array(let values): try self.array(values, of: .int4) { $0.integer($1) }
        case .int8Array(let values): try self.array(values, of: .int8) { $0.integer($1) }
        case .textArray(let values): try self.array(values, of: .text) { try $0.text($1) }
        case .byteaArray(let values): try self.array(values, of: .bytea) { $0.bytes.append(contentsOf: $1) }
        }
        return true
    }

    /// Appends a value's length in 4 bytes, -1 for null, and its bytes.
    mutating func appendWithLength(_ value: PostgreSQLValue) throws {
        let position = self.bytes.count
        self.integer(Int32(-1))
        if try self.append(value) { try self.setLength(at: position) }
    }

    /// Appends a number in network order.
    mutating func integer<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.bigEndian) { self.bytes.append(contentsOf: $0) }
    }

    private mutating func text(_ value: String) throws {
        var value = value
        let isWhole = value.withUTF8 { text in
            guard let start = text.baseAddress, !text.isEmpty else { return true }
            guard memchr(start, 0, text.count) == nil else { return false }
            self.bytes.append(contentsOf: text)
            return true
        }
        guard isWhole else {
            throw PostgreSQLError(.invalidValue, "encoding a text", "PostgreSQL cannot hold U+0000 in text")
        }
    }

    private mutating func array<Element>(
        _ values: [Element?],
        of type: PostgreSQLType,
        _ append: (inout ValueEncoder, Element) throws -> Void
    ) throws {
        self.integer(Int32(values.isEmpty ? 0 : 1))
        let flags = self.bytes.count
        self.integer(Int32(0))
        self.integer(type.oid)
        guard !values.isEmpty else { return }
        guard let count = Int32(exactly: values.count) else { throw Self.tooLong }
        self.integer(count)
        self.integer(Int32(1))
        var hasNull = false
        for value in values {
            let position = self.bytes.count
            self.integer(Int32(-1))
            guard let value else {
                hasNull = true
                continue
            }
            try append(&self, value)
            try self.setLength(at: position)
        }
        if hasNull { self.bytes[flags + 3] = 1 }
    }

    /// Writes the number of bytes behind the position of a length into it.
    private mutating func setLength(at position: Int) throws {
        guard let length = Int32(exactly: self.bytes.count - position - 4) else { throw Self.tooLong }
        withUnsafeBytes(of: length.bigEndian) { length in
            for offset in 0..<4 { self.bytes[position + offset] = length[offset] }
        }
    }

    static var tooLong: PostgreSQLError {
        PostgreSQLError(.invalidValue, "encoding a value", "it is longer than PostgreSQL can hold")
    }
}

/// The parameters of one statement in the form in which libpq takes them.
struct ParameterList {
    private var encoder = ValueEncoder()
    /// Where each value starts; -1 for null.
    private var offsets: [Int] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []
    private var pointers: [UnsafePointer<CChar>?] = []
    /// The values' types.
    private(set) var types: [UInt32] = []

    /// How many bytes the values take.
    var byteCount: Int { self.encoder.bytes.count }

    /// Encodes the values of a statement in place of the last one's.
    mutating func encode(_ values: [PostgreSQLValue], for statement: String) throws {
        self.encoder.removeAll()
        self.offsets.removeAll(keepingCapacity: true)
        self.lengths.removeAll(keepingCapacity: true)
        self.types.removeAll(keepingCapacity: true)
        guard values.count <= 65_535 else {
            throw PostgreSQLError(
                .invalidValue,
                "encoding a statement's parameters",
                "there are \(values.count); PostgreSQL takes 65535",
                statement: statement
            )
        }
        for value in values {
            let start = self.encoder.bytes.count
            do {
                let isNull = try !self.encoder.append(value)
                guard let length = Int32(exactly: self.encoder.bytes.count - start) else { throw ValueEncoder.tooLong }
                self.offsets.append(isNull ? -1 : start)
                self.lengths.append(length)
                self.types.append(value.type.oid)
            } catch var error as PostgreSQLError {
                error.statement = statement
                throw error
            }
        }
        while self.formats.count < values.count { self.formats.append(1) }
    }

    /// Hands the list to libpq: count, values, lengths, formats.
    mutating func withPointers<Answer>(
        _ body: (
            Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
        ) -> Answer
    ) -> Answer {
        // A value of no bytes still needs a pointer, since none means null; the spare byte gives it one.
        self.encoder.integer(UInt8(0))
        self.pointers.removeAll(keepingCapacity: true)
        return self.encoder.bytes.withUnsafeBytes { bytes in
            for offset in self.offsets {
                let start = offset < 0 ? nil : bytes.baseAddress.map { $0 + offset }
                self.pointers.append(start?.assumingMemoryBound(to: CChar.self))
            }
            return body(Int32(self.offsets.count), self.pointers, self.lengths, self.formats)
        }
    }
}
