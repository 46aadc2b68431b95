// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// A database that carries verbs out: each in a transaction, writing ones one after another.
protocol StoreEngine: Sendable {
    /// Who this store is and under which term it was opened.
    var identity: StoreIdentity { get }
    /// The newest commit of this opening.
    var position: StorePosition { get }
    /// What verbs need beside the database.
    var context: StoreContext { get }
    /// The writing verbs that wait for their turn.
    var queue: WriteQueue { get }
    /// Runs a reading verb on a snapshot.
    @concurrent
    func read<Answer: Sendable>(_ verb: @escaping @Sendable (StoreTransaction) throws -> Answer) async throws -> Answer
    /// Writes a consistent copy while everything goes on.
    @concurrent
    func backup(to path: String) async throws
    /// Notes that a copied store is the one to go on with.
    @concurrent
    func adopt() async throws
    /// Carries out what waits and closes the database.
    @concurrent
    func close() async throws
}

extension StoreEngine {
    /// Runs a writing verb; what it changed is on disk when this returns.
    ///
    /// It may run twice.
    @concurrent
    func write<Answer: Sendable>(
        _ verb: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        let context = self.context
        return try await self.queue.perform { try StoreTransaction.run(verb, on: $0, context) }
    }

    /// Runs a chore in the next transaction, and `done` with its answer once that is committed, or with `nil` if it fails.
    ///
    /// Nobody waits for it.
    func submit<Answer: Sendable>(
        _ chore: @escaping @Sendable (StoreTransaction) throws -> Answer,
        done: @escaping @Sendable (Answer?) -> Void
    ) {
        let context = self.context
        self.queue.submit {
            let answer = try StoreTransaction.run(chore, on: $0, context)
            return { done(answer) }
        } failed: {
            done(nil)
        }
    }
}
