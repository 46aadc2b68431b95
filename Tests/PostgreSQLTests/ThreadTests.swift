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
        try await thread.perform { try $0.execute(script: "CREATE TABLE t (a int8)") }
        let (entered, release) = (Gate(), Gate())
        async let blocked: Void = thread.perform { _ in
            entered.open()
            release.wait()
        }
        await entered.opened()
        var answered = 0
        await withTaskGroup(of: Result<Void, any Error>.self) { group in
            for number in 0..<20 {
                group.addTask {
                    await Self.result {
                        try await thread.perform { connection in
                            _ = try connection.query("INSERT INTO t VALUES ($1)", [.int8(Int64(number))])
                        }
                    }
                }
            }
            async let closed: Void = thread.close()
            // Closing refuses what comes later; what it finds waiting it does.
            release.open()
            for await result in group {
                switch result {
                case .success: answered += 1
                case .failure(let error): #expect((error as? PostgreSQLError)?.code == .closed)
                }
            }
            await closed
        }
        try await blocked
        let connection = try self.database.connect()
        let count = try connection.query("SELECT count(*) FROM t").only().int(0)
        #expect(count == answered)
        #expect(try await failure { try await thread.perform { _ in } }.code == .closed)
    }

    /// A task that sleeps in the server for longer than any test takes, and has begun.
    private static func sleeper(_ thread: PostgreSQLThread) async -> Task<Void, any Error> {
        let entered = Gate()
        let task = Task {
            try await thread.perform { connection in
                entered.open()
                connection.statementTimeout = .seconds(600)
                _ = try connection.query("SELECT pg_sleep(600)")
            }
        }
        await entered.opened()
        return task
    }

    private static func result(_ work: () async throws -> Void) async -> Result<Void, any Error> {
        do { return .success(try await work()) } catch { return .failure(error) }
    }

    @Test("prepares each connection, and connects again by itself after its process was ended")
    func reconnects() async throws {
        let events = Mutex([PostgreSQLEvent]())
        var options = PostgreSQLThreadOptions()
        options.prepare = { try $0.execute(script: "SET application_name = 'prepared'") }
        options.onEvent = { event in events.withLock { $0.append(event) } }
        let thread = try PostgreSQLThread(self.database.configuration(), options: options)
        let first = try await thread.perform { $0.backendPID }
        try await self.database.terminate(first)
        let (second, name) = try await thread.perform { connection in
            let name = try connection.query("SELECT current_setting('application_name')").only().text(0)
            return (connection.backendPID, name)
        }
        #expect(first != second)
        #expect(name == "prepared")
        await thread.close()
        let seen = events.withLock { $0 }
        #expect(seen.first == .connected(backendPID: first))
        #expect(seen.last == .connected(backendPID: second))
        #expect(seen.contains { if case .lost(let error) = $0 { error.isConnectionLoss } else { false } })
    }

    @Test("connects again by itself after the server was restarted, or killed and started", arguments: [false, true])
    func restart(isKilled: Bool) async throws {
        let server = try TemporaryPostgreSQL()
        defer { _ = try? server.stop() }  // the directory goes with the process
        let database = try TestDatabase(server)
        var options = PostgreSQLThreadOptions()
        options.waitTimeout = .seconds(600)
        let thread = try PostgreSQLThread(database.configuration(), options: options)
        try await thread.perform { try $0.execute(script: "CREATE TABLE t (a int8)") }
        if isKilled { try server.kill() } else { try server.stop() }
        let down = try await failure { try await thread.perform(deadline: .now + .milliseconds(300)) { _ in } }
        #expect(down.code == .connectionFailed || down.isConnectionLoss)
        #expect(!down.isOutcomeUnknown)
        async let waiting = thread.perform { try $0.query("SELECT count(*) FROM t").only().int(0) }
        try server.start()
        #expect(try await waiting == 0)
        await thread.close()
    }

    @Test("work without a connection fails at its deadline and says why")
    func unreachable() async throws {
        let configuration = try PostgreSQLConfiguration("postgresql://tester@127.0.0.1:1/x")
        let unanswered = Gate()
        var observed = PostgreSQLThreadOptions()
        observed.onEvent = { _ in unanswered.open() }
        let thread = try PostgreSQLThread(configuration, options: observed)
        await unanswered.opened()
        let error = try await failure { try await thread.perform(deadline: .now + .milliseconds(200)) { _ in } }
        #expect(error.code == .connectionFailed)
        #expect(error.message.contains("127.0.0.1"))
        let wrong = try PostgreSQLConfiguration(
            self.database.server.tcpURL(database: self.database.name, password: "no")
        )
        let failed = Gate()
        var options = PostgreSQLThreadOptions()
        options.onEvent = { _ in failed.open() }
        let refused = try PostgreSQLThread(wrong, options: options)
        await failed.opened()
        let refusal = try await failure { try await refused.perform(deadline: .now + .milliseconds(500)) { _ in } }
        #expect(refusal.code == .authentication)
        await thread.close()
        await refused.close()
    }

    @Test("work that waits behind other work fails at its deadline, not later")
    func busy() async throws {
        var options = PostgreSQLThreadOptions()
        options.waitingBound = 1
        let thread = try PostgreSQLThread(self.database.configuration(), options: options)
        let sleeper = await Self.sleeper(thread)
        try await self.database.waitForActivity("wait_event = 'PgSleep'")
        let error = try await failure { try await thread.perform(deadline: .now + .milliseconds(100)) { _ in } }
        #expect(error.code == .timedOut)
        // There is room for one of three.
        var codes: [PostgreSQLError.Code?] = []
        await withTaskGroup(of: PostgreSQLError.Code?.self) { group in
            for _ in 0..<3 { group.addTask { (try? await failure { try await thread.perform { _ in } })?.code } }
            for await code in group {
                codes.append(code)
                if codes.count == 2 { group.cancelAll() }
            }
        }
        #expect(codes == [.busy, .busy, .cancelled])
        sleeper.cancel()
        #expect(try await failure { try await sleeper.value }.code == .cancelled)
        await thread.close()
    }

    @Test("cancelling the task cancels the statement on the server, and no later one")
    func cancellation() async throws {
        let thread = try PostgreSQLThread(self.database.configuration())
        let began = ContinuousClock.now
        let task = await Self.sleeper(thread)
        let pid = try await self.database.waitForActivity("wait_event = 'PgSleep'")
        task.cancel()
        let error = try await failure { try await task.value }
        #expect(error.code == .cancelled)
        #expect(error.sqlState == "57014")
        #expect(try await thread.perform { try $0.query("SELECT pg_backend_pid()").only().int32(0) } == pid)
        // Far from the ten minutes that the statement takes, however busy the machine is.
        #expect(ContinuousClock.now - began < .seconds(300))
        await thread.close()
    }

    @Test("a storm of cancellations never hits a statement that was not cancelled")
    func storm() async throws {
        let thread = try PostgreSQLThread(self.database.configuration())
        for round in 0..<100 {
            let task = Task { try await thread.perform { _ = try $0.query("SELECT pg_sleep(0.001)") } }
            async let innocent = thread.perform { try $0.query("SELECT $1", [.int8(Int64(round))]).only().int(0) }
            task.cancel()
            #expect(try await innocent == round)
            _ = await task.result
        }
        await thread.close()
    }

    @Test("a transaction that is left open is rolled back and reported")
    func leftOpen() async throws {
        let thread = try PostgreSQLThread(self.database.configuration())
        let error = try await failure {
            try await thread.perform { try $0.execute(script: "BEGIN; CREATE TABLE t ()") }
        }
        #expect(error.code == .misuse)
        #expect(try await !thread.perform { $0.isInTransaction })
        #expect(
            try await failure { try await thread.perform { try $0.query("SELECT * FROM t").count } }.sqlState == "42P01"
        )
        await thread.close()
    }
}
