// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import Synchronization
import TestPostgreSQL
import Testing

@Suite("A connection on its own thread")
struct ThreadTests {
    let database: TestDatabase

    init() throws { self.database = try TestDatabase() }

    @Test("runs work in the order in which it came, and drains when closed")
    func order() async throws {
        let thread = try PostgreSQLThread(self.database.configuration())
        try await thread.perform { try $0.execute(script: "CREATE TABLE t (n serial, a int8)") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask {
                    try await thread.perform {
                        _ = try $0.query("INSERT INTO t (a) VALUES ($1)", [.int8(Int64(number))])
                    }
                }
            }
            try await group.waitForAll()
        }
        let sum = try await thread.perform { try $0.query("SELECT sum(a)::int8 FROM t").only().int(0) }
        #expect(sum == 4950)
        await thread.close()
        await #expect(throws: PostgreSQLError.self) { try await thread.perform { _ in } }
    }

    @Test("connects again by itself after its server process was ended")
    func reconnects() async throws {
        let thread = try PostgreSQLThread(self.database.configuration())
        let first = try await thread.perform { $0.backendPID }
        try self.database.terminate(first)
        let second = try await thread.perform { try $0.query("SELECT pg_backend_pid()").only().int32(0) }
        #expect(first != second)
        await thread.close()
    }
}
