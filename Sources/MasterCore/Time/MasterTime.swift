// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel

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
