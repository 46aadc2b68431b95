// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// A conversation written down in `Dialogues`.
struct Dialogue: Sendable, CustomTestStringConvertible {
    let name: String
    private let lines: [String]

    var testDescription: String { self.name }

    /// All dialogues whose file name begins with `prefix`.
    static func files(_ prefix: String) -> [Dialogue] {
        guard let folder = Bundle.module.url(forResource: "Dialogues", withExtension: nil),
            let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        else { return [] }
        return names.filter { $0.hasPrefix(prefix) && $0.hasSuffix(".smtp") }.sorted().compactMap { name in
            guard let text = try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8) else {
                return nil
            }
            let lines = text.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
            return Dialogue(name: name, lines: lines)
        }
    }

    /// Gives each group of input lines to `step` and compares what it returns with the lines that follow.
    ///
    /// `step` may return more than one outcome at once; for lines that only set something up it returns nothing.
    func play(_ step: ([String]) throws -> [String]) throws {
        let isClient = self.name.hasPrefix("client-")
        func isOutput(_ line: String) -> Bool {
            line.hasPrefix("= ") || line.hasPrefix(isClient ? "C: " : "S: ")
        }
        var rest = self.lines[...]
        while !rest.isEmpty {
            let input = Array(rest.prefix { !isOutput($0) })
            rest = rest.dropFirst(input.count)
            let expected = Array(rest.prefix(while: isOutput))
            rest = rest.dropFirst(expected.count)
            #expect(try step(input) == expected, "in \(self.name) after \(input)")
        }
    }
}

extension String {
    /// What follows `prefix`; `nil` if the text does not begin with it.
    func after(_ prefix: String) -> String? {
        self.hasPrefix(prefix) ? String(self.dropFirst(prefix.count)) : nil
    }

    /// The same with `\n` written out.
    var replacingLineFeeds: String { self.replacingOccurrences(of: "\n", with: "\\n") }
}
