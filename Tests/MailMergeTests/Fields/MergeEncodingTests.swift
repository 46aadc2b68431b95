// SPDX-License-Identifier: Apache-2.0

import MailMerge
import MailingModel
import TestKit
import Testing

@Suite("The encoding of merge fields")
struct MergeEncodingTests {
    static let sample = MergeFields([
        MergeFields.Field(name: "name", value: .text("Ada é 🎉")),
        MergeFields.Field(name: "", value: .null),
        MergeFields.Field(name: "yes", value: .bool(true)),
        MergeFields.Field(name: "no", value: .bool(false)),
        MergeFields.Field(name: "small", value: .integer(-1)),
        MergeFields.Field(name: "least", value: .integer(.min)),
        MergeFields.Field(name: "most", value: .integer(.max)),
        MergeFields.Field(name: "double", value: .double(-0.1)),
        MergeFields.Field(name: "date", value: .dateTime(Timestamp(milliseconds: -1))),
        MergeFields.Field(name: "bytes", value: .bytes([0, 255])),
        MergeFields.Field(name: "list", value: .list([.integer(1), .list([]), .text("")])),
        MergeFields.Field(
            name: "map",
            value: .map(
                MergeFields([
                    MergeFields.Field(name: "z", value: .null),
                    MergeFields.Field(name: "a", value: .map(MergeFields())),
                ])
            )
        ),
    ])

    @Test("every kind of value comes back, in the order received")
    func roundTrip() throws {
        let bytes = Self.sample.encoded()
        #expect(try MergeFields(decoding: bytes) == Self.sample)
        #expect(Self.sample.encoded() == bytes)
    }

    @Test("the bytes of version 1 never change")
    func golden() {
        let fields = MergeFields([
            MergeFields.Field(name: "a", value: .text("é")), MergeFields.Field(name: "b", value: .integer(-3)),
            MergeFields.Field(name: "c", value: .list([.bool(true), .double(1)])),
            MergeFields.Field(name: "d", value: .map(MergeFields([MergeFields.Field(name: "x", value: .bytes([9]))]))),
        ])
        let expected: [UInt8] = [
            1, 4, 1, 0x61, 5, 2, 0xC3, 0xA9, 1, 0x62, 3, 5, 1, 0x63, 8, 11, 2, 2, 4, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 1,
            0x64, 9, 6, 1, 1, 0x78, 7, 1, 9,
        ]
        #expect(fields.encoded() == expected)
    }

    @Test("no bytes at all are no fields")
    func empty() throws {
        #expect(try MergeFields(decoding: []) == MergeFields())
        #expect(MergeFields().encoded() == [1, 0])
    }

    @Test("what is truncated, surplus, unknown or too deep is refused")
    func refused() {
        let bytes = Self.sample.encoded()
        for length in 1..<bytes.count {
            #expect(throws: MergeEncodingError.self) { try MergeFields(decoding: Array(bytes[..<length])) }
        }
        let bad: [[UInt8]] = [
            bytes + [0], [2, 0], [1, 1, 1, 0x61, 99], [1, 1, 1, 0x61, 5, 1, 0xFF],
            [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [1, 1, 1, 0x61, 8, 2, 1, 0, 0],
        ]
        for bytes in bad { #expect(throws: MergeEncodingError.self) { try MergeFields(decoding: bytes) } }
        var value = MergeValue.null
        for _ in 0..<70 { value = .list([value]) }
        let deep = MergeFields([MergeFields.Field(name: "a", value: value)]).encoded()
        #expect(throws: MergeEncodingError.self) { try MergeFields(decoding: deep) }
    }

    @Test("no mutation makes the decoder or a template that reads the fields trap", arguments: [7, 8] as [UInt64])
    func fuzz(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let bytes = Self.sample.encoded()
        let template = try Template(
            "{{ name }}{{ small }}{{ least }}{{ double }}{{ date }}{{ bytes }}{{ list }}{{ map }}{{ map.a }}{{ list[1] }}",
            autoescape: true
        )
        for _ in 0..<5000 {
            var mutated = bytes
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                let position = Int.random(in: 0..<mutated.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0 where mutated.count > 2: mutated.remove(at: position)
                case 1: mutated.insert(UInt8.random(in: 0...255, using: &random), at: position)
                default: mutated[position] = UInt8.random(in: 0...255, using: &random)
                }
            }
            if let fields = try? MergeFields(decoding: mutated) {
                #expect(try MergeFields(decoding: fields.encoded()).encoded() == fields.encoded())
            }
            var output: [UInt8] = []
            var budget = RenderBudget()
            try? template.render(mutated, into: &output, budget: &budget)
        }
    }
}
