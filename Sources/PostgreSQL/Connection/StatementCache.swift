// SPDX-License-Identifier: Apache-2.0

/// The prepared statements of one connection, by SQL text and parameter types, and which to deallocate first.
struct StatementCache {
    private struct Key: Hashable {
        let sql: String
        let types: [UInt32]
    }

    private struct Entry {
        let name: String
        var lastUse: Int
    }

    private let capacity: Int
    private var entries: [Key: Entry] = [:]
    private var uses = 0
    private var names = 0
    /// Statements that the server still keeps and nobody will use.
    private(set) var abandoned: [String] = []

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { self.entries.count }

    /// The name of a statement that is prepared.
    mutating func name(_ sql: String, _ types: [UInt32]) -> String? {
        self.uses += 1
        let key = Key(sql: sql, types: types)
        guard let index = self.entries.index(forKey: key) else { return nil }
        self.entries.values[index].lastUse = self.uses
        return self.entries.values[index].name
    }

    /// A name that was never used on this connection.
    mutating func newName() -> String {
        self.names += 1
        return "s\(self.names)"
    }

    /// Notes that a statement has been prepared.
    mutating func insert(_ sql: String, _ types: [UInt32], name: String) {
        if self.entries.count >= self.capacity,
            let oldest = self.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            self.entries.removeValue(forKey: oldest.key)
            self.abandoned.append(oldest.value.name)
        }
        self.entries[Key(sql: sql, types: types)] = Entry(name: name, lastUse: self.uses)
    }

    /// Forgets a statement that could not be prepared after all.
    mutating func remove(name: String) {
        if let index = self.entries.firstIndex(where: { $0.value.name == name }) { self.entries.remove(at: index) }
    }

    /// Forgets all statements; the server may still keep them.
    mutating func abandonAll() {
        self.abandoned.append(contentsOf: self.entries.values.map(\.name))
        self.entries.removeAll()
    }

    /// Forgets all statements, as the server has.
    mutating func removeAll() {
        self.entries.removeAll()
        self.abandoned.removeAll()
    }

    /// The statements to deallocate now.
    mutating func takeAbandoned() -> [String] {
        defer { self.abandoned.removeAll() }
        return self.abandoned
    }
}
