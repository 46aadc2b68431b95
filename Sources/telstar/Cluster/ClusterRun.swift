// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Runs a cluster until a signal ends it.
enum ClusterRun {
    /// Runs until SIGTERM or SIGINT, then ends satellites before the master; a second signal ends all at once.
    ///
    /// - Parameters:
    ///   - supervisor: The cluster.
    ///   - ready: Called once when everything serves.
    /// - Throws: If a child cannot be started.
    static func untilSignalled(
        _ supervisor: ClusterSupervisor,
        ready: @escaping @Sendable (ClusterFile) -> Void
    ) async throws {
        let signals = SignalWait.stream([SIGTERM, SIGINT])
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await supervisor.run()
                return true
            }
            group.addTask {
                if let file = await supervisor.whenReady() { ready(file) }
                return false
            }
            group.addTask {
                var iterator = signals.makeAsyncIterator()
                guard await iterator.next() != nil else { return false }
                await withTaskGroup(of: Void.self) { stopping in
                    stopping.addTask { await supervisor.stop(patience: .seconds(630)) }
                    stopping.addTask {
                        var second = signals.makeAsyncIterator()
                        if await second.next() != nil { await supervisor.killAll() }
                    }
                    await stopping.next()
                    stopping.cancelAll()
                }
                return false
            }
            // The supervisor returns once every child has ended for good; the others wait for nothing then.
            while let everythingEnded = try await group.next(), !everythingEnded {}
            group.cancelAll()
        }
    }
}
