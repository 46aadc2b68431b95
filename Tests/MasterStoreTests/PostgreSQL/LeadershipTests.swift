// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailingModel
import PostgreSQL
import Synchronization
import TestPostgreSQL
import Testing

@testable import MasterStore

@Suite("The leadership of a master in PostgreSQL", .timeLimit(.minutes(15)))
struct LeadershipTests {
    private static func open(
        _ location: StoreFactory.Location,
        instance: String,
        waits: Bool = true,
        onWait: @Sendable (String) -> Void = { _ in },
        _ change: (inout PostgreSQLStoreConfiguration) -> Void = { _ in }
    ) async throws -> MailingStore {
        var configuration = try location.postgreSQL()
        configuration.holder = instance
        configuration.instance = instance
        configuration.waits = waits
        configuration.silence = .milliseconds(600)
        change(&configuration)
        return try await MailingStore.open(configuration, secrets: TestSecrets.make(), onWait: onWait)
    }

    private static func atLocation(_ body: (StoreFactory.Location) async throws -> Void) async throws {
        try await withTemporaryDirectory { try await body(StoreFactory.Location(directory: $0)) }
    }

    @Test("a second master waits, says for whom, and follows when the first closes")
    func orderly() async throws {
        try await Self.atLocation { location in
            let first = try await Self.open(location, instance: "first")
            let (waiting, signal) = AsyncStream.makeStream(of: String.self)
            async let second = Self.open(location, instance: "second", onWait: { signal.yield($0) })
            let said = await waiting.first { _ in true }
            #expect(said?.contains("first is the master (term 1)") == true)
            try await first.close()
            let store = try await second
            #expect(store.identity.term.rawValue == 2)
            #expect(store.identity.storeID == first.identity.storeID)
            try await store.close()
        }
    }

    @Test("one that shall not wait learns who is the master")
    func noWait() async throws {
        try await Self.atLocation { location in
            let first = try await Self.open(location, instance: "first")
            let error = await #expect(throws: StoreError.self) {
                _ = try await Self.open(location, instance: "second", waits: false)
            }
            #expect(error?.code == .locked)
            #expect(error?.message.contains("first (term 1)") == true)
            try await first.close()
        }
    }

    @Test("a standby that does not know the version of the tables ends, and replaces nobody")
    func olderStandby() async throws {
        try await Self.atLocation { location in
            let first = try await Self.open(location, instance: "first", onWait: { _ in }) {
                $0.silence = .seconds(600)
            }
            let (waits, signal) = AsyncStream.makeStream(of: String.self)
            let second = Task {
                try await Self.open(location, instance: "second", onWait: { signal.yield($0) }) {
                    $0.silence = .seconds(20)
                }
            }
            _ = await waits.first { _ in true }
            // As a newer version's master does. It renews so rarely that the standby would replace it soon.
            try await first.write { try $0.prepare("UPDATE store SET version = version + 1").run() }
            let error = await #expect(throws: StoreError.self) { _ = try await second.value }
            #expect(error?.code == .newerSchema)
            // It may still write.
            try await first.write { try $0.prepare("UPDATE store SET version = version - 1").run() }
            try await first.close()
        }
    }

    @Test("an earlier life of the same data directory is not waited for")
    func sameInstance() async throws {
        try await Self.atLocation { location in
            let dead = try await Self.open(location, instance: "same", onWait: { _ in }) { $0.silence = .seconds(600) }
            let store = try await Self.open(location, instance: "same", waits: false, onWait: { _ in }) {
                $0.silence = .seconds(600)
            }
            #expect(store.identity.term.rawValue == 2)
            #expect(try await Self.refusal(dead) == .fenced)
            try await store.close()
            try await dead.close()
        }
    }

    @Test("a master that stands still within a transaction is replaced, and what it then writes is refused")
    func standstill() async throws {
        try await Self.atLocation { location in
            let first = try await Self.open(location, instance: "first")
            let properties = MailingProperties(mailFrom: "a@example.org", senderName: "A")
            let before = try await Self.makeMailing(first, properties)
            // The operation holds its transaction, and the term's row with it, until it is let go: as a stopped process would.
            let (standing, stands) = AsyncStream.makeStream(of: Void.self)
            let gate = DispatchSemaphore(value: 0)
            let stuck = Task {
                try await first.write { transaction in
                    try transaction.prepare("UPDATE mailing SET subject = 'lost' WHERE id = ?")
                        .bind(1, Int(before.rawValue)).run()
                    stands.yield()
                    gate.wait()
                }
            }
            _ = await standing.first { true }
            let second = try await Self.open(location, instance: "second")
            #expect(second.identity.term.rawValue == 2)
            #expect(first.problem?.contains("a standby may have taken over") == true)
            #expect(second.problem == nil)
            // The operation that stands still keeps its fate to itself; the others are notified.
            let error = await #expect(throws: StoreError.self) { try await first.write { _ in } }
            #expect(error?.code == .database)
            let mailing = try await Self.makeMailing(second, properties)
            gate.signal()
            await #expect(throws: StoreError.self) { try await stuck.value }
            #expect(try await Self.refusal(first) == .fenced)
            let reason = await first.waitUntilFenced()
            #expect(reason?.contains("second (term 2) has taken over") == true)
            #expect(
                try await second.mailing(before, in: .everything)?.subject == "Hello",
                "the old master's transaction was undone"
            )
            #expect(mailing.rawValue > before.rawValue)
            try await first.close()
            #expect(
                try await second.countMailings(MailingFilter(), in: .everything) == 2,
                "a replaced master's end fences nobody else"
            )
            _ = try await Self.makeMailing(second, properties)
            try await second.close()
        }
    }

    @Test("a master with nothing to do notices that its database answers again")
    func idle() async throws {
        try await Self.atLocation { location in
            let store = try await Self.open(location, instance: "first")
            let admin = try PostgreSQLConnection(try PostgreSQLConfiguration(try location.postgreSQL().url))
            try admin.execute(
                script: """
                    CREATE FUNCTION signal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NOTIFY renewed; RETURN NULL; END';
                    CREATE TRIGGER signal AFTER UPDATE ON leadership EXECUTE FUNCTION signal();
                    """
            )
            try admin.execute(script: "BEGIN; LOCK TABLE leadership")
            // Each of these waits for the lock, until one learns that the database is silent.
            while store.problem == nil {
                try Task.checkCancellation()
                await #expect(throws: StoreError.self) { try await store.write { _ in } }
            }
            try admin.listen(to: "renewed")
            try admin.execute(script: "COMMIT")
            // No operation is called: it asks by itself.
            let renewals = try admin.waitForNotifications(until: .now + .seconds(600))
            #expect(!renewals.isEmpty)
            #expect(store.problem == nil)
            admin.close()
            try await store.close()
        }
    }

    @Test("a silent master that changes the tables is not replaced")
    func migrating() async throws {
        try await Self.atLocation { location in
            try await Self.open(location, instance: "first").close()
            let configuration = try PostgreSQLConfiguration(try location.postgreSQL().url)
            let master = try PostgreSQLConnection(configuration)
            try master.query(
                """
                INSERT INTO leadership(term, nonce, holder, instance, renewed)
                VALUES (9, 'n', 'first', 'first', clock_timestamp() - interval '1 hour')
                """
            )
            try master.query("SELECT pg_advisory_lock($1)", [.int8(PostgreSQLSchema.migrationLock)])
            let standby = try PostgreSQLConnection(configuration)
            let election = Election(holder: "second", instance: "second", silence: .seconds(1))
            #expect(try election.attempt(standby) == .occupied(holder: "first", term: 9))
            try master.query("SELECT pg_advisory_unlock($1)", [.int8(PostgreSQLSchema.migrationLock)])
            let outcome = try election.attempt(standby)
            guard case .elected(let term) = outcome else {
                Issue.record("still \(outcome)")
                return
            }
            #expect(term.number == 10)
            master.close()
            standby.close()
        }
    }

    @Test("a master whose transaction has many short statements is not replaced, however long it takes in all")
    func slowWay() async throws {
        try await Self.atLocation { location in
            let first = try await Self.open(location, instance: "first", onWait: { _ in }) { $0.silence = .seconds(3) }
            let (waiting, signal) = AsyncStream.makeStream(of: String.self)
            async let second = Self.open(location, instance: "second", onWait: { signal.yield($0) }) {
                $0.silence = .seconds(3)
            }
            _ = await waiting.first { _ in true }
            // As over a long way to the database: the server waits for the next statement most of the time.
            let way = DispatchSemaphore(value: 0)
            try await first.write { transaction in
                for _ in 1...20 {
                    _ = way.wait(timeout: .now() + .milliseconds(250))
                    _ = try transaction.stored(.lease)
                }
                try transaction.raise(.lease, to: 20)
            }
            #expect(try await first.highestLeaseSerial().rawValue == 20)
            #expect(first.problem == nil)
            try await first.close()
            let store = try await second
            #expect(store.identity.term.rawValue == 2)
            try await store.close()
        }
    }

    /// Why a master may not write any more; the first operations may only find that their connection was ended.
    private static func refusal(_ store: MailingStore) async throws -> StoreError.Code {
        while true {
            do {
                try await store.write { _ in }
            } catch let error as StoreError where error.code != .database {
                return error.code
            } catch is StoreError {
                await Task.yield()
            }
        }
    }

    private static func makeMailing(_ store: MailingStore, _ properties: MailingProperties) async throws -> MailingID {
        try await store.createMailing(properties, account: .root, at: Timestamp(seconds: 1)) {
            MailingContent(
                mailing: $0,
                subject: "Hello",
                body: .alternative(html: "x", plain: "x"),
                mailFrom: "a@example.org",
                senderName: "A"
            )
        }.id
    }

    @Test("a COMMIT whose answer was lost is resolved by reading back", arguments: [true, false])
    func lostAnswer(isCommitted: Bool) async throws {
        try await Self.atLocation { location in
            // No renewal in between: it would be another transaction of the same term.
            let store = try await Self.open(location, instance: "first", onWait: { _ in }) {
                $0.silence = .seconds(600)
            }
            // Nor what an opened store does by itself, which is done before the next operation; and the row must have another
            // number than the first of the leadership below.
            try await store.write { _ in }
            let engine = try #require(store.engine as? PostgreSQLEngine)
            var server = try PostgreSQLConfiguration(try location.postgreSQL().url)
            let leadership = Leadership(engine.leadership.term, server, silence: .seconds(600))
            server.setOption("application_name", engine.leadership.term.applicationName("writer"))
            let connection = try PostgreSQLConnection(server)
            try connection.execute(script: "BEGIN")
            try leadership.claim(connection)
            try connection.query("UPDATE meta SET value = 77 WHERE name = 'horizon'")
            if isCommitted { try connection.execute(script: "COMMIT") }
            let lost = try #require(throws: PostgreSQLError.self) { _ = try connection.query("SELECT 1 / 0") }
            #expect(try leadership.wasCommitted(lost: lost) == isCommitted)
            #expect(try await store.read { try $0.stored(.horizon) } == (isCommitted ? 77 : 0))
            #expect(throws: PostgreSQLError.self) { try connection.query("SELECT 1") }
            try await store.close()
        }
    }

    @Test("a server that dies in a COMMIT leaves an operation undone and a store that goes on")
    func killedInCommit() async throws {
        try await Self.atLocation { location in
            let store = try await Self.open(location, instance: "first")
            // At its first COMMIT the server process of the connection ends itself, before anything is committed.
            try await store.write { transaction in
                guard let connection = transaction.connection as? PostgreSQLStoreConnection else { return }
                try connection.connection.execute(
                    script: """
                        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
                        'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END';
                        CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON account DEFERRABLE INITIALLY DEFERRED
                        FOR EACH ROW EXECUTE FUNCTION die();
                        """
                )
            }
            let error = await #expect(throws: StoreError.self) {
                try await store.write { try $0.prepare("UPDATE account SET name = 'changed'").run() }
            }
            #expect(error?.code == .database)
            let name = try await store.read { try $0.prepare("SELECT name FROM account").first { try $0.text(0) } }
            #expect(name == "root")
            try await store.write { try $0.raise(.lease, to: 5) }
            #expect(try await store.highestLeaseSerial().rawValue == 5)
            try await store.close()
        }
    }

    @Test("refuses a newer schema, another secret and a server that may lose commits, each in one line")
    func refusals() async throws {
        try await Self.atLocation { location in
            try await Self.open(location, instance: "first").close()
            let unsafe = await #expect(throws: StoreError.self) {
                _ = try await Self.open(location, instance: "first", onWait: { _ in }) {
                    $0.acceptsUnsafeServer = false
                }
            }
            #expect(unsafe?.code == .refused)
            #expect(unsafe?.message.contains("fsync=off") == true)

            var configuration = try location.postgreSQL()
            configuration.instance = "first"
            let (closed, wrong) = (configuration, TestSecrets.makeOther())
            let secret = await #expect(throws: StoreError.self) {
                _ = try await MailingStore.open(closed, secrets: wrong, onWait: { _ in })
            }
            #expect(secret?.code == .refused)
            #expect(secret?.message.contains("secret.key") == true)

            let connection = try PostgreSQLConnection(PostgreSQLConfiguration(configuration.url))
            try connection.query("UPDATE store SET version = 99")
            let newer = await #expect(throws: StoreError.self) { _ = try await Self.open(location, instance: "first") }
            #expect(newer?.code == .newerSchema)
            #expect(try connection.query("SELECT version FROM store").only().int(0) == 99)
        }
    }

    @Test(
        "a wrong password, an unknown database and no server are distinguished",
        arguments: ["password", "database", "server"]
    )
    func wrongURL(what: String) async throws {
        let server = try TemporaryPostgreSQL.shared
        let url =
            switch what {
            case "password": server.tcpURL(database: try server.makeDatabase(), password: "wrong")
            case "database": server.tcpURL(database: "nobody_made_this")
            default: "postgresql://tester@127.0.0.1:1/x?connect_timeout=2"
            }
        let configuration = PostgreSQLStoreConfiguration(url: url, holder: "a", instance: "a")
        let error = await #expect(throws: StoreError.self) {
            _ = try await MailingStore.open(configuration, secrets: TestSecrets.make(), onWait: { _ in })
        }
        #expect(error?.code == (what == "server" ? .database : .refused), "\(String(describing: error))")
        #expect(error.map { !"\($0)".contains("wrong@") && !"\($0)".contains(TemporaryPostgreSQL.password) } == true)
    }
}
