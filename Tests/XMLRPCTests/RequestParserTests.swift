// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing
import XMLRPC

@Suite("XML-RPC request parser")
struct RequestParserTests {
    @Test("reads each corpus document as expected, or refuses it with the expected code", arguments: CorpusDocument.all)
    func readsCorpus(document: CorpusDocument) {
        #expect(outcome(of: document.bytes) == document.expected)
    }

    @Test("the corpus is there")
    func corpusIsThere() {
        #expect(CorpusDocument.all.count > 60)
    }

    @Test("reads the same from chunks of any size", arguments: CorpusDocument.all)
    func readsChunks(document: CorpusDocument) {
        for chunk in [1, 2, 3, 5, 7, 16, 61] {
            #expect(outcome(of: document.bytes, chunk: chunk) == document.expected, "chunks of \(chunk)")
        }
    }

    @Test("reads the same when cut in two at any position")
    func readsAnyCut() throws {
        for name in ["python-add-recipients", "other-comments", "other-line-ends", "python-latin1", "other-attributes"]
        {
            let document = try #require(CorpusDocument.all.first { $0.name == name })
            for cut in 0...document.bytes.count {
                var parser = XMLRPCRequestParser()
                try parser.consume(Array(document.bytes[..<cut]))
                try parser.consume(Array(document.bytes[cut...]))
                let whole = try XMLRPCRequestParser.parse(document.bytes)
                #expect(try parser.finish() == whole, "\(name) cut at \(cut)")
            }
        }
    }

    @Test("stays in its first error")
    func staysInError() {
        var parser = XMLRPCRequestParser()
        #expect(throws: XMLRPCError.self) { try parser.consume(Array("<wrong>".utf8)) }
        let codes = [
            { try parser.consume(Array("<methodCall>".utf8)) },
            { _ = try parser.finish() },
        ].map { step in
            do {
                try step()
                return nil as XMLRPCError.Code?
            } catch {
                return (error as? XMLRPCError)?.code
            }
        }
        #expect(codes == [.unexpectedElement, .unexpectedElement])
    }

    @Test("reports where a document is wrong")
    func reportsPosition() throws {
        let document = Array("<methodCall><methodName>m</methodName><bad/></methodCall>".utf8)
        var parser = XMLRPCRequestParser()
        let error = #expect(throws: XMLRPCError.self) {
            for byte in document { try parser.consume([byte]) }
        }
        #expect(error?.offset == 43)
        #expect(error?.description == "unexpected <bad> in <methodCall> (at byte 43)")
    }

    @Test("distinguishes one struct member from another by exact name")
    func looksUpMembers() {
        var structure: XMLRPCStructure = ["a": .int(1), "A": .int(2)]
        structure["a"] = .int(3)
        structure["b"] = .nil
        #expect(structure.members.map(\.name) == ["a", "A", "b"])
        #expect(structure["a"] == .int(3))
        structure["A"] = nil
        #expect(structure["A"] == nil)
        #expect(structure.members.count == 2)
    }

    @Test("keeps the first position and last value of each of many repeated members")
    func keepsLastOfMany() {
        let members = (0..<100).map { XMLRPCStructure.Member(name: "n\($0 % 40)", value: .int($0)) }
        let structure = XMLRPCStructure(members)
        #expect(structure.members.count == 40)
        #expect(structure.members.map(\.name) == (0..<40).map { "n\($0)" })
        #expect(structure["n19"] == .int(99))
        #expect(structure["n20"] == .int(60))
    }
}

@Suite("XML-RPC limits (W4)")
struct LimitTests {
    private static let prolog = "<methodCall><methodName>m</methodName><params><param>"

    private func code(_ document: String, _ limits: XMLRPCLimits) -> String {
        outcome(of: Array(document.utf8), chunk: 4096, limits: limits)
    }

    @Test("a document of more bytes than allowed is refused at the chunk that passes the limit")
    func refusesSize() throws {
        var parser = XMLRPCRequestParser(limits: XMLRPCLimits(documentBytes: 100))
        try parser.consume(Array(Self.prolog.utf8))
        try parser.consume([UInt8](repeating: 0x20, count: 100 - Self.prolog.utf8.count))
        let error = #expect(throws: XMLRPCError.self) { try parser.consume([0x20]) }
        #expect(error?.code == .tooLarge)
    }

    @Test("one text of more bytes than allowed is refused")
    func refusesText() {
        let limits = XMLRPCLimits(textBytes: 1000)
        let text = String(repeating: "x", count: 1000)
        #expect(self.code(Self.prolog + "<value>\(text)y", limits) == "error tooLarge\n")
        #expect(self.code(Self.prolog + "<value>\(text)&amp;", limits) == "error tooLarge\n")
        #expect(self.code(Self.prolog + "<value>\(text)", limits) == "error incomplete\n")
    }

    @Test("a bomb of elements is refused at the limit")
    func refusesNodes() {
        let limits = XMLRPCLimits(nodes: 1000)
        let bomb = Self.prolog + "<value><array><data>" + String(repeating: "<value/>", count: 100_000)
        #expect(self.code(bomb, limits) == "error tooManyNodes\n")
        let rightNumber = 1000 - 7
        let call =
            Self.prolog + "<value><array><data>" + String(repeating: "<value/>", count: rightNumber)
            + "</data></array></value></param></params></methodCall>"
        #expect(self.code(call, limits).hasPrefix("method m\n"))
    }

    @Test("nesting is counted in arrays and structs, and what ended no longer counts")
    func countsDepth() {
        let limits = XMLRPCLimits(depth: 2)
        let one = "<value><array><data/></array></value>"
        let two = "<value><array><data>\(one)\(one)</data></array></value>"
        let three = "<value><array><data>\(two)</data></array></value>"
        let end = "</param></params></methodCall>"
        #expect(self.code(Self.prolog + two + end, limits).hasPrefix("method"))
        #expect(self.code(Self.prolog + three + end, limits) == "error tooDeep\n")
    }
}

@Suite("XML-RPC hostile input")
struct RequestParserFuzzTests {
    private static let pieces = [
        "<", ">", "</value>", "<value>", "<![CDATA[", "]]>", "<!--", "-->", "<?xml encoding='latin1'?>", "&", "&#x41;",
        "\u{0}", "\r", "\u{FEFF}", "<array><data>", "</data></array>", "<struct>", "<member>", "<name>", "<int>", "/>",
        "9",
    ].map { Array($0.utf8) }

    @Test("mutated documents never trap, and read the same whole and in pieces", arguments: 0..<8)
    func survivesMutation(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let corpus = CorpusDocument.all.filter { $0.bytes.count < 8_000 }
        for round in 0..<250 {
            guard var document = corpus.randomElement(using: &generator)?.bytes else { continue }
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                self.mutate(&document, corpus, &generator)
            }
            let whole = outcome(of: document)
            let chunk = Int.random(in: 1...40, using: &generator)
            #expect(outcome(of: document, chunk: chunk) == whole, "seed \(seed), round \(round), chunks of \(chunk)")
        }
    }

    private func mutate(_ document: inout [UInt8], _ corpus: [CorpusDocument], _ generator: inout SeededGenerator) {
        let position = Int.random(in: 0...document.count, using: &generator)
        let end = min(document.count, position + Int.random(in: 0...20, using: &generator))
        switch Int.random(in: 0..<6, using: &generator) {
        case 0 where position < document.count: document[position] = UInt8.random(in: 0...255, using: &generator)
        case 1: document.removeSubrange(position..<end)
        case 2: document.insert(contentsOf: document[position..<end], at: position)
        case 3: document.insert(contentsOf: Self.pieces.randomElement(using: &generator) ?? [], at: position)
        case 4: document.removeSubrange(position...)
        default:
            guard let other = corpus.randomElement(using: &generator)?.bytes, !other.isEmpty else { return }
            let start = Int.random(in: 0..<other.count, using: &generator)
            document.replaceSubrange(position..., with: other[start...])
        }
    }
}
