// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Glibc
import Logging
import MailingModel
import SatelliteJournal
import Synchronization

/// What is known of the satellite as a whole: what keeps it from taking work, and whether it is to end.
///
/// Each change that an operator should know of is logged once, however often it is noted.
final class Condition: Sendable {
    /// All of it, for the status.
    struct Facts: Sendable {
        /// Why the master last rejected this satellite, or `nil`.
        var rejection: String?
        /// The journal has no room for leases.
        var isDiskFull = false
        /// When a lease last found no room.
        var diskFullSince: ContinuousClock.Instant?
        /// What this process lacks to open connections or to look domains up.
        var shortage: String?
        /// Why the resolver is held unable.
        var resolverTrouble: String?
        /// An orderly end was asked for.
        var isStopping = false
        /// Another process with the same key has taken over.
        var isSuperseded = false
        /// Why nothing may be sent any more.
        var failure: SatelliteError?
    }

    /// How long a journal that was full is left alone before leases are taken again.
    private static let diskRetry: Duration = .seconds(5)

    private let state = Mutex(Facts())
    private let ending = Signal()
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// What is known now.
    var facts: Facts { self.state.withLock { $0 } }

    // MARK: Work

    /// Whether no more recipients are taken: the journal has no room, the process lacks something, or it is to end.
    var takesNothing: Bool { self.state.withLock { $0.isDiskFull || $0.isStopping || $0.shortage != nil } }

    /// A master has accepted this satellite.
    func accepted() { self.state.withLock { $0.rejection = nil } }

    /// The master rejects this satellite; logged once for each reason, and the link tries again by itself.
    func rejected(_ rejection: Rejection) {
        let isNew = self.state.withLock { state in
            defer { state.rejection = rejection.text }
            return state.rejection != rejection.text
        }
        guard isNew else { return }
        self.logger.error(
            "the master rejects this satellite; it keeps asking",
            metadata: ["reason": "\(rejection.text)"]
        )
    }

    /// The journal had no room for a lease.
    func diskFull(_ reason: JournalError, now: ContinuousClock.Instant) {
        let isFirst = self.state.withLock { state in
            defer {
                state.isDiskFull = true
                state.diskFullSince = now
            }
            return !state.isDiskFull
        }
        guard isFirst else { return }
        self.logger.error(
            "no room for leases in the journal; work in hand goes on, new work is refused until there is room",
            metadata: ["reason": "\(reason.description)"]
        )
    }

    /// Forgets that the journal was full after a while: only the next lease can show whether it still is.
    ///
    /// - Returns: Whether leases are taken again.
    func retryDisk(now: ContinuousClock.Instant) -> Bool {
        self.state.withLock { state in
            guard state.isDiskFull, let since = state.diskFullSince, now - since > Self.diskRetry else { return false }
            state.isDiskFull = false
            return true
        }
    }

    /// Notes what the scheduler says that this process lacks, or that it lacks nothing.
    ///
    /// - Returns: Whether a shortage has begun or is over.
    func note(_ shortage: Shortage?) -> Bool {
        let isChange = self.state.withLock { state in
            defer { state.shortage = shortage?.reason }
            return (state.shortage == nil) != (shortage == nil)
        }
        guard isChange else { return false }
        if let shortage {
            self.logger.error(
                "this satellite is short of resources: connections wait, and no more recipients are taken",
                metadata: [
                    "reason": "\(shortage.reason)",
                    "advice": "raise the limit of open files (LimitNOFILE) or lower smtp.maxConnections",
                ]
            )
        } else {
            self.logger.info("this satellite has the resources again that it was short of")
        }
        return true
    }

    /// Notes that no name server answers, or with `nil` that one does.
    func note(resolverTrouble trouble: String?) {
        let isChange = self.state.withLock { state in
            guard (state.resolverTrouble == nil) != (trouble == nil) else { return false }
            state.resolverTrouble = trouble
            return true
        }
        guard isChange else { return }
        if let trouble {
            self.logger.error(
                "no name server answers: recipients wait until one does; see dns.forwardTo and the machine's network",
                metadata: ["reason": "\(trouble)"]
            )
        } else {
            self.logger.info("name servers answer again")
        }
    }

    // MARK: The end

    /// Whether an orderly end was asked for.
    var isStopping: Bool { self.state.withLock { $0.isStopping } }

    /// Whether nothing may be sent any more.
    var hasFailed: Bool { self.state.withLock { $0.failure != nil } }

    /// Why the satellite ends out of order, or `nil`.
    var error: SatelliteError? {
        let facts = self.facts
        return facts.failure ?? (facts.isSuperseded ? Self.supersession : nil)
    }

    /// Asks for an orderly end; from any thread, more than once.
    func beginShutdown() {
        self.state.withLock { $0.isStopping = true }
        self.ending.notify()
    }

    /// The journal cannot be written: nothing may be sent any more, and the process must stop.
    func fail(_ error: JournalError) {
        let failure = SatelliteError(
            .journalFailed,
            "the journal cannot be written, sending stops: \(error.description)"
        )
        let isFirst = self.state.withLock { state in
            defer { state.failure = state.failure ?? failure }
            return state.failure == nil
        }
        guard isFirst else { return }
        self.logger.critical("journal failed; the satellite stops", metadata: ["reason": "\(error.description)"])
        self.ending.notify()
    }

    /// Another process with the same key has taken over.
    ///
    /// - Returns: The error to stop with.
    func supersede() -> SatelliteError {
        self.state.withLock { $0.isSuperseded = true }
        return Self.supersession
    }

    /// Waits until the satellite is to end; for one task.
    ///
    /// - Returns: Whether in order: `false` if the journal has failed or the task was cancelled.
    func untilEnd() async -> Bool {
        for await _ in self.ending.stream {
            let facts = self.facts
            if facts.failure != nil { return false }
            if facts.isStopping { return true }
        }
        return false
    }

    private static let supersession = SatelliteError(
        .superseded,
        "another process with this satellite's key has taken over; this one stops"
    )
}

/// What the operating system still gives this process.
enum LocalResources {
    /// Why no file or socket can be opened now; `nil` if one can.
    ///
    /// Asked where a library hides the reason of its failure, such as a look-up that had no socket.
    static func shortage() -> String? {
        let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
        if descriptor >= 0 {
            close(descriptor)
            return nil
        }
        let reason = errno
        return Self.isLack(reason) ? "opening a file: \(String(cString: strerror(reason)))" : nil
    }

    /// Whether an error is a lack of this process or its machine.
    static func isLack(_ error: Int32) -> Bool { [EMFILE, ENFILE, ENOMEM, ENOBUFS].contains(error) }
}
