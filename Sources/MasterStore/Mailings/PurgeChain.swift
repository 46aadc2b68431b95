// SPDX-License-Identifier: Apache-2.0

@preconcurrency internal import Dispatch
internal import MailingModel
internal import Synchronization

/// Steps of ``Deletion/purge(skipping:_:)``, one at a time, however many mailings are deleted at once: between two of
/// them every operation that waits gets its turn.
///
/// Tables that somebody has in use are skipped and tried again later, and so is a step that failed: at first soon, then
/// after longer and longer.
final class PurgeChain: Sendable {
    private struct State {
        var isRunning = false
        /// Whether something was deleted since the current step was requested.
        var isAskedAgain = false
        /// Deleted mailings of which only tables in use are left.
        var busy: [MailingID] = []
        /// Whether the purge continues by itself after a wait.
        var isWaiting = false
        /// How long tables in use are left alone, or a database that has failed.
        var patience = PurgeChain.patience.lowerBound
    }

    private static let patience: ClosedRange<Duration> = .seconds(2) ... .seconds(60)

    private let state = Mutex(State())

    /// Starts the purge, unless it is running.
    func run(on engine: any StoreEngine) {
        let mustStart = self.state.withLock { state in
            defer { state.isRunning = true }
            state.isAskedAgain = state.isRunning
            if !state.isRunning { state.busy = [] }
            return !state.isRunning
        }
        if mustStart { self.step(engine) }
    }

    private func step(_ engine: any StoreEngine) {
        let busy = self.state.withLock { $0.busy }
        engine.submit {
            try Deletion.purge(skipping: busy, $0)
        } done: { step in
            let (goesOn, wait) = self.state.withLock { state in
                switch step {
                case .goesOn:
                    state.isRunning = true
                    state.patience = Self.patience.lowerBound
                case .isBusy(let mailing): state.busy.append(mailing)
                case .finished: state.isRunning = state.isAskedAgain
                case nil: state.isRunning = false
                }
                if case .finished? = step { state.isAskedAgain = false }
                let isPutOff = !state.isRunning && (step == nil || !state.busy.isEmpty)
                guard isPutOff, !state.isWaiting else { return (state.isRunning, Duration?.none) }
                defer { state.patience = min(state.patience * 2, Self.patience.upperBound) }
                state.isWaiting = true
                return (state.isRunning, state.patience)
            }
            if goesOn { self.step(engine) }
            if let wait { self.tryAgain(after: wait, engine) }
        }
    }

    private func tryAgain(after wait: Duration, _ engine: any StoreEngine) {
        // Nothing is left to do for a store that is closed; the next start takes it up.
        guard !engine.queue.isClosed else { return }
        let patience = Int(wait / .milliseconds(1))
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(patience)) {
            self.state.withLock { $0.isWaiting = false }
            self.run(on: engine)
        }
    }
}
