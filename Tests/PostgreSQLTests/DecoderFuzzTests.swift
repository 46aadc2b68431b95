// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import PostgreSQL

/// What the decoders make of bytes that no server would send: an error or a value, never a crash.
@Suite("Decoders on hostile input")
struct DecoderFuzzTests {
    private let values: [PostgreSQLValue] = [
        .int8Array([1, nil, -1]), .int2Array([]), .textArray(["a", nil, "äö"]), .byteaArray([[], [1, 2, 3]]),
        .boolArray([true, nil]), .int4Array([7]), .text("text"), .int4(5), .double(1.5), .bytea([1, 2]),
    ]

    private func encoded(_ value: PostgreSQLValue) throws -> [UInt8] {
        var encoder = ValueEncoder()
        _ = try encoder.append(value)
        return encoder.bytes
    }

    /// A COPY stream of so many rows.
    private func stream(rows: Int) throws -> [UInt8] {
        var encoder = ValueEncoder()
        encoder.append(CopyDecoder.signature)
        encoder.integer(Int64(0))
        for number in 0..<rows {
            encoder.integer(Int16(3))
            try encoder.appendWithLength(.int8(Int64(number)))
            try encoder.appendWithLength(.null(.text))
            try encoder.appendWithLength(.text(String(repeating: "x", count: number % 50)))
        }
        encoder.integer(Int16(-1))
        return encoder.bytes
    }

    private func mutate(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let position = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0 where !bytes.isEmpty: bytes[position] = UInt8.random(in: 0...255, using: &random)
            case 1 where !bytes.isEmpty:
                bytes[position] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
            case 2: bytes.removeSubrange(position...)
            default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: position)
            }
        }
        return bytes
    }

    @Test("fields and arrays", arguments: [1, 2, 3] as [UInt64])
    func fields(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        var (read, refused) = (0, 0)
        for round in 0..<3_000 {
            let value = self.values[round % self.values.count]
            let message =
                round < self.values.count ? try self.encoded(value) : self.mutate(try self.encoded(value), &random)
            message.withUnsafeBytes { bytes in
                let field = FieldDecoder(bytes: bytes, type: 0, column: 0)
                let attempts: [() throws -> Void] = [
                    { _ = try field.int64() }, { _ = try field.int32() }, { _ = try field.bool() },
                    { _ = try field.double() }, { _ = try field.text() }, { _ = try field.bytea() },
                    { _ = try field.int64Array() }, { _ = try field.boolArray() }, { _ = try field.textArray() },
                    { _ = try field.byteaArray() },
                ]
                for attempt in attempts {
                    do {
                        try attempt()
                        read += 1
                    } catch {
                        refused += 1
                        #expect((error as? PostgreSQLError)?.code == .unexpectedValue)
                    }
                }
            }
        }
        #expect(read > 0 && refused > 0)
        #expect(read + refused == 30_000)
    }

    @Test("a COPY stream is cut into the same rows wherever its messages end")
    func messages() throws {
        var random = SeededGenerator(7)
        let stream = try self.stream(rows: 200)
        for _ in 0..<50 {
            var decoder = CopyDecoder()
            var numbers: [Int] = []
            var rest = stream[...]
            while !rest.isEmpty {
                let message = Array(rest.prefix(Int.random(in: 1...120, using: &random)))
                rest = rest.dropFirst(message.count)
                try message.withUnsafeBytes { bytes in
                    try decoder.feed(bytes) { row in
                        numbers.append(try row.int(0))
                        #expect(try row.isNull(1))
                        #expect(try row.text(2).utf8.count == (numbers.count - 1) % 50)
                    }
                }
            }
            #expect(numbers == Array(0..<200))
            #expect(decoder.isComplete)
        }
    }

    @Test("a damaged COPY stream is an error or rows", arguments: [4, 5, 6] as [UInt64])
    func damage(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let stream = try self.stream(rows: 20)
        var refused = 0
        for _ in 0..<2_000 {
            var decoder = CopyDecoder()
            do {
                try self.mutate(stream, &random).withUnsafeBytes { bytes in
                    try decoder.feed(bytes) { row in
                        for column in 0..<row.columns { _ = try row.withBytes(column) { $0?.count } }
                    }
                }
            } catch {
                refused += 1
                #expect((error as? PostgreSQLError)?.code == .unexpectedValue)
            }
        }
        #expect(refused > 0)
    }
}
