// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import PostgreSQL
import TestPostgreSQL
import Testing

/// What a database does to its clients, and that no recipient is lost or doubled by it.
@Suite("Bad days of a database", .timeLimit(.minutes(15)))
struct BadDaysTests {
    /// Repeats an operation for as long as the database is the trouble.
    private static func patiently<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        while true {
            do {
                return try await operation()
            } catch let error as StoreError where error.code == .database {
                await Task.yield()
            }
        }
    }

    private static func admin(_ fixture: Fixture) throws -> PostgreSQLConnection {
        try PostgreSQLConnection(try PostgreSQLConfiguration(try fixture.location.postgreSQL().url))
    }

    @Test("T13: connections that are killed all the time cost nobody, and double nobody")
    func killedConnections() async throws {
        try await StoreFactory.postgreSQL.withStore { fixture in
            let id = try await fixture.makeMailing()
            let satellite = try await fixture.makeSatellite()
            let (store, now) = (fixture.store, fixture.now)
            let admin = try Self.admin(fixture)
            func killAll() throws {
                try admin.query(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()
                    """
                )
            }
            for round in 0..<20 {
                // The client's own ids make a call that is repeated add nobody twice.
                let drafts = Fixture.drafts(round * 50..<round * 50 + 50, domain: "d\(round).example").map { draft in
                    var draft = draft
                    draft.trackingID = draft.address
                    return draft
                }
                async let added = Self.patiently {
                    try await store.addRecipients(drafts, to: id, in: .everything, deliveryClass: .bulk, at: now)
                }
                if round % 2 == 0 { try killAll() }
                _ = try await added
                async let granted = Self.patiently {
                    let requests = try await store.backlog(at: now).map {
                        ClaimRequest(
                            mailing: $0.mailing,
                            bucket: $0.bucket,
                            deliveryClass: $0.deliveryClass,
                            isRetry: $0.isRetry,
                            satellite: satellite,
                            affinity: DomainAffinity(),
                            limit: 30
                        )
                    }
                    return try await store.claim(requests, at: now, lifetime: .seconds(600))
                }
                if round % 3 == 0 { try killAll() }
                _ = try await granted
            }
            try killAll()
            let open = try await Self.patiently { try await store.leases(of: satellite) }.reduce(0) { $0 + $1.open }
            let waiting = try await Self.patiently { try await store.backlog(at: now) }.reduce(0) { $0 + $1.count }
            #expect(open + waiting == 1_000)
            #expect(try await Self.patiently { try await store.mailing(id, in: .everything) }?.counters.total == 1_000)
            #expect(try await Self.patiently { try await store.reconcileCounters() } == 0)
            admin.close()
        }
    }

    @Test(
        "a lock that somebody else holds makes operations wait, keeps the leadership, and is over when it is over",
        arguments: [10, 100]
    )
    func foreignLock(count: Int) async throws {
        // Who waits for a lock gives up after a third of the silence.
        try await StoreFactory.postgreSQL.withStore(silence: .milliseconds(600)) { fixture in
            let id = try await fixture.makeMailing()
            let (store, now) = (fixture.store, fixture.now)
            let admin = try Self.admin(fixture)
            try admin.execute(script: "BEGIN; LOCK TABLE recipient IN ACCESS EXCLUSIVE MODE")
            let error = await #expect(throws: StoreError.self) { try await fixture.add(count, to: id) }
            #expect(error?.code == .database)
            // Other operations go on meanwhile.
            #expect(try await store.mailing(id, in: .everything)?.counters.total == 0)
            async let added = Self.patiently {
                try await store.addRecipients(
                    Fixture.drafts(0..<count, domain: "example.com"),
                    to: id,
                    in: .everything,
                    deliveryClass: .bulk,
                    at: now
                )
            }
            try admin.execute(script: "COMMIT")
            #expect(try await added.count == count)
            #expect(try await store.mailing(id, in: .everything)?.counters.total == count)
            #expect(store.identity.term.rawValue == 1)
            admin.close()
        }
    }

    @Test("limits that an administrator set for all clients do not reach the store's statements")
    func serverTimeouts() async throws {
        try await withTemporaryDirectory { directory in
            let location = StoreFactory.Location(directory: directory)
            let url = try location.postgreSQL().url
            let admin = try PostgreSQLConnection(try PostgreSQLConfiguration(url))
            let name = try admin.query("SELECT current_database()").only().text(0)
            try admin.execute(
                script: """
                    ALTER DATABASE \(name) SET statement_timeout = 1;
                    ALTER DATABASE \(name) SET idle_in_transaction_session_timeout = 1;
                    ALTER DATABASE \(name) SET default_transaction_isolation = 'serializable';
                    ALTER DATABASE \(name) SET synchronous_commit = off
                    """
            )
            admin.close()
            try await StoreFactory.postgreSQL.withStore(in: directory) { fixture in
                let id = try await fixture.makeMailing()
                try await fixture.add(1_000, to: id)
                try await fixture.deliverAll(try await fixture.makeSatellite())
                #expect(try await fixture.counters(id).delivered == 1_000)
            }
        }
    }
}
