// SPDX-License-Identifier: Apache-2.0

/// A resolver that answers from a text, for tests and demonstrations.
///
/// The format is described in `docs/fake-dns.md`. For a name, the line with that name beats the longest `*.suffix` that
/// it lies under, which beats `*`; a name that matches none does not exist. What is found there decides alone: other
/// types are "no data".
public struct FakeResolver: MailResolver {
    /// What stands at one owner name.
    private struct Node: Sendable {
        enum Trouble: Sendable { case noSuchName, serverFailure }

        var records: [DNSType: [DNSRecord]] = [:]
        var alias: String?
        var trouble: Trouble?
    }

    /// Aliases followed before giving up.
    private static let maximumAliases = 8

    private let nodes: [String: Node]
    private let policy: AddressPolicy

    /// Reads a zone text.
    ///
    /// - Parameters:
    ///   - text: One record or comment per line.
    ///   - policy: Which addresses may be connected to.
    /// - Throws: ``ZoneError`` at the first line that cannot be read.
    public init(zoneFile text: String, policy: AddressPolicy = .any) throws {
        var nodes: [String: Node] = [:]
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard let entry = try ZoneEntry(line: line, number: index + 1) else { continue }
            switch entry.value {
            case .record(let type, let record):
                nodes[entry.name, default: Node()].records[type, default: []].append(record)
            case .alias(let target): nodes[entry.name, default: Node()].alias = target
            case .noSuchName: nodes[entry.name, default: Node()].trouble = .noSuchName
            case .serverFailure: nodes[entry.name, default: Node()].trouble = .serverFailure
            }
        }
        self.nodes = nodes
        self.policy = policy
    }

    /// The hosts that take mail for a domain, by the same rules as ``UnboundResolver``'s.
    public func route(for asciiDomain: String) async -> MailRoute {
        await MailRouting.route(for: asciiDomain, policy: self.policy) { self.answer($0, $1) }
    }

    /// The TXT records of a name.
    public func textRecords(_ name: String) async -> [String] {
        guard case .records(let records, _) = self.answer(MailRouting.normalised(name), .txt) else { return [] }
        return records.compactMap { if case .text(let text) = $0 { text } else { nil } }
    }

    private func answer(_ name: String, _ type: DNSType) -> DNSAnswer {
        var name = name
        for _ in 0..<Self.maximumAliases {
            guard let node = self.node(name) else { return .noName(timeToLive: 300) }
            switch node.trouble {
            case .noSuchName: return .noName(timeToLive: 300)
            case .serverFailure: return .failure("SERVFAIL")
            case nil: break
            }
            guard let alias = node.alias else {
                let records = node.records[type] ?? []
                return records.isEmpty ? .noData(timeToLive: 300) : .records(records, timeToLive: 300)
            }
            name = alias
        }
        return .failure("a loop of CNAME records")
    }

    private func node(_ name: String) -> Node? {
        if let node = self.nodes[name] { return node }
        var rest = Substring(name)
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if let node = self.nodes["*.\(rest)"] { return node }
        }
        return self.nodes["*"]
    }
}
