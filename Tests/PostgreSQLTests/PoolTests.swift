// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

@Suite("A pool of connections")
struct PoolTests {
    let database: TestDatabase

    init() throws { self.database = try TestDatabase() }

    @Test("works on as many statements at once as it has connections")
    func parallel() async throws {
        let pool = try PostgreSQLPool(self.database.configuration(), connections: 3)
        let gates = (0..<3).map { _ in (entered: Gate(), release: Gate()) }
        let tasks = gates.map { gate in
            Task {
                try await pool.perform { connection in
                    gate.entered.open()
                    gate.release.wait()
                    return connection.backendPID
                }
            }
        }
        for gate in gates { await gate.entered.opened() }
        for gate in gates { gate.release.open() }
        var pids: Set<Int32> = []
        for task in tasks { pids.insert(try await task.value) }
        #expect(pids.count == 3)
        await pool.close()
    }

    @Test("answers everything while its connections are ended one after another")
    func losses() async throws {
        let pool = try PostgreSQLPool(self.database.configuration(), connections: 3)
        let database = self.database
        var (answers, losses) = (0, 0)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<500 {
                group.addTask {
                    do {
                        return try await pool.perform { try $0.query("SELECT 1").only().int(0) } == 1
                    } catch let error as PostgreSQLError where error.isConnectionLoss {
                        return false
                    }
                }
            }
            for _ in 0..<5 {
                let pid = try await pool.perform { $0.backendPID }
                try await database.asAdmin { _ = try $0.query("SELECT pg_terminate_backend($1)", [.int4(pid)]) }
            }
            for try await isAnswered in group { if isAnswered { answers += 1 } else { losses += 1 } }
        }
        #expect(answers + losses == 500)
        #expect(losses <= 5)
        await pool.close()
    }
}
