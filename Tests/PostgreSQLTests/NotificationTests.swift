// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

@Suite("Notifications")
struct NotificationTests {
    let database: TestDatabase

    init() throws { self.database = try TestDatabase() }

    @Test("arrive in order with channel, payload and sender")
    func arrive() throws {
        let (listener, sender) = (try self.database.connect(), try self.database.connect())
        try listener.listen(to: "odd \"name\"")
        try sender.query("SELECT pg_notify($1, 'one'), pg_notify($1, 'two')", [.text("odd \"name\"")])
        let notifications = try listener.waitForNotifications(until: .now + .seconds(600))
        #expect(notifications.map(\.payload) == ["one", "two"])
        #expect(notifications.first?.channel == "odd \"name\"")
        #expect(notifications.first?.backendPID == sender.backendPID)
        #expect(try listener.waitForNotifications(until: .now).isEmpty)
    }

    @Test("that come during a statement are kept")
    func duringStatement() throws {
        let connection = try self.database.connect()
        try connection.listen(to: "here")
        try connection.execute(script: "NOTIFY here, 'self'; SELECT 1")
        #expect(try connection.waitForNotifications(until: .now + .seconds(600)).map(\.payload) == ["self"])
    }

    @Test("reach the closure of a thread that has nothing to do")
    func idleThread() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: PostgreSQLNotification.self)
        var options = PostgreSQLThreadOptions()
        options.prepare = { try $0.listen(to: "work") }
        options.onNotification = { continuation.yield($0) }
        let thread = try PostgreSQLThread(self.database.configuration(), options: options)
        try await thread.perform { _ in }
        let sender = try self.database.connect()
        try sender.execute(script: "NOTIFY work, 'wake up'")
        var iterator = stream.makeAsyncIterator()
        #expect(await iterator.next()?.payload == "wake up")
        await thread.close()
    }
}
