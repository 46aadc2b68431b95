// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// One of ``MailingStore``'s operations, by the name of its function.
struct StoreOperation: Sendable, Hashable, ExpressibleByStringLiteral {
    let name: String

    init(stringLiteral name: String) { self.name = name }

    /// Takes a name as `#function` gives it, such as `claim(_:at:lifetime:)`.
    init(function: String) { self.name = String(function.prefix { $0 != "(" }) }
}

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
    /// The leadership that another master may take over; `nil` where no other can open the database.
    var sharedLeadership: Leadership? { get }
    /// Runs a reading step of an operation on a snapshot.
    @concurrent
    func read<Answer: Sendable>(
        _ operation: StoreOperation,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer
    /// Runs a writing step of an operation; what it changed is on disk when this returns.
    ///
    /// It may run twice.
    @concurrent
    func write<Answer: Sendable>(
        _ operation: StoreOperation,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
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
    @concurrent
    func write<Answer: Sendable>(
        _ operation: StoreOperation,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        let context = self.context
        do {
            return try await self.queue.perform { try StoreTransaction.run(step, on: $0, context) }
        } catch {
            throw StoreError.wrapping(error, in: operation)
        }
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
