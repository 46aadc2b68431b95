// SPDX-License-Identifier: Apache-2.0

import APIServing
import CloudMailingAPI
import ClusterLink
import DaemonSupport
import Foundation
import Listening
import Logging
import MasterCore
import MasterStore
import NativeAPI
import OperatorAPI
import Secrets
import ServiceLifecycle
import Synchronization

/// The master as one service: it opens the store, waiting for its turn if another master has it, and runs the pieces that
/// work on it until the first of them ends.
struct MasterService: Service {
    let settings: MasterSettings
    let page: StatusPage?
    let metrics: MetricsRegistry
    let listeners: ListenerMetrics
    let logger: Logger

    /// How long requests in progress may hold up the end, be it asked for or that of a master that was replaced.
    private static let patience = Duration.seconds(10)

    /// Serves until shutdown.
    ///
    /// - Throws: ``StartFailure``, or what ended a piece.
    func run() async throws {
        let standby = Standby(settings: self.settings, page: self.page, metrics: self.metrics, logger: self.logger)
        let opening: StoreOpening
        do {
            opening = try await cancelWhenGracefulShutdown { try await standby.openStore() }
        } catch  where Task.isShuttingDownGracefully {
            // One that waited has nothing to put in order.
            return
        }
        let services = try await self.services(opening)
        try await withGracefulShutdownHandler {
            try await Daemon.group(services, patience: Self.patience).run()
        } onGracefulShutdown: {
            self.page?.showUnready("the master stops")
        }
        // Its lock on the data directory has to last as long as the master.
        withExtendedLifetime(opening) {}
    }

    /// In the order in which they depend on each other.
    private func services(_ opening: StoreOpening) async throws -> [any Service] {
        let (settings, page, logger, store) = (self.settings, self.page, self.logger, opening.store)
        let directory = SatelliteDirectory()
        try await directory.reload(from: store)
        let link = try await Self.link(settings, opening: opening, directory: directory, logger: logger)
        let master = Master(
            store: store,
            channel: LinkChannel(link),
            directory: directory,
            configuration: try settings.core(),
            cursorKey: opening.cursorKey,
            now: { .now },
            logger: logger
        )
        // Before any listener answers: a key that is not known yet would be refused as a wrong one.
        let location = try settings.storeLocation()
        do {
            try await master.load()
        } catch {
            throw StartFailure(.unavailable, "the store \(location) cannot be read: \(error)")
        }
        let measures = MasterMetrics(master: master, link: link)
        self.metrics.addCollector { measures.collect() }
        let limit = settings.maximumBodyBytes
        let api = try APIServer(
            configuration: try Self.api(settings, logger: logger),
            master: master,
            logger: logger
        ) { transport in
            [
                CloudMailingFamily(master: master, maximumBodyBytes: limit),
                NativeFamily(master: master, transport: transport, logger: logger),
                OperatorFamily(master: master, transport: transport, maximumBodyBytes: limit),
            ]
        }
        api.ledgers.forEach(self.listeners.add)
        let listening = Milestone()
        self.page?.show(Self.answers(master: master, measures: measures, metrics: self.metrics, listening: listening))
        return [
            Piece { try await link.run() }, Piece { try await master.run() },
            Piece {
                guard let reason = await store.waitUntilFenced() else { return await Forever.untilCancelled() }
                page?.showUnready(reason)
                throw StartFailure(.unavailable, reason)
            },
            APIService(server: api, page: page) {
                await page?.whenOpen()
                guard !Task.isCancelled else { return }
                listening.reach()
                logger.info("master serves", metadata: ["version": "\(Telstar.version)", "store": "\(location)"])
                SupervisorNotifier(environment: ProcessInfo.processInfo.environment).ready(status: "serving")
            },
        ]
    }

    private static func link(
        _ settings: MasterSettings,
        opening: StoreOpening,
        directory: SatelliteDirectory,
        logger: Logger
    ) async throws -> MasterLink {
        let keys = try LinkKeyFile.loadOrMake(in: settings.directory)
        let addresses = settings.link
        var configuration = MasterLinkConfiguration(
            control: addresses.control,
            content: addresses.content,
            enrolment: addresses.enrolment,
            keys: keys.keys
        )
        configuration.heartbeat = settings.heartbeat
        configuration.maximumConnections = Descriptors.share(configuration.maximumConnections, part: 8)
        do {
            return try await MasterLink(
                configuration,
                decisions: directory.decisions(store: opening.store, now: { .now }, logger: logger),
                logger: logger
            )
        } catch {
            throw StartFailure(.unavailable, "the cluster link cannot listen at \(addresses.control): \(error)")
        }
    }

    private static func api(_ settings: MasterSettings, logger: Logger) throws -> APIServer.Configuration {
        var api = APIServer.Configuration()
        api.secure = try settings.apiListen().map { ($0.host, $0.port) }
        api.plain = try settings.apiPlainListen().map { ($0.host, $0.port) }
        api.limits = settings.connectionLimits
        api.logsRequests = settings.logsRequests
        if api.secure != nil {
            let certificate = try CertificateFiles.load(settings)
            api.certificate = certificate
            if let fingerprint = CertificateFingerprint(firstOfPEM: certificate.chain) {
                logger.info("the API's certificate", metadata: ["sha256": "\(fingerprint)"])
            }
        }
        if settings.controlSocket.utf8.count < ControlOptions.longestSocketPath {
            // A socket that a killed master left behind would keep this one from listening; the store's lock is ours.
            unlink(settings.controlSocket)
            api.controlSocket = settings.controlSocket
        } else {
            logger.warning(
                "the data directory's path is too long for a Unix socket; use --url and --key-file",
                metadata: ["path": "\(settings.controlSocket)"]
            )
        }
        return api
    }

    private static func answers(
        master: Master,
        measures: MasterMetrics,
        metrics: MetricsRegistry,
        listening: Milestone
    ) -> HealthListener.Answers {
        .init(
            unreadyReasons: {
                (listening.isReached ? [] : ["the master is starting: its listeners are not open yet"])
                    + master.unreadyReasons
            },
            status: {
                Array(try StatusDocument.encode(try await master.status()))
            },
            metrics: {
                await measures.refresh()
                return metrics.exposition()
            }
        )
    }
}

/// Something that happens once and stays so.
final class Milestone: Sendable {
    private let state = Atomic(false)

    var isReached: Bool { self.state.load(ordering: .acquiring) }

    func reach() { self.state.store(true, ordering: .releasing) }
}

/// The API's listeners as a service; Hummingbird ends them in order at a graceful shutdown.
private struct APIService: Service {
    let server: APIServer
    let page: StatusPage?
    let listening: @Sendable () async -> Void

    func run() async throws {
        do {
            try await self.server.run {
                // A master that is stopped while it starts does not say that it serves.
                await cancelWhenGracefulShutdown { await self.listening() }
            }
        } catch let error as ListeningError {
            self.page?.showUnready(error.description)
            throw StartFailure(.unavailable, error.description)
        }
    }
}
