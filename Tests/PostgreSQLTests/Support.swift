// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

/// A fresh database on the server of this process.
struct TestDatabase {
    let server: TemporaryPostgreSQL
    let name: String

    init() throws { try self.init(TemporaryPostgreSQL.shared) }

    init(_ server: TemporaryPostgreSQL) throws {
        self.server = server
        self.name = try server.makeDatabase()
    }

    func configuration() throws -> PostgreSQLConfiguration {
        try PostgreSQLConfiguration(self.server.url(database: self.name))
    }

    func connect() throws -> PostgreSQLConnection { try PostgreSQLConnection(self.configuration()) }

    /// A connection with all rights.
    func connectAsAdmin() throws -> PostgreSQLConnection {
        try PostgreSQLConnection(try PostgreSQLConfiguration(self.server.url(database: self.name, user: "postgres")))
    }

    /// Runs work with all rights, on a thread of its own since it may take a while.
    func asAdmin<Answer: Sendable>(
        _ work: @escaping @Sendable (PostgreSQLConnection) throws -> Answer
    ) async throws -> Answer {
        let url = self.server.url(database: self.name, user: "postgres")
        let admin = try PostgreSQLThread(try PostgreSQLConfiguration(url))
        let answer = try await admin.perform(work)
        await admin.close()
        return answer
    }

    /// Ends another connection from outside, and waits until its process has gone.
    func terminate(_ pid: Int32) async throws {
        let isGone = try await self.asAdmin {
            try $0.query("SELECT pg_terminate_backend($1, 10000)", [.int4(pid)]).only().bool(0)
        }
        #expect(isGone)
    }

    /// Waits until a connection of this database does what the condition on `pg_stat_activity` says.
    ///
    /// - Returns: Its process.
    @discardableResult
    func waitForActivity(_ condition: String) async throws -> Int32 {
        let deadline = ContinuousClock.now + .seconds(600)
        let pid: Int32? = try await self.asAdmin { admin in
            while ContinuousClock.now < deadline {
                let rows = try admin.query(
                    """
                    SELECT pid FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid() AND (\(condition))
                    """
                )
                if let row = rows.first { return try row.int32(0) }
            }
            return nil
        }
        guard let pid else { throw TimedOut(what: condition) }
        return pid
    }
}

/// A condition that did not come about in time.
struct TimedOut: Error { let what: String }

/// The error of a call that must fail with one of ours.
func failure(_ work: () throws -> some Any) throws -> PostgreSQLError {
    try #require(throws: PostgreSQLError.self) { _ = try work() }
}

/// The error of work on a thread that must fail with one of ours.
func failure(_ work: () async throws -> some Any) async throws -> PostgreSQLError {
    try await #require(throws: PostgreSQLError.self) { _ = try await work() }
}

/// A generator whose numbers are the same for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
