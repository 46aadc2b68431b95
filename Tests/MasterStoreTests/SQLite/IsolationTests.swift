// SPDX-License-Identifier: Apache-2.0

import Dispatch
import MailingModel
import MasterStore
import Testing

@Suite("Returning to the caller")
struct IsolationTests {
    /// Runs an actor on a queue that can be asked whether it is the current one.
    private final class QueueExecutor: SerialExecutor {
        private static let key = DispatchSpecificKey<Bool>()
        private let queue = DispatchQueue(label: "isolation test")

        init() { self.queue.setSpecific(key: Self.key, value: true) }

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            self.queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
        }

        static var isCurrent: Bool { DispatchQueue.getSpecific(key: Self.key) == true }
    }

    private actor Caller {
        private let executor = QueueExecutor()
        nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

        func check(_ path: String) async throws {
            #expect(QueueExecutor.isCurrent, "before anything")
            let sqlite = try await MailingStore.open(
                SQLiteConfiguration(path: path),
                secrets: TestSecrets.make()
            )
            #expect(QueueExecutor.isCurrent, "open")
            let store: MailingStore = sqlite
            _ = try await sqlite.feedHead()
            #expect(QueueExecutor.isCurrent, "feedHead")
            _ = try await store.summary(at: Timestamp(seconds: 1))
            #expect(QueueExecutor.isCurrent, "summary")
            let hash = try await store.putBlob([1], at: Timestamp(seconds: 1))
            #expect(QueueExecutor.isCurrent, "putBlob")
            _ = try await store.blob(hash)
            #expect(QueueExecutor.isCurrent, "blob")
            _ = try await store.feed(after: 0, filter: RecipientFilter(), in: .everything, limit: 1)
            #expect(QueueExecutor.isCurrent, "feed")
            // There is none, so it throws.
            _ = try? await store.deleteMailing(MailingID(rawValue: 9), in: .everything, at: Timestamp(seconds: 1))
            #expect(QueueExecutor.isCurrent, "an operation that throws")
            try await store.close()
            #expect(QueueExecutor.isCurrent, "close")
        }
    }

    @Test("an operation returns on its caller's actor; an optimised build shows most")
    func returnsOnActor() async throws {
        try await withTemporaryDirectory { try await Caller().check($0 + "/store.db") }
    }
}
