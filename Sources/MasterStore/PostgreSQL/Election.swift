// SPDX-License-Identifier: Apache-2.0

internal import PostgreSQL

/// Makes this process the master, if nobody is, or who is has been silent for too long or is an earlier life of ours.
struct Election: Sendable {
    /// How one attempt ended.
    enum Outcome: Sendable, Hashable {
        /// This process is the leader.
        case elected(LeadershipTerm)
        /// Another is.
        case occupied(holder: String, term: Int64)
    }

    let holder: String
    let instance: String
    let silence: Duration

    /// Makes the tables that an election needs, and looks whether this process could become leader at all.
    ///
    /// - Parameters:
    ///   - connection: Any connection of the program's role.
    ///   - check: Refuses what this process could not live with.
    /// - Throws: ``StoreError/Code/newerSchema``, and what `check` throws.
    func prepare(_ connection: PostgreSQLConnection, check: (PostgreSQLConnection) throws -> Void) throws {
        try connection.transaction {
            try self.lock(connection)
            // The tables are looked for first, since a standby may lack the right to make them.
            let isThere = try connection.query("SELECT to_regclass('leadership') IS NOT NULL").only().bool(0)
            if !isThere { try connection.execute(script: PostgreSQLSchema.foundation) }
            _ = try PostgreSQLSchema.version(connection)
            try check(connection)
        }
    }

    /// Tries once: takes over if nobody is the leader, or if who is has been silent too long by the database's own clock.
    func attempt(_ connection: PostgreSQLConnection) throws -> Outcome {
        try connection.transaction {
            // Those who want to become leader try one after the other; who is the leader does not take this lock.
            try self.lock(connection)
            // A standby of an older version could not serve the store, and must not replace whoever does.
            _ = try PostgreSQLSchema.version(connection)
            let newest = try connection.query(
                """
                SELECT term, holder, retired, instance = $2, renewed < clock_timestamp() - $1 * interval '1 millisecond'
                FROM leadership ORDER BY term DESC LIMIT 1
                """,
                [.double(self.silenceMilliseconds), .text(self.instance)]
            ).first
            let storeID = try connection.query("SELECT id FROM store").only().text(0)
            guard let newest else { return try self.becomeLeader(after: 0, storeID, connection) }
            let term = try newest.int64(0)
            let holder = try newest.text(1)
            if try newest.bool(2) { return try self.becomeLeader(after: term, storeID, connection) }
            let old = LeadershipTerm(number: term, nonce: "", storeID: storeID)
            let isOurs = try newest.bool(3)
            guard try isOurs || newest.bool(4), try !self.isBusy(old, isOurs: isOurs, connection),
                try connection.query(
                    "SELECT pg_try_advisory_xact_lock($1)",
                    [.int8(PostgreSQLSchema.migrationLock)]
                ).only().bool(0), try self.fence(old, connection)
            else {
                return .occupied(holder: holder, term: term)
            }
            return try self.becomeLeader(after: term, storeID, connection)
        }
    }

    private var silenceMilliseconds: Double { self.silence / .milliseconds(1) }

    /// Whether the master's writing connection is at work: in a statement begun not long ago, or not long after one.
    ///
    /// The master renews when a transaction is over, which takes a while where the way to the database is long. An earlier
    /// life of ours sends no more statements, but the server may still carry the last one out.
    private func isBusy(
        _ term: LeadershipTerm,
        isOurs: Bool,
        _ connection: PostgreSQLConnection
    ) throws -> Bool {
        try connection.query(
            """
            SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1
                AND CASE WHEN $3 = 0 THEN greatest(query_start, state_change)
                    WHEN state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' THEN query_start
                    END > clock_timestamp() - $2 * interval '1 millisecond')
            """,
            [.text(term.applicationName("writer")), .double(self.silenceMilliseconds), .int8(isOurs ? 1 : 0)]
        ).only().bool(0)
    }

    /// Ends the connections of a silent master, which may hold its row, and fences it.
    ///
    /// - Returns: `false` if it has been heard of after all.
    private func fence(_ old: LeadershipTerm, _ connection: PostgreSQLConnection) throws -> Bool {
        try connection.query(
            """
            SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name IN ($1, $2)
            """,
            [.text(old.applicationName("writer")), .text(old.applicationName("reader"))]
        )
        try connection.execute(script: "SET LOCAL lock_timeout = '2s'")
        do {
            return try connection.query(
                """
                UPDATE leadership SET retired = TRUE
                WHERE term = $1 AND NOT retired
                AND (instance = $3 OR renewed < clock_timestamp() - $2 * interval '1 millisecond')
                """,
                [.int8(old.number), .double(self.silenceMilliseconds), .text(self.instance)]
            ).affected == 1
        } catch let error as PostgreSQLError where error.sqlState == "55P03" {
            // It still holds its row; the next attempt comes soon.
            throw StoreError(.locked, "the silent master of term \(old.number) still holds its row", underlying: error)
        }
    }

    private func becomeLeader(
        after term: Int64,
        _ storeID: String,
        _ connection: PostgreSQLConnection
    ) throws -> Outcome {
        let nonce = String(UInt64.random(in: 0 ... .max), radix: 36)
        try connection.query(
            "INSERT INTO leadership(term, nonce, holder, instance) VALUES ($1, $2, $3, $4)",
            [.int8(term + 1), .text(nonce), .text(self.holder), .text(self.instance)]
        )
        try connection.query("DELETE FROM leadership WHERE term <= $1", [.int8(term - 100)])
        return .elected(LeadershipTerm(number: term + 1, nonce: nonce, storeID: storeID))
    }

    private func lock(_ connection: PostgreSQLConnection) throws {
        try connection.query("SELECT pg_advisory_xact_lock($1)", [.int8(PostgreSQLSchema.lock)])
    }
}
