// SPDX-License-Identifier: Apache-2.0
//
// Who may write. A master's leadership term is a row of `leadership`. Every writing transaction begins by updating
// that row, so it holds the row's lock until it ends: whoever wants to take over has to update the same row and can do
// so only between two transactions of the old master, never within one, and after that the old master's next update
// finds no row. The lock is what fences; the clock, the database's own, only decides when a standby tries.
//
// The update carries a number. When the answer to a COMMIT is lost, the number in the row decides, once the connection's
// process is gone, whether the transaction stands.

internal import MailingModel
internal import PostgreSQL
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// A master's leadership term, as an election gives it.
struct LeadershipTerm: Sendable, Hashable {
    /// The number of the term.
    var number: Int64
    /// Distinguishes it from another of the same number, after a database was set back.
    var nonce: String
    /// The store's own name.
    var storeID: String

    /// The name under which the term's connections of a kind appear in `pg_stat_activity`: `writer` or `reader`.
    func applicationName(_ kind: String) -> String { "telstar \(self.storeID) term \(self.number) \(kind)" }
}

/// A master's leadership in PostgreSQL, for one term.
final class Leadership: Sendable {
    private struct State {
        var commit: Int64 = 0
        var committed: Int64 = 0
        var loss: String?
        var heard = ContinuousClock.now
    }

    /// This leadership term.
    let term: LeadershipTerm
    /// Says once why the term is over.
    let losses: AsyncStream<String>
    private let configuration: PostgreSQLConfiguration
    private let silence: Duration
    private let state = Mutex(State())
    private let tellLoss: AsyncStream<String>.Continuation

    init(_ term: LeadershipTerm, _ configuration: PostgreSQLConfiguration, silence: Duration) {
        self.term = term
        self.silence = silence
        var configuration = configuration
        configuration.setOption("application_name", term.applicationName("reader"))
        self.configuration = configuration
        (self.losses, self.tellLoss) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
    }

    /// The database has answered the writing connection.
    func heard() { self.state.withLock { $0.heard = .now } }

    /// That the database has been silent for so long that a standby may have become leader, or `nil`.
    ///
    /// A master that is cut off learns of its successor only when the cut is over.
    var problem: String? {
        let silent = ContinuousClock.now - self.state.withLock { $0.heard }
        guard silent > self.silence else { return nil }
        return "the database has not answered for \(silent.components.seconds) s; a standby may have taken over"
    }

    /// Ends what an earlier writing connection of this term may have left in the server: one that was cut off holds the
    /// term's row for as long as the server waits for it.
    func endPredecessors(of connection: PostgreSQLConnection) throws {
        try connection.query(
            """
            SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()
            """,
            [.text(self.term.applicationName("writer"))]
        )
    }

    /// The newest commit that may be reported to others.
    var position: StorePosition {
        StorePosition(
            storeID: self.term.storeID,
            term: Term(rawValue: self.term.number),
            opening: self.term.nonce,
            number: self.state.withLock { $0.committed }
        )
    }

    /// The transaction that was begun last is committed, and has changed something.
    func committed() { self.state.withLock { $0.committed = $0.commit } }

    /// Makes sure that this master is still the leader, and that nobody takes over before the open transaction ends.
    ///
    /// - Throws: ``StoreError/Code/fenced``.
    func claim(_ connection: PostgreSQLConnection) throws {
        let number = self.state.withLock { state in
            state.commit += 1
            return state.commit
        }
        let rows = try connection.query(
            """
            UPDATE leadership SET renewed = clock_timestamp(), commit = $2
            WHERE term = $1 AND nonce = $3 AND NOT retired
            """,
            [.int8(self.term.number), .int8(number), .text(self.term.nonce)]
        )
        guard rows.affected == 1 else {
            let successor = try connection.query("SELECT term, holder FROM leadership ORDER BY term DESC LIMIT 1").first
            let name = try successor.map { "\(try $0.text(1)) (term \(try $0.int64(0)))" } ?? "somebody"
            throw self.lost("\(name) has taken over from this master (term \(self.term.number)), which must stop")
        }
    }

    /// Ends the term in order, so that a standby need not wait for silence.
    func resign(_ connection: PostgreSQLConnection) throws {
        try connection.query(
            "UPDATE leadership SET retired = TRUE WHERE term = $1 AND nonce = $2",
            [.int8(self.term.number), .text(self.term.nonce)]
        )
    }

    /// Finds out whether a transaction stands whose COMMIT was not answered.
    ///
    /// - Parameter error: How the connection was lost.
    /// - Returns: Whether everything of the transaction is on disk; if not, nothing is.
    /// - Throws: ``CommitUnknown`` if the database does not answer that for a quarter of an hour; the term is then over,
    ///   so that another process begins with what the database holds.
    func wasCommitted(lost error: PostgreSQLError) throws -> Bool {
        let number = self.state.withLock { $0.commit }
        let deadline = ContinuousClock.now + Self.patience
        var reason = error
        while ContinuousClock.now < deadline {
            do {
                let other = try PostgreSQLConnection(self.configuration)
                defer { other.close() }
                // What an administrator may have set for all clients would end it before its predecessor is gone.
                try other.query(Self.withoutLimits)
                try self.endPredecessors(of: other)
                // While its process lives, the COMMIT may still be carried out; the row's lock is then its own.
                let rows = try other.query(
                    "SELECT commit FROM leadership WHERE term = $1 AND nonce = $2 FOR UPDATE",
                    [.int8(self.term.number), .text(self.term.nonce)]
                )
                return try rows.first.map { try $0.int64(0) == number } ?? false
            } catch let error as PostgreSQLError {
                reason = error
                // The thread is the connection's own and has nothing else to do.
                usleep(100_000)
            }
        }
        _ = self.lost(
            "it could not be determined whether the last transaction was committed; the master stops, to start afresh"
        )
        throw CommitUnknown(
            reason: StoreError(
                .database,
                "it is unknown whether the last transaction was committed",
                underlying: reason
            )
        )
    }

    private func lost(_ reason: String) -> StoreError {
        let isNew = self.state.withLock { state in
            defer { state.loss = state.loss ?? reason }
            return state.loss == nil
        }
        if isNew {
            self.tellLoss.yield(reason)
            self.tellLoss.finish()
        }
        return StoreError(.fenced, reason)
    }

    /// Lifts what an administrator may have set for all clients; servers differ in which of these limits they know.
    static let withoutLimits = """
        SELECT set_config(name, '0', FALSE) FROM pg_settings
        WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'transaction_timeout')
        """

    /// How long a lost COMMIT's outcome is looked for.
    private static let patience: Duration = .seconds(900)
}
