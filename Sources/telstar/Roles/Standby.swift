// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import Logging
import MasterStore
import Synchronization

/// A master that waits for its turn: its status page tells for whom.
enum Standby {
    /// For whom this process waits.
    private final class Waiting: Sendable {
        let reason = Mutex("")
    }

    private struct Status: Encodable {
        var role = "standby"
        var waitingFor: String
        var version: String
    }

    /// Opens the store, as soon as this process is the master.
    ///
    /// - Throws: ``StartFailure``, see ``StoreOpening/init(_:onWait:)``.
    static func openStore(
        _ settings: MasterSettings,
        metrics: MetricsRegistry,
        logger: Logger
    ) async throws -> StoreOpening {
        let waiting = Waiting()
        let (waits, tell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        return try await withThrowingTaskGroup(of: StoreOpening?.self) { group in
            group.addTask {
                defer { tell.finish() }
                return try await StoreOpening(settings) { text in
                    logger.notice("standby", metadata: ["reason": "\(text)"])
                    waiting.reason.withLock { $0 = text }
                    tell.yield()
                }
            }
            group.addTask {
                // Nothing is to be told unless there is somebody to wait for.
                guard await waits.first(where: { true }) != nil else { return nil }
                SupervisorNotifier(environment: ProcessInfo.processInfo.environment).ready(status: "standby")
                guard let listen = try settings.statusListen() else { return nil }
                let health = HealthListener(
                    configuration: .init(host: listen.host, port: listen.port),
                    answers: .init(
                        unreadyReasons: { ["standby: \(waiting.reason.withLock { $0 })"] },
                        status: {
                            let encoder = JSONEncoder()
                            encoder.keyEncodingStrategy = .convertToSnakeCase
                            let waitingFor = waiting.reason.withLock { $0 }
                            return Array(try encoder.encode(Status(waitingFor: waitingFor, version: Telstar.version)))
                        },
                        metrics: { metrics.exposition() }
                    ),
                    logger: logger
                )
                // Ends, and gives the port back, when the store is open.
                try await health.run()
                return nil
            }
            defer { group.cancelAll() }
            while let opening = try await group.next() {
                if let opening {
                    group.cancelAll()
                    // The listener must have gone before the master's own takes its port.
                    try await group.waitForAll()
                    return opening
                }
            }
            throw CancellationError()
        }
    }
}

/// A wait that only cancellation ends.
enum Forever {
    /// Returns when the task is cancelled.
    static func untilCancelled() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        for await _ in stream {}
        withExtendedLifetime(continuation) {}
    }
}
