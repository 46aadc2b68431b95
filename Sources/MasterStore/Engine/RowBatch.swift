// SPDX-License-Identifier: Apache-2.0

/// Rows of one table to be written together, column by column.
struct RowBatch {
    /// How many bytes a column of numbers has in PostgreSQL.
    enum Width {
        case two, four, eight
    }

    /// One column's values, a row each.
    enum Values {
        case numbers([Int64?], Width)
        case texts([String?])
        case bytes([[UInt8]?])
    }

    /// The table.
    let table: String
    /// The key by which a row replaces an older one; without it a second row of the same key is an error, and many rows are
    /// copied, for which each column of numbers must have the ``Width`` of the table's.
    let key: StaticString?
    /// How many rows there are.
    let count: Int
    private(set) var columns: [(name: StaticString, values: Values)] = []

    /// Begins a batch of so many rows.
    init(_ table: String, replacingBy key: StaticString? = nil, count: Int) {
        self.table = table
        self.key = key
        self.count = count
    }

    /// Adds a column of numbers.
    mutating func add(_ name: StaticString, numbers: some Sequence<Int64?>, _ width: Width = .eight) {
        self.add(name, .numbers(Array(numbers), width))
    }

    /// Adds a column of texts.
    mutating func add(_ name: StaticString, texts: some Sequence<String?>) { self.add(name, .texts(Array(texts))) }

    /// Adds a column of bytes.
    mutating func add(_ name: StaticString, bytes: some Sequence<[UInt8]?>) { self.add(name, .bytes(Array(bytes))) }

    private mutating func add(_ name: StaticString, _ values: Values) {
        let count =
            switch values {
            case .numbers(let values, _): values.count
            case .texts(let values): values.count
            case .bytes(let values): values.count
            }
        precondition(count == self.count, "column \(name) of \(self.table) has \(count) of \(self.count) values")
        self.columns.append((name, values))
    }

    /// The statement that writes the rows which `source` yields: `VALUES …` or a SELECT.
    func insertion(from source: String) -> String {
        let names = self.columns.map { "\($0.name)" }
        var sql = "INSERT INTO \(self.table)(\(names.joined(separator: ", "))) \(source)"
        if let key = self.key {
            let kept = Set("\(key)".split(separator: ",").map { $0.trimmingPrefix(" ") })
            let others = names.filter { !kept.contains($0[...]) }.map { "\($0) = excluded.\($0)" }
            sql += " ON CONFLICT(\(key)) DO UPDATE SET \(others.joined(separator: ", "))"
        }
        return sql
    }
}
