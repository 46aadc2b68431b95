// SPDX-License-Identifier: Apache-2.0

import MailMerge
import MailingModel
import TestKit
import Testing

@Suite("Template fuzzing")
struct TemplateFuzzTests {
    @Test("no mutation of the corpus makes the compiler or the renderer trap", arguments: [1, 2, 3] as [UInt64])
    func mutations(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let lines = try Corpus.lines("handwritten") + Corpus.lines("generated")
        let pieces = [
            "{{", "}}", "{%", "%}", "{#", "#}", "-", "|", "(", ")", "[", "]", "'", "\"", "\0", "é", ".", "9", "e9", "%",
            "if ", "else ", "for ", "in ", "endfor", "set ", "raw", "\\", "\r",
        ]
        let fields = try Corpus.fields().encoded()
        var compiled = 0
        for _ in 0..<1500 {
            var bytes = Array(lines[Int.random(in: 0..<lines.count, using: &random)].template.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0 where position < bytes.count: bytes.remove(at: position)
                case 1 where position < bytes.count: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 2:
                    let end = min(bytes.count, position + Int.random(in: 0...20, using: &random))
                    bytes.removeSubrange(position..<end)
                default:
                    let piece = pieces[Int.random(in: 0..<pieces.count, using: &random)]
                    bytes.insert(contentsOf: piece.utf8, at: position)
                }
            }
            let source = String(decoding: bytes, as: UTF8.self)
            guard let template = try? Template(source, autoescape: Bool.random(using: &random)) else { continue }
            compiled += 1
            var output: [UInt8] = []
            var budget = RenderBudget(steps: 20_000, bytes: 100_000)
            try? template.render(fields, into: &output, budget: &budget)
        }
        #expect(compiled > 100)
    }
}
