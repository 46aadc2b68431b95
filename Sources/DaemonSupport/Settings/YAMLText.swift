// SPDX-License-Identifier: Apache-2.0

import Yams

/// A YAML file as dotted keys with the texts written there and their lines.
enum YAMLText {
    enum Content: Hashable {
        case scalar(String)
        case list([String])
        case empty
    }

    struct Entry: Hashable {
        let key: String
        let content: Content
        let line: Int
    }

    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    static func flatten(_ text: String) -> Result<[Entry], Problem> {
        do {
            guard let root = try Yams.compose(yaml: text) else { return .success([]) }
            if self.isEmpty(root) { return .success([]) }
            guard case .mapping = root else {
                return .failure(Problem(description: "the configuration file must be a mapping of options"))
            }
            var entries: [Entry] = []
            try self.collect(root, prefix: "", into: &entries)
            return .success(entries)
        } catch let problem as Problem {
            return .failure(problem)
        } catch let error as YamlError {
            return .failure(Problem(description: "the configuration file is not YAML: \(self.describe(error))"))
        } catch {
            return .failure(Problem(description: "the configuration file is not YAML: \(error)"))
        }
    }

    private static func collect(_ node: Node, prefix: String, into entries: inout [Entry]) throws {
        guard case .mapping(let mapping) = node else { return }
        var seen: Set<String> = []
        for (name, value) in mapping {
            let line = name.mark?.line ?? 0
            guard let text = name.scalar?.string else {
                throw Problem(description: "line \(line): an option's name must be text")
            }
            let key = prefix + text
            guard seen.insert(text).inserted else {
                throw Problem(description: "\(key) (line \(line)) is given twice")
            }
            switch value {
            case .mapping(let inner) where !inner.isEmpty:
                try self.collect(value, prefix: key + ".", into: &entries)
            case .mapping:
                entries.append(Entry(key: key, content: .empty, line: line))
            case .sequence(let sequence):
                let items = try sequence.map { item in
                    guard let text = item.scalar?.string else {
                        throw Problem(description: "\(key) (line \(line)) must be a list of texts")
                    }
                    return text
                }
                entries.append(Entry(key: key, content: .list(items), line: line))
            case .scalar(let scalar):
                entries.append(
                    Entry(key: key, content: self.isEmpty(value) ? .empty : .scalar(scalar.string), line: line)
                )
            case .alias:
                throw Problem(description: "\(key) (line \(line)): YAML aliases are not supported")
            }
        }
    }

    private static func isEmpty(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node else { return false }
        return scalar.style == .plain && (scalar.string.isEmpty || scalar.string == "~" || scalar.string == "null")
    }

    private static func describe(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "line \(mark.line): \(problem)"
        default:
            "\(error)".split(whereSeparator: \.isNewline).first.map(String.init) ?? "unreadable"
        }
    }
}
