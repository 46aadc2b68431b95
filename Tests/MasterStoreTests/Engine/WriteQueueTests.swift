// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization
import Testing

@testable import MasterStore

@Suite("The queue of writing operations, over a long way to the database")
struct WriteQueueTests {
    /// A database that takes a while to begin a transaction, and counts.
    private final class FarWriter: StoreWriter {
        private final class Connection: StoreConnection {
            struct NoStatements: Error {}
            let writer: FarWriter
            let changedRows = 0
            private(set) var isInsideTransaction = false

            init(_ writer: FarWriter) { self.writer = writer }

            func prepare(_ sql: String) throws -> any StoreStatement { throw NoStatements() }
            func write(_ batch: RowBatch) throws { throw NoStatements() }
            func makePartition(_ partition: Partition) throws { throw NoStatements() }
            func removePartition(_ partition: Partition) throws -> PartitionRemoval { throw NoStatements() }
            func noteChange() {}
            func begin() throws {
                self.writer.pass(.milliseconds(100))
                self.writer.transactions.withLock { $0 += 1 }
                self.isInsideTransaction = true
            }
            func commit() throws { self.isInsideTransaction = false }
            func rollback() throws { self.isInsideTransaction = false }
            func savepoint() throws {}
            func releaseSavepoint() throws {}
            func rollbackToSavepoint() throws {}
        }

        let transactions = Mutex(0)
        private let time = Mutex(ContinuousClock.now)
        private let thread = DispatchQueue(label: "far database")

        var now: ContinuousClock.Instant { self.time.withLock { $0 } }

        func pass(_ duration: Duration) { self.time.withLock { $0 += duration } }

        func enter(_ work: @escaping @Sendable (Result<any StoreConnection, any Error>) -> Void) {
            self.thread.async { work(.success(Connection(self))) }
        }
    }

    /// Queues work behind an operation that is under way, and returns the number of transactions that it took.
    private static func transactions(behindAnOperation work: (WriteQueue, FarWriter) -> Void) async throws -> Int {
        let writer = FarWriter()
        let queue = WriteQueue(writer: writer, now: { writer.now })
        let (standing, stands) = AsyncStream.makeStream(of: Void.self)
        let gate = DispatchSemaphore(value: 0)
        queue.submit { _ in
            stands.yield()
            gate.wait()
            return {}
        }
        _ = await standing.first { true }
        work(queue, writer)
        gate.signal()
        await queue.close()
        return writer.transactions.withLock { $0 } - 1
    }

    @Test("operations share a transaction for longer when its beginning takes long")
    func group() async throws {
        let count = try await Self.transactions { queue, writer in
            for _ in 0..<3 {
                queue.submit { _ in
                    writer.pass(.milliseconds(10))
                    return {}
                }
            }
        }
        // The end of the queue may come too late for it.
        #expect(count <= 2)
    }

    @Test("renewals do not wait for their turn while the queue is at work, and so do not add up")
    func renewals() async throws {
        let count = try await Self.transactions { queue, _ in
            // More than fit into one transaction.
            for _ in 0..<1_000 { queue.submitIfIdle() }
        }
        // The end of the queue is one.
        #expect(count == 1)
    }
}
