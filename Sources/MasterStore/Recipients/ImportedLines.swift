// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Which lines of an import have become recipients, and with which address, so that an import may be repeated.
///
/// Lines are kept in blocks of ``linesInBlock``: a call touches the few rows of the lines that it brings, however many
/// came before.
struct ImportedLines {
    /// How many lines share a row.
    static let linesInBlock = 1 << 10
    /// What a line takes in its row: its index in two bytes, the fingerprint of its address in eight.
    private static let entryLength = 10

    private struct Block {
        var stored: [UInt8] = []
        var added: [UInt8] = []

        /// Appends a line as it is stored, in network order.
        mutating func add(index: UInt16, fingerprint: UInt64) {
            withUnsafeBytes(of: index.bigEndian) { self.added.append(contentsOf: $0) }
            withUnsafeBytes(of: fingerprint.bigEndian) { self.added.append(contentsOf: $0) }
        }
    }

    private let mailing: MailingID
    private let key: String
    private var blocks: [Int: Block] = [:]
    private var fingerprints: [Int: UInt64] = [:]

    /// Reads the stored state of these lines.
    init(_ lines: some Sequence<Int>, of key: String, in mailing: MailingID, _ transaction: StoreTransaction) throws {
        self.mailing = mailing
        self.key = key
        let blocks = Set(lines.map { $0 / Self.linesInBlock })
        var stored: [(block: Int, entries: [UInt8])] = []
        try transaction.prepare(
            """
            SELECT block, entries FROM import_block
            WHERE mailing = ? AND import = ? AND block IN (SELECT value FROM json_each(?))
            """
        ).bind(1, Int(mailing.rawValue)).bind(2, key).bind(3, list: blocks.sorted().map(Int64.init))
            .rows { stored.append((try $0.int(0), try $0.blob(1))) }
        for (block, entries) in stored {
            guard entries.count.isMultiple(of: Self.entryLength) else {
                throw StoreError(.corrupt, "the lines of an import of mailing \(mailing) are damaged")
            }
            self.blocks[block] = Block(stored: entries)
            for start in stride(from: 0, to: entries.count, by: Self.entryLength) {
                let line = block * Self.linesInBlock + Int(entries[start]) << 8 + Int(entries[start + 1])
                self.fingerprints[line] = entries[(start + 2)..<(start + Self.entryLength)]
                    .reduce(0) { $0 << 8 | UInt64($1) }
            }
        }
    }

    /// Whether the line became a recipient with this address; `nil` if it became none.
    func holds(_ address: String, at line: Int) -> Bool? {
        self.fingerprints[line].map { $0 == StableHash.fnv1a(address.utf8) }
    }

    /// Notes a line that became a recipient.
    mutating func add(_ address: String, at line: Int) {
        let fingerprint = StableHash.fnv1a(address.utf8)
        self.fingerprints[line] = fingerprint
        let (block, index) = line.quotientAndRemainder(dividingBy: Self.linesInBlock)
        self.blocks[block, default: Block()].add(index: UInt16(index), fingerprint: fingerprint)
    }

    /// Writes the blocks that have changed.
    func write(_ connection: any StoreConnection) throws {
        let changed = self.blocks.filter { !$0.value.added.isEmpty }.sorted { $0.key < $1.key }
        guard !changed.isEmpty else { return }
        var rows = RowBatch("import_block", replacingBy: "mailing, import, block", count: changed.count)
        rows.add("mailing", numbers: changed.map { _ in Int64(self.mailing.rawValue) })
        rows.add("import", texts: changed.map { _ in self.key })
        rows.add("block", numbers: changed.map { Int64($0.key) })
        rows.add("entries", bytes: changed.map { $0.value.stored + $0.value.added })
        try connection.write(rows)
    }
}
