// SPDX-License-Identifier: Apache-2.0
//
// The civil clock dates retries, schedules and purges, so one that is wrong for five seconds must not leave its mark on what
// waits for a day. The measuring clock cannot be set: from it and a beginning follows what the civil clock should show. Small
// differences, which the keeping of time makes, are followed at once. A jump is followed only when it has stood for a while;
// until then the master goes by the time that it expected.

import Logging
import MailingModel
import Synchronization

/// The two clocks of the master: one that measures waits, one that says what day it is.
struct MasterTime: Sendable {
    /// The civil clock without short jumps; decides schedules, never waits.
    let now: @Sendable () -> Timestamp
    /// The source of ``now``, which reports jumps of the system clock.
    let civil: CivilClock
    /// Time passed since the master was made.
    let elapsed: @Sendable () -> Duration
    private let sleepUntil: @Sendable (Duration) async throws -> Void

    init(clock: any Clock<Duration>, now: @escaping @Sendable () -> Timestamp, logger: Logger) {
        self.init(measuring: clock, now: now, logger: logger)
    }

    private init<Measure: Clock<Duration>>(
        measuring clock: Measure,
        now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        let start = clock.now
        let elapsed: @Sendable () -> Duration = { start.duration(to: clock.now) }
        let civil = CivilClock(shown: now, elapsed: elapsed, logger: logger)
        self.civil = civil
        self.now = { civil.now() }
        self.elapsed = elapsed
        self.sleepUntil = { try await clock.sleep(until: start.advanced(by: $0), tolerance: nil) }
    }

    /// Waits until so much time has passed since the master was made.
    func sleep(until elapsed: Duration) async throws { try await self.sleepUntil(elapsed) }

    /// The instant on the measuring clock at which the civil clock will show a timestamp, if nobody sets it.
    ///
    /// The measuring clock is read first, so that a clock that moves in between wakes too early rather than too late.
    func elapsed(at timestamp: Timestamp) -> Duration {
        let elapsed = self.elapsed()
        return elapsed + max(.zero, timestamp.duration(since: self.now()))
    }
}

/// The civil time that the master uses.
final class CivilClock: Sendable {
    /// A difference from what was expected that has not stood long enough.
    private struct Jump {
        var by: Duration
        var since: Duration
    }

    private struct State {
        /// What the civil clock showed at the beginning of the measuring clock.
        var origin: Timestamp
        var jump: Jump?
        var hasFollowed = false
    }

    private enum Event {
        case jumped(Duration), returned, followed(Duration)
    }

    /// Differences up to this are followed at once.
    static let tolerance: Duration = .seconds(30)
    /// A jump that stands so long is followed.
    static let patience: Duration = .seconds(300)

    private let shown: @Sendable () -> Timestamp
    private let elapsed: @Sendable () -> Duration
    private let logger: Logger
    private let state: Mutex<State>

    init(
        shown: @escaping @Sendable () -> Timestamp,
        elapsed: @escaping @Sendable () -> Duration,
        logger: Logger
    ) {
        self.shown = shown
        self.elapsed = elapsed
        self.logger = logger
        self.state = Mutex(State(origin: shown().advanced(by: .zero - elapsed())))
    }

    /// The time, without jumps that have not stood long enough.
    func now() -> Timestamp {
        var elapsed = self.elapsed()
        var shown = self.shown()
        // A process that was stopped between the two readings would see a jump that never was.
        for _ in 0..<3 {
            let again = self.elapsed()
            guard again - elapsed > .seconds(1) else { break }
            elapsed = again
            shown = self.shown()
        }
        let (now, event) = self.state.withLock { Self.evaluate(&$0, shown: shown, elapsed: elapsed) }
        switch event {
        case .jumped(let difference):
            self.logger.error(
                "the system clock has jumped; the master keeps to the time before the jump until the new one has lasted",
                metadata: ["seconds": "\(difference.components.seconds)", "patience": "\(Self.patience)"]
            )
        case .returned: self.logger.notice("the system clock is back where it was expected")
        case .followed(let difference):
            self.logger.warning(
                "the system clock has kept its new time; the master follows it, and recipients that wait get new times",
                metadata: ["seconds": "\(difference.components.seconds)"]
            )
        case nil: break
        }
        return now
    }

    private static func evaluate(
        _ state: inout State,
        shown: Timestamp,
        elapsed: Duration
    ) -> (now: Timestamp, event: Event?) {
        let expected = state.origin.advanced(by: elapsed)
        let difference = shown.duration(since: expected)
        guard Self.isWide(difference) else {
            let event: Event? = state.jump == nil ? nil : .returned
            state.jump = nil
            state.origin = state.origin.advanced(by: difference)
            return (shown, event)
        }
        guard let jump = state.jump, !Self.isWide(difference - jump.by) else {
            state.jump = Jump(by: difference, since: elapsed)
            return (expected, .jumped(difference))
        }
        guard elapsed - jump.since >= Self.patience else { return (expected, nil) }
        state.origin = state.origin.advanced(by: difference)
        state.jump = nil
        state.hasFollowed = true
        return (shown, .followed(difference))
    }

    private static func isWide(_ difference: Duration) -> Bool {
        difference > Self.tolerance || difference < .zero - Self.tolerance
    }

    /// What an operator should know, or `nil`.
    var problem: String? {
        self.state.withLock { $0.jump }.map { jump in
            "the system clock jumped by \(jump.by.components.seconds) s; the master keeps to the time before until the new one "
                + "has lasted for \(Self.patience.components.seconds) s: check the clock"
        }
    }

    /// Whether a jump was followed since this was last asked.
    func takeFollowed() -> Bool {
        self.state.withLock { state in
            defer { state.hasFollowed = false }
            return state.hasFollowed
        }
    }
}
