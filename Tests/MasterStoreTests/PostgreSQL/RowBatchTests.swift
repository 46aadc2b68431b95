// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization
import Testing

@testable import MasterStore

/// Few rows go by a statement, many by COPY; nobody who writes them should see which.
@Suite("Rows written to PostgreSQL together", .timeLimit(.minutes(15)))
struct RowBatchTests {
    /// Rows on both sides of the border between the two ways, and some blocks of COPY.
    private static let sizes = [1, fewestCopied - 1, fewestCopied, 500, 5_000]
    private static let fewestCopied = PostgreSQLStoreConnection.fewestCopied

    private static func withTable(_ body: (MailingStore) async throws -> Void) async throws {
        try await StoreFactory.postgreSQL.withStore { fixture in
            let store = fixture.store
            try await store.write {
                try $0.prepare(
                    """
                    CREATE TABLE scratch(
                        id bigint PRIMARY KEY, small smallint, middle integer, words text, bytes bytea)
                    """
                ).run()
            }
            try await body(store)
        }
    }

    private static func batch(
        of count: Int,
        change: (inout [Int64]) -> Void = { _ in },
        last: Int64? = nil
    ) -> RowBatch {
        var ids = (0..<Int64(count)).map { $0 << 40 }
        change(&ids)
        var batch = RowBatch("scratch", count: count)
        batch.add("id", numbers: ids)
        var small: [Int64?] = ids.indices.map { $0 % 3 == 1 ? nil : -32_768 }
        if let last { small[count - 1] = last }
        batch.add("small", numbers: small, .two)
        batch.add("middle", numbers: ids.indices.map { $0 % 3 == 2 ? nil : Int64(Int32.min) + Int64($0) }, .four)
        batch.add("words", texts: ids.indices.map { $0 % 5 == 1 ? nil : $0 % 5 == 2 ? "" : "Zoë \\N\t\($0)" })
        batch.add(
            "bytes",
            bytes: ids.indices.map { $0 % 7 == 1 ? nil : $0 % 7 == 2 ? [] : [0, 0xFF, UInt8($0 % 256)] }
        )
        return batch
    }

    private static func count(_ store: MailingStore) async throws -> Int? {
        try await store.read { try $0.prepare("SELECT count(*) FROM scratch").first { try $0.int(0) } }
    }

    @Test("every value comes back as it was, null and empty ones too", arguments: Self.sizes)
    func values(count: Int) async throws {
        try await Self.withTable { store in
            let changed = try await store.write { transaction in
                try transaction.connection.write(Self.batch(of: count))
                return transaction.changedRows
            }
            #expect(changed == count)
            let wrong = try await store.read { transaction in
                var index = 0
                var wrong: [Int] = []
                try transaction.prepare("SELECT id, small, middle, words, bytes FROM scratch ORDER BY id").rows {
                    row in
                    defer { index += 1 }
                    let words = index % 5 == 1 ? nil : index % 5 == 2 ? "" : "Zoë \\N\t\(index)"
                    let bytes: [UInt8]? = index % 7 == 1 ? nil : index % 7 == 2 ? [] : [0, 0xFF, UInt8(index % 256)]
                    let isSame =
                        try row.int64(0) == Int64(index) << 40
                        && row.optionalInt64(1) == (index % 3 == 1 ? nil : -32_768)
                        && row.optionalInt64(2) == (index % 3 == 2 ? nil : Int64(Int32.min) + Int64(index))
                        && row.optionalText(3) == words && row.optionalBlob(4) == bytes
                    if !isSame { wrong.append(index) }
                }
                return index == count ? wrong : [index]
            }
            #expect(wrong.isEmpty)
        }
    }

    @Test("a number that does not fit its column ends the operation and nothing else", arguments: Self.sizes)
    func misfit(count: Int) async throws {
        try await Self.withTable { store in
            let error = await #expect(throws: StoreError.self) {
                try await store.write { try $0.connection.write(Self.batch(of: count, last: 32_768)) }
            }
            #expect(error?.code == .corrupt)
            #expect(try await Self.count(store) == 0)
            try await store.write { try $0.connection.write(Self.batch(of: count)) }
            #expect(try await Self.count(store) == count)
        }
    }

    @Test("a second row of a key is refused with all the others", arguments: Self.sizes.dropFirst())
    func doubled(count: Int) async throws {
        try await Self.withTable { store in
            let error = await #expect(throws: StoreError.self) {
                try await store.write { transaction in
                    try transaction.connection.write(Self.batch(of: count, change: { $0[count - 1] = $0[0] }))
                }
            }
            #expect(error?.code == .conflict)
            #expect(try await Self.count(store) == 0)
            try await store.write { try $0.connection.write(Self.batch(of: count)) }
            #expect(try await Self.count(store) == count)
        }
    }

    @Test("few rows are inserted and many are copied")
    func ways() async throws {
        try await Self.withTable { store in
            for words in [
                "CREATE TABLE said(words text)",
                """
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
                  AS $$ BEGIN INSERT INTO said VALUES (current_query()); RETURN NULL; END $$
                """,
                "CREATE TRIGGER noting AFTER INSERT ON scratch FOR EACH STATEMENT EXECUTE FUNCTION note()",
            ] {
                try await store.write { try $0.prepare(words).run() }
            }
            for (count, way) in [(Self.fewestCopied - 1, "INSERT INTO scratch"), (Self.fewestCopied, "COPY scratch")] {
                let said = try await store.write { transaction in
                    try transaction.connection.write(Self.batch(of: count))
                    try transaction.prepare("DELETE FROM scratch").run()
                    return try transaction.prepare("DELETE FROM said RETURNING words").first { try $0.text(0) }
                }
                #expect(said?.hasPrefix(way) == true)
            }
        }
    }

    @Test(
        "an operation whose rows are refused takes nothing from those that share its transaction",
        arguments: Self.sizes
    )
    func neighbours(count: Int) async throws {
        try await Self.withTable { store in
            let queue = store.engine.queue
            // Nothing is carried out before all of them wait.
            let gate = DispatchSemaphore(value: 0)
            queue.submit { _ in
                gate.wait()
                // For another turn, if there has to be one.
                gate.signal()
                return {}
            }
            let counts = Mutex((turns: 0, refused: 0))
            for (first, last) in [(0, nil), (1, nil), (2, 32_768), (3, nil)] as [(Int64, Int64?)] {
                queue.submit { connection in
                    counts.withLock { $0.turns += 1 }
                    try connection.write(
                        Self.batch(of: count, change: { $0 = $0.map { $0 | first } }, last: last)
                    )
                    return {}
                } failed: {
                    counts.withLock { $0.refused += 1 }
                }
            }
            gate.signal()
            // The last of the queue.
            try await store.write { _ in }
            let (turns, refused) = counts.withLock { $0 }
            #expect(turns == 4, "nobody had to be carried out again")
            #expect(refused == 1)
            #expect(try await Self.count(store) == 3 * count)
        }
    }
}
