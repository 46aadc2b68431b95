// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Computes the hashes of chosen secrets, which take a tenth of a second and 32 MiB each, on threads of its own.
///
/// A few run at a time and so many wait, in order; whoever guesses secrets can't take all processors or all memory.
final class SlowHashing: Sendable {
    /// How many hashes are computed at a time.
    static let parallel = 2
    /// How many may wait for their turn.
    static let maximumWaiting = 1_024

    private struct State {
        var running = 0
        var waiting: [(number: UInt64, turn: CheckedContinuation<Void, any Error>)] = []
        var next: UInt64 = 0
    }

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "telstar.hashing", attributes: .concurrent)

    /// Runs a computation when its turn comes.
    ///
    /// - Throws: ``MasterError/Code/busy`` if too many wait; `CancellationError` if the task is cancelled while it waits.
    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    @concurrent
    func run<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async throws -> Result {
        try await self.enter()
        defer { self.leave() }
        return await withCheckedContinuation { done in
            self.queue.async { done.resume(returning: work()) }
        }
    }

    @concurrent
    private func enter() async throws {
        let number = self.state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { turn in
                // The handler runs after the task counts as cancelled, so it finds whoever is put among the waiting here.
                let answer = self.state.withLock { state -> Result<Void, any Error>? in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.running < Self.parallel {
                        state.running += 1
                        return .success(())
                    }
                    guard state.waiting.count < Self.maximumWaiting else {
                        return .failure(
                            MasterError(.busy, "too many secrets wait to be verified; try again later")
                        )
                    }
                    state.waiting.append((number, turn))
                    return nil
                }
                if let answer { turn.resume(with: answer) }
            }
        } onCancel: {
            let turn = self.state.withLock { state in
                state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0).turn }
            }
            turn?.resume(throwing: CancellationError())
        }
    }

    private func leave() {
        let turn = self.state.withLock { state -> CheckedContinuation<Void, any Error>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst().turn }
            state.running -= 1
            return nil
        }
        turn?.resume()
    }
}
