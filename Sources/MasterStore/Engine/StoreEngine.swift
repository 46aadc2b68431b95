// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// A database that carries operations out: each in a transaction, writing ones one after another.
protocol StoreEngine: Sendable {
    /// The store's identity, and the term under which it was opened.
    var identity: StoreIdentity { get }
    /// The newest commit of this opening.
    var position: StorePosition { get }
    /// What operations need beside the database.
    var context: StoreContext { get }
    /// The writing operations that wait for their turn.
    var queue: WriteQueue { get }
    /// Runs a reading operation on a snapshot.
    @concurrent
    func read<Answer: Sendable>(
        _ operation: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer
    /// Writes a consistent copy while everything goes on.
    @concurrent
    func backup(to path: String) async throws
    /// Records that a copied store was adopted.
    @concurrent
    func adopt() async throws
    /// Finishes queued work and closes the database.
    @concurrent
    func close() async throws
}

extension StoreEngine {
    /// Runs a writing operation; what it changed is on disk when this returns.
    ///
    /// It may run twice.
    @concurrent
    func write<Answer: Sendable>(
        _ operation: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        let context = self.context
        return try await self.queue.perform { try StoreTransaction.run(operation, on: $0, context) }
    }

    /// Runs a job in the next transaction, and `done` with its answer once that is committed, or with `nil` if it fails.
    ///
    /// Nobody waits for it.
    func submit<Answer: Sendable>(
        _ job: @escaping @Sendable (StoreTransaction) throws -> Answer,
        done: @escaping @Sendable (Answer?) -> Void
    ) {
        let context = self.context
        self.queue.submit {
            let answer = try StoreTransaction.run(job, on: $0, context)
            return { done(answer) }
        } failed: {
            done(nil)
        }
    }
}
