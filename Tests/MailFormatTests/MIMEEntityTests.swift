// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailFormat
import TestKit
import Testing

@Suite("MIME entities, RFC 2045 and RFC 2046")
struct MIMEEntityTests {
    static let corpus: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: Corpus.folder("mime").path)) ?? []
        return files.filter { $0.hasSuffix(".eml") }.sorted()
    }()

    @Test("finds the corpus")
    func corpusIsThere() {
        #expect(Self.corpus.count >= 6)
    }

    @Test("sees the parts that the golden outline names", arguments: Self.corpus)
    func outlines(_ file: String) throws {
        let entity = try MIMEEntity(parsing: Corpus.bytes("mime", file))
        let outline = Self.outline(of: entity).joined(separator: "\n") + "\n"
        let golden = String(decoding: try Corpus.bytes("mime", file.replacing(".eml", with: ".outline")), as: UTF8.self)
        #expect(outline == golden)
    }

    @Test("writes an unchanged message byte for byte", arguments: Self.corpus)
    func exactness(_ file: String) throws {
        let bytes = try Corpus.bytes("mime", file)
        #expect(try MIMEEntity(parsing: bytes).serialised() == bytes)
    }

    @Test("keeps the bytes of the parts when the message changes around them", arguments: Self.corpus)
    func partsStay(_ file: String) throws {
        var entity = try MIMEEntity(parsing: Corpus.bytes("mime", file))
        let parts = entity.parts.map { $0.serialised() }
        entity.headers.append(HeaderField(name: "X-Added", text: "yes"))
        let again = try MIMEEntity(parsing: entity.serialised())
        #expect(again.header("x-added")?.text == "yes")
        #expect(again.parts.map { $0.serialised() } == parts)
        #expect(again == entity)
    }

    @Test("parses a built message into what it was built of")
    func built() throws {
        let text = MIMEEntity(
            headers: [
                HeaderField(name: "Content-Type", text: "text/plain; charset=utf-8"),
                HeaderField(name: "Content-Transfer-Encoding", text: "base64"),
            ],
            body: .leaf(Array("aGk=\r\n".utf8))
        )
        let whole = MIMEEntity(
            headers: [HeaderField(name: "Content-Type", text: "multipart/mixed; boundary=\"b 1\"")],
            body: .multipart(boundary: "b 1", parts: [text, text], preamble: [], epilogue: [])
        )
        let parsed = try MIMEEntity(parsing: whole.serialised())
        #expect(parsed.parts.count == 2)
        #expect(parsed.parts[0].decodedBody() == Array("hi".utf8))
        #expect(parsed.contentType.parameter("boundary") == "b 1")
        #expect(parsed.serialised() == whole.serialised())
    }

    @Test("refuses what exceeds a limit and nothing else")
    func limits() throws {
        #expect(throws: MIMEError.tooLarge(limit: 10)) {
            try MIMEEntity(parsing: [UInt8](repeating: 0x41, count: 11), limits: MIMELimits(bytes: 10))
        }
        #expect(throws: MIMEError.tooManyFields(limit: 1_000)) {
            try MIMEEntity(parsing: Array(String(repeating: "a: b\r\n", count: 1_001).utf8))
        }
        var nested = "Content-Type: text/plain\r\n\r\nx\r\n"
        for depth in 0..<21 {
            nested =
                "Content-Type: multipart/mixed; boundary=b\(depth)x\r\n\r\n--b\(depth)x\r\n\(nested)\r\n--b\(depth)x--\r\n"
        }
        #expect(throws: MIMEError.tooDeep(limit: 20)) { try MIMEEntity(parsing: Array(nested.utf8)) }
        let many =
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + String(repeating: "--b\r\n\r\nx\r\n", count: 1_200)
        #expect(throws: MIMEError.tooManyParts(limit: 1_000)) { try MIMEEntity(parsing: Array(many.utf8)) }
    }

    @Test("survives mutations of the corpus and still writes them as found")
    func mutations() throws {
        var random = SeededGenerator(seed: 2_045)
        let corpus = try Self.corpus.map { try Corpus.bytes("mime", $0) }
        for _ in 0..<1_000 {
            let bytes = random.mutated(corpus.randomElement(using: &random)!)
            guard let entity = try? MIMEEntity(parsing: bytes) else { continue }
            #expect(entity.serialised() == bytes)
            _ = Self.outline(of: entity)
            var changed = entity
            changed.headers.append(HeaderField(name: "X-Added", text: "yes"))
            _ = try? MIMEEntity(parsing: changed.serialised())
        }
    }

    private static func outline(of entity: MIMEEntity, level: Int = 0) -> [String] {
        let indent = String(repeating: "  ", count: level)
        var line = "\(indent)\(entity.contentType.essence)"
        if let charset = entity.contentType.parameter("charset") { line += " charset=\(charset)" }
        if let filename = entity.contentDisposition?.filename { line += " filename=\(filename)" }
        if case .leaf = entity.body {
            line += " \(entity.transferEncoding) \(entity.decodedBody().count) bytes"
            return [line]
        }
        return [line] + entity.parts.flatMap { self.outline(of: $0, level: level + 1) }
    }
}

/// The files that tests share.
enum Corpus {
    static func folder(_ name: String) -> URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
            path: "Corpora/\(name)"
        )
    }

    static func bytes(_ folder: String, _ file: String) throws -> [UInt8] {
        Array(try Data(contentsOf: self.folder(folder).appending(path: file)))
    }
}
