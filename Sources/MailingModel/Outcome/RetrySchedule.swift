// SPDX-License-Identifier: Apache-2.0

/// When a deferred recipient is tried again, and when it is given up.
public struct RetrySchedule: Sendable, Hashable {
    /// A wait that holds while fewer attempts than a limit have been made.
    public struct Step: Sendable, Hashable {
        /// Holds while fewer attempts than this were made.
        public var below: Int
        /// The wait until the next attempt.
        public var delay: Duration

        /// Composes a step.
        public init(below: Int, delay: Duration) {
            self.below = below
            self.delay = delay
        }
    }

    /// Waits in ascending order of ``Step/below``; the first that holds is taken.
    public var steps: [Step]
    /// The wait once no step holds.
    public var finalDelay: Duration
    /// The age, from the first attempt, past which a recipient is given up.
    public var giveUpAfter: Duration

    /// Composes a schedule.
    ///
    /// - Parameters:
    ///   - steps: By default CloudMailing's: 10 minutes below 3 attempts, 60 minutes below 10.
    ///   - finalDelay: By default 6 hours.
    ///   - giveUpAfter: By default 5 days; RFC 5321 §4.5.4.1 asks for at least 4 to 5.
    public init(
        steps: [Step] = [Step(below: 3, delay: .seconds(600)), Step(below: 10, delay: .seconds(3600))],
        finalDelay: Duration = .seconds(6 * 3600),
        giveUpAfter: Duration = .seconds(5 * 86_400)
    ) {
        self.steps = steps
        self.finalDelay = finalDelay
        self.giveUpAfter = giveUpAfter
    }

    /// The wait after a deferral.
    ///
    /// - Parameter tryCount: Attempts made so far, the deferred one included; from 1.
    /// - Returns: The wait until the next attempt.
    /// - Note: RFC 5321 §4.5.4.1 asks for at least 30 minutes between attempts; the first waits are shorter because
    ///   most deferrals of bulk mail are greylisting.
    public func delay(afterTries tryCount: Int) -> Duration {
        self.steps.first { tryCount < $0.below }?.delay ?? self.finalDelay
    }

    /// When to try again; the last attempt is made when the recipient's age reaches ``giveUpAfter``.
    ///
    /// - Parameters:
    ///   - tryCount: Attempts made so far, the deferred one included; from 1.
    ///   - firstTry: When the first was granted.
    ///   - now: When the deferral became known, by the master's clock.
    /// - Returns: `nil` once the recipient is given up. Saturates instead of overflowing.
    public func nextTry(afterTries tryCount: Int, firstTry: Timestamp, now: Timestamp) -> Timestamp? {
        let deadline = firstTry.advanced(by: self.giveUpAfter)
        guard now < deadline else { return nil }
        return min(now.advanced(by: self.delay(afterTries: tryCount)), deadline)
    }
}
