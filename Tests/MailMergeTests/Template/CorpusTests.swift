// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailMerge
import MailingModel
import Testing

@Suite("Templates against Jinja2")
struct CorpusTests {
    @Test("every template of the corpus renders as Jinja2 renders it", arguments: ["handwritten", "generated"])
    func corpus(file: String) throws {
        let fields = try Corpus.fields()
        let lines = try Corpus.lines(file)
        #expect(lines.count >= 400)
        var failures: [String] = []
        for line in lines {
            let found: String?
            var reason = ""
            do {
                found = try Template(line.template, autoescape: line.autoescape).render(fields)
            } catch {
                found = nil
                reason = "\(error)"
            }
            if found != line.expected {
                failures.append(
                    "\(line.name): \(line.template.debugDescription)\n"
                        + "  wanted \(line.expected?.debugDescription ?? "an error")\n"
                        + "  found  \(found?.debugDescription ?? reason)"
                )
            }
        }
        #expect(failures.isEmpty, "\(failures.count) differ:\n\(failures.prefix(60).joined(separator: "\n"))")
    }
}

/// The committed corpus under Tests/Corpora/templates.
enum Corpus {
    struct Line {
        var name: String
        var template: String
        var autoescape: Bool
        var expected: String?
    }

    static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Corpora/templates")

    static func lines(_ file: String) throws -> [Line] {
        let text = try String(contentsOf: Self.folder.appendingPathComponent("\(file).jsonl"), encoding: .utf8)
        return try text.split(separator: "\n").map { text in
            let line = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            return Line(
                name: try #require(line["name"] as? String),
                template: try #require(line["template"] as? String),
                autoescape: try #require(line["autoescape"] as? Bool),
                expected: line["expected"] as? String
            )
        }
    }

    static func fields() throws -> MergeFields {
        let data = try Data(contentsOf: Self.folder.appendingPathComponent("context.json"))
        guard case .map(let fields) = try Self.value(try JSONSerialization.jsonObject(with: data)) else {
            throw CocoaError(.fileReadCorruptFile)
        }
        return fields
    }

    private static func value(_ tagged: Any) throws -> MergeValue {
        let tagged = try #require(tagged as? [Any])
        switch try #require(tagged.first as? String) {
        case "n": return .null
        case "s": return .text(try #require(tagged[1] as? String))
        case "i": return .integer(try #require(tagged[1] as? Int64))
        case "b": return .bool(try #require(tagged[1] as? Bool))
        case "f":
            let text = try #require(tagged[1] as? String)
            return .double(try #require(Double(text)))
        case "d":
            let text = try #require(tagged[1] as? String)
            let date = try #require(ISO8601DateFormatter().date(from: text + "Z"))
            return .dateTime(Timestamp(seconds: Int64(date.timeIntervalSince1970)))
        case "l":
            let items = try #require(tagged[1] as? [Any])
            return .list(try items.map { try Self.value($0) })
        default:
            let members = try #require(tagged[1] as? [[Any]])
            return .map(
                MergeFields(
                    try members.map { member in
                        let name = try #require(member[0] as? String)
                        return MergeFields.Field(name: name, value: try Self.value(member[1]))
                    }
                )
            )
        }
    }
}
