// SPDX-License-Identifier: Apache-2.0

import HTTPServing
import Hummingbird
public import Listening
public import Logging
import NIOCore
public import ServiceLifecycle

/// A small HTTP listener through which a daemon is watched.
///
/// | Path | Answer |
/// |---|---|
/// | `/healthz` | 200 while the process serves requests at all |
/// | `/readyz` | 200 when it does its work; 503 with one reason in each line when it does not |
/// | `/status` | JSON for people and their tools |
/// | `/metrics` | Prometheus text 0.0.4 |
///
/// It has no access control, so it listens on the loopback address unless configured otherwise.
public struct HealthListener: Service {
    /// Where to listen.
    public struct Configuration: Hashable, Sendable {
        /// The address or host name.
        public var host: String
        /// The port; 0 lets the system choose.
        public var port: Int

        /// Composes a configuration.
        public init(host: String = "127.0.0.1", port: Int = 0) {
            self.host = host
            self.port = port
        }
    }

    /// What the daemon answers.
    public struct Answers: Sendable {
        /// Why the daemon is not ready, one line each; empty when it is.
        public var unreadyReasons: @Sendable () async -> [String]
        /// The status as JSON.
        public var status: @Sendable () async throws -> [UInt8]
        /// The metrics as Prometheus text.
        public var metrics: @Sendable () async -> [UInt8]

        /// Composes answers.
        public init(
            unreadyReasons: @escaping @Sendable () async -> [String],
            status: @escaping @Sendable () async throws -> [UInt8],
            metrics: @escaping @Sendable () async -> [UInt8]
        ) {
            self.unreadyReasons = unreadyReasons
            self.status = status
            self.metrics = metrics
        }
    }

    private let configuration: Configuration
    private let answers: Answers
    private let ledger: ConnectionLedger
    private let logger: Logger
    private let whenBound: @Sendable (Int) async -> Void

    /// Makes a listener.
    ///
    /// - Parameters:
    ///   - configuration: Where to listen.
    ///   - answers: What to answer.
    ///   - ledger: Counts and bounds its connections; its name is the setting that names the address.
    ///   - logger: Where failures are logged.
    ///   - whenBound: Called once with the port listened on.
    public init(
        configuration: Configuration,
        answers: Answers,
        ledger: ConnectionLedger,
        logger: Logger,
        whenBound: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.answers = answers
        self.ledger = ledger
        self.logger = logger
        self.whenBound = whenBound
    }

    /// Serves until shutdown.
    ///
    /// - Throws: ``StartFailure`` if the address cannot be listened on, or the listener ends by itself.
    public func run() async throws {
        let whenBound = self.whenBound
        let listener = HTTPListener(
            address: .tcp(host: self.configuration.host, port: self.configuration.port),
            ledger: self.ledger
        )
        do {
            try await listener.run(self.router().buildResponder(), logger: self.logger) { channel in
                await whenBound(channel.localAddress?.port ?? 0)
            }
        } catch let error as ListeningError {
            throw StartFailure(.unavailable, error.description)
        }
    }

    private func router() -> Router<BasicRequestContext> {
        let answers = self.answers
        let logger = self.logger
        let router = Router()
        router.get("/healthz") { _, _ in Self.text(.ok, "ok\n") }
        router.get("/readyz") { _, _ in
            let reasons = await answers.unreadyReasons()
            guard !reasons.isEmpty else { return Self.text(.ok, "ready\n") }
            return Self.text(.serviceUnavailable, reasons.map { $0 + "\n" }.joined())
        }
        router.get("/status") { _, _ in
            do {
                return Self.response(.ok, "application/json", try await answers.status())
            } catch {
                logger.warning("the status cannot be determined", metadata: ["error": "\(error)"])
                return Self.text(.internalServerError, "the status cannot be determined; see the log\n")
            }
        }
        router.get("/metrics") { _, _ in Self.response(.ok, PrometheusText.contentType, await answers.metrics()) }
        return router
    }

    private static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
        self.response(status, "text/plain; charset=utf-8", Array(text.utf8))
    }

    private static func response(_ status: HTTPResponse.Status, _ type: String, _ body: [UInt8]) -> Response {
        Response(
            status: status,
            headers: [.contentType: type, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body))
        )
    }
}
