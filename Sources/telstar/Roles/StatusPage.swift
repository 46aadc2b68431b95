// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Listening
import Logging
import ServiceLifecycle
import Synchronization

/// The page through which a daemon is watched, whose answers change with what the process is: a standby, a master, one
/// that stops.
///
/// The listener outlives these roles. Nobody who watches meets a closed port at a takeover, and no request is cut off in
/// the middle of its answer.
final class StatusPage: Service {
    private let listen: ListenAddress
    private let logger: Logger
    /// Counts and bounds the connections of its listener.
    let ledger: ConnectionLedger
    private let answers = Mutex<HealthListener.Answers?>(nil)
    private let shown: AsyncStream<Void>
    private let tellShown: AsyncStream<Void>.Continuation
    private let open: AsyncStream<Void>
    private let tellOpen: AsyncStream<Void>.Continuation

    /// Makes a page, which listens from its first answers on.
    init(listen: ListenAddress, limits: ConnectionLimits, logger: Logger) {
        self.listen = listen
        self.logger = logger
        self.ledger = ConnectionLedger(name: "status.listen", limits: limits, logger: logger)
        (self.open, self.tellOpen) = AsyncStream.makeStream()
        (self.shown, self.tellShown) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Answers so from now on.
    func show(_ answers: HealthListener.Answers) {
        self.answers.withLock { $0 = answers }
        self.tellShown.yield()
    }

    /// Answers that the process is not ready, for this reason, and everything else as before.
    func showUnready(_ reason: String) {
        self.answers.withLock { $0?.unreadyReasons = { [reason] } }
    }

    /// Waits until the address is listened on, or until cancelled; for one caller.
    func whenOpen() async {
        for await _ in self.open {}
    }

    /// Serves until shutdown.
    ///
    /// - Throws: ``StartFailure`` if the address cannot be listened on.
    func run() async throws {
        // Before there is anything to report, a process that fails to start must log its reason, not that a port is taken.
        let hasAnswers = await cancelWhenGracefulShutdown { await self.shown.first { true } != nil }
        guard hasAnswers, !Task.isShuttingDownGracefully else { return }
        try await HealthListener(
            configuration: .init(host: self.listen.host, port: self.listen.port),
            answers: .init(
                unreadyReasons: { await self.current?.unreadyReasons() ?? [] },
                status: { try await self.current?.status() ?? [] },
                metrics: { await self.current?.metrics() ?? [] }
            ),
            ledger: self.ledger,
            logger: self.logger,
            whenBound: { _ in self.tellOpen.finish() }
        ).run()
    }

    private var current: HealthListener.Answers? { self.answers.withLock { $0 } }
}
