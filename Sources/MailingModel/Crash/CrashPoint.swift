// SPDX-License-Identifier: Apache-2.0
//
// Tests kill a process between any two durable steps of one recipient's way. A process started with
// `TELSTAR_CRASH_AT=name` dies by SIGKILL when it reaches that point, with `name:n` when it reaches it for the n-th
// time. Unset, a point costs one load of a constant.

import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The points before and after each durable write of one recipient's way.
public enum CrashPoint: String, Sendable, CaseIterable {
    /// A step of bringing the store's tables up to date is done, and none is committed.
    case masterWithinMigration
    /// Recipients are checked and not yet stored.
    case masterBeforeAddRecipients
    /// Recipients are stored and not yet answered for.
    case masterAfterAddRecipients
    /// A start was requested and is not yet stored.
    case masterBeforeStartMailing
    /// A start is stored and not yet answered for.
    case masterAfterStartMailing
    /// Leases are planned and not yet stored.
    case masterBeforeClaim
    /// Leases are stored and not yet sent.
    case masterAfterClaim
    /// A satellite wants to start recipients; nothing is stored.
    case masterBeforeStart
    /// Recipients are stored as started; the satellite does not know.
    case masterAfterStart
    /// Reports arrived and are not yet applied.
    case masterBeforeApply
    /// Reports are applied and not yet acknowledged.
    case masterAfterApply
    /// A mailing is to be paused and is not yet.
    case masterBeforePause
    /// A mailing is paused; its satellites do not know.
    case masterAfterPause
    /// Leases are to be revoked and are not yet.
    case masterBeforeRevoke
    /// Leases are revoked; their satellites do not know.
    case masterAfterRevoke
    /// Every recipient is terminal; the mailing is not finished yet.
    case masterBeforeFinish
    /// The mailing is finished.
    case masterAfterFinish
    /// A lease arrived and is not yet in the journal.
    case satelliteBeforeAccept
    /// A lease is in the journal and not yet acknowledged.
    case satelliteAfterAccept
    /// The message's content is on the wire; the journal says nothing of it.
    case satelliteBeforeDot
    /// The journal says that the final dot is going out; it has not.
    case satelliteAfterDot
    /// The final dot was written to the socket; no reply yet.
    case satelliteAfterFinalDotWritten
    /// The reply is here and not yet in the journal.
    case satelliteBeforeDone
    /// The outcome is in the journal and not yet reported.
    case satelliteAfterDone
    /// The report was acknowledged and is still in the journal.
    case satelliteBeforeForget
    /// The journal has forgotten the outcome.
    case satelliteAfterForget

    /// The environment variable that names the point: `name`, or `name:n` for the n-th time from 1.
    public static let environmentVariable = "TELSTAR_CRASH_AT"

    /// Kills the process if this is the crash point set for it; else does nothing.
    @inline(__always)
    public static func reached(_ point: CrashPoint) {
        if Self.isArmed { CrashPlan.armed?.reached(point) }
    }

    /// Whether a crash point is set for the process.
    public static let isArmed = CrashPlan.armed != nil
}

/// Where and when the process dies.
struct CrashPlan: Sendable, Hashable {
    /// The point.
    var point: CrashPoint
    /// At which time of reaching it, from 1.
    var occurrence: Int

    /// Reads `name` or `name:n`; `nil` if the name is unknown or the number is not 1 or more.
    init?(parsing text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, let point = CrashPoint(rawValue: String(name)) else { return nil }
        self.point = point
        guard parts.count == 2 else {
            self.occurrence = 1
            return
        }
        guard let occurrence = Int(parts[1]), occurrence >= 1 else { return nil }
        self.occurrence = occurrence
    }

    /// What the environment says, read once.
    static let armed: ArmedCrash? = getenv(CrashPoint.environmentVariable)
        .flatMap { CrashPlan(parsing: String(cString: $0)) }
        .map { ArmedCrash($0) }
}

/// A plan with its count.
final class ArmedCrash: Sendable {
    private let plan: CrashPlan
    private let count = Mutex(0)

    init(_ plan: CrashPlan) { self.plan = plan }

    func reached(_ point: CrashPoint) {
        guard point == self.plan.point, self.isTheTime() else { return }
        kill(getpid(), SIGKILL)
        while true { pause() }
    }

    /// Counts an arrival; whether it is the one to die at.
    func isTheTime() -> Bool {
        self.count.withLock { count in
            count += 1
            return count == self.plan.occurrence
        }
    }
}
