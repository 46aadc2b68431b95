// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

@Suite("Losing the connection")
struct LossTests {
    let database: TestDatabase

    init() throws {
        self.database = try TestDatabase()
        let connection = try self.database.connect()
        try connection.execute(script: "CREATE TABLE t (a int8)")
        connection.close()
    }

    /// Runs work on another thread, and ends its connection once it does what the condition says.
    private func lose(
        when condition: String,
        _ work: @escaping @Sendable (PostgreSQLConnection) throws -> Void
    ) async throws -> PostgreSQLError {
        let thread = try PostgreSQLThread(self.database.configuration())
        let entered = Gate()
        async let error = failure {
            try await thread.perform { connection in
                entered.open()
                try work(connection)
            }
        }
        await entered.opened()
        try await self.database.terminate(try await self.database.waitForActivity(condition))
        let result = try await error
        // The thread goes on with another connection.
        #expect(try await thread.perform { try $0.query("SELECT 1").only().int(0) } == 1)
        await thread.close()
        return result
    }

    @Test("while idle: nothing was sent, so the outcome is known")
    func idle() async throws {
        let connection = try self.database.connect()
        try await self.database.terminate(connection.backendPID)
        let error = try failure { try connection.query("INSERT INTO t VALUES (1)") }
        #expect(error.isConnectionLoss)
        #expect(!error.isOutcomeUnknown)
        #expect(error.message.contains("administrator"))
        #expect(!connection.isOpen)
        #expect(try failure { try connection.execute(script: "SELECT 1") }.isConnectionLoss)
    }

    @Test("in a statement that is its own transaction: the outcome is unknown")
    func statement() async throws {
        let error = try await self.lose(when: "wait_event = 'PgSleep'") { try $0.query("SELECT pg_sleep(600)") }
        #expect(error.isConnectionLoss)
        #expect(error.isOutcomeUnknown)
        #expect(error.sqlState == "57P01")
        #expect(error.statement == "SELECT pg_sleep(600)")
    }

    @Test("in a statement of a transaction: nothing was committed")
    func transaction() async throws {
        let error = try await self.lose(when: "wait_event = 'PgSleep'") { connection in
            try connection.transaction {
                try connection.query("INSERT INTO t VALUES (1)")
                try connection.query("SELECT pg_sleep(600)")
            }
        }
        #expect(error.isConnectionLoss)
        #expect(!error.isOutcomeUnknown)
    }

    @Test("in COMMIT: the outcome is unknown")
    func commit() async throws {
        let holder = try self.holdTrigger("AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW")
        defer { holder.close() }
        let error = try await self.lose(when: "query = 'COMMIT' AND wait_event = 'advisory'") { connection in
            _ = try connection.transaction { try connection.query("INSERT INTO t VALUES (1)") }
        }
        #expect(error.isConnectionLoss)
        #expect(error.isOutcomeUnknown)
    }

    @Test("in a COPY in: nothing was committed")
    func copyIn() async throws {
        let error = try await self.lose(when: "query LIKE 'COPY t%'") { connection in
            try connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { writer in
                for number in 0... { try writer.row([.int8(Int64(number))]) }
            }
        }
        #expect(error.isConnectionLoss)
        #expect(!error.isOutcomeUnknown)
    }

    @Test(
        "after the last row of a COPY in: it is known within a transaction, and unknown without",
        arguments: [true, false]
    )
    func copyInAtItsEnd(isWithin: Bool) async throws {
        let holder = try self.holdTrigger("AFTER INSERT ON t NOT DEFERRABLE FOR EACH ROW")
        defer { holder.close() }
        let error = try await self.lose(when: "query LIKE 'COPY t%' AND wait_event = 'advisory'") { connection in
            if isWithin { try connection.execute(script: "BEGIN") }
            try connection.copyIn("COPY t FROM STDIN (FORMAT binary)") { try $0.row([.int8(1)]) }
        }
        #expect(error.isConnectionLoss)
        #expect(error.isOutcomeUnknown == !isWithin)
    }

    /// Has an insertion into the table wait, at the time that the words say, for as long as the connection is open.
    private func holdTrigger(_ words: String) throws -> PostgreSQLConnection {
        let holder = try self.database.connect()
        try holder.execute(
            script: """
                CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
                  AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
                CREATE CONSTRAINT TRIGGER holding \(words) EXECUTE FUNCTION wait();
                SELECT pg_advisory_lock(1);
                """
        )
        return holder
    }

    @Test("in a COPY out")
    func copyOut() async throws {
        let error = try await self.lose(when: "query LIKE 'COPY (%'") { connection in
            try connection.copyOut(
                "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT (FORMAT binary)"
            ) { _ in }
        }
        #expect(error.isConnectionLoss)
    }

    @Test("in a pipeline: the outcome is known until its end has been sent")
    func pipeline() async throws {
        let early = try await self.lose(when: "query LIKE 'INSERT%'") { connection in
            try connection.pipeline { pipeline in
                for number in 0... { try pipeline.query("INSERT INTO t VALUES ($1)", [.int8(Int64(number))]) }
            }
        }
        #expect(early.isConnectionLoss)
        #expect(!early.isOutcomeUnknown)
        let late = try await self.lose(when: "wait_event = 'PgSleep'") { connection in
            try connection.pipeline { try $0.query("SELECT pg_sleep(600)") }
        }
        #expect(late.isConnectionLoss)
        #expect(late.isOutcomeUnknown)
    }

    @Test("while waiting for notifications")
    func waiting() async throws {
        let connection = try self.database.connect()
        try await self.database.terminate(connection.backendPID)
        #expect(try failure { try connection.waitForNotifications(until: .now + .seconds(600)) }.isConnectionLoss)
    }
}
