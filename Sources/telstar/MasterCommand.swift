// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterLink
import DaemonSupport
import Foundation
import Logging
import MasterAPI
import MasterCore
import MasterStore
import ServiceLifecycle

/// `telstar master`: the daemon that owns mailings, recipients and the APIs.
struct MasterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "master", abstract: "Run the master.")

    @OptionGroup var role: RoleOptions

    func run() async throws {
        Lifeline.watch()
        try await StartFailure.reported {
            if self.role.sample { return print(MasterSettings.table.sample, terminator: "") }
            let settings = try MasterSettings.load(file: self.role.config, overrides: try self.role.overrides())
            if self.role.checkConfig {
                _ = try (
                    settings.storeLocation(), settings.apiListen(), settings.apiPlainListen(), settings.statusListen()
                )
                return print("the configuration is sound")
            }
            if self.role.showKey {
                try self.role.makeDirectory(settings.directory)
                return print(try LinkKeyFile.loadOrMake(in: settings.directory).publicKeyText)
            }
            try await self.serve(settings)
        }
    }

    private func serve(_ settings: MasterSettings) async throws {
        let (logger, _, metrics) = Daemon.bootstrap(log: settings.log)
        Daemon.tell(settings.values, to: logger)
        let opening = try await Standby.openStore(settings, metrics: metrics, logger: logger)
        let directory = SatelliteDirectory()
        try await directory.reload(from: opening.store)
        let link = try await Self.link(settings, opening: opening, directory: directory, logger: logger)
        let master = Master(
            store: opening.store,
            channel: LinkChannel(link),
            directory: directory,
            configuration: settings.core,
            cursorKey: opening.cursorKey,
            now: { .now },
            logger: logger
        )
        let measures = MasterMetrics(master: master, link: link)
        metrics.addCollector { measures.collect() }
        let notifier = SupervisorNotifier(environment: ProcessInfo.processInfo.environment)
        let api = APIServer(configuration: try Self.api(settings, logger: logger), master: master, logger: logger)
        let store = opening.store
        let location = try settings.storeLocation()
        var services: [any Service] = [
            Piece { try await link.run() }, Piece { try await master.run() },
            Piece {
                guard let reason = await store.retirement() else { return await Forever.untilCancelled() }
                throw StartFailure(.unavailable, reason)
            },
        ]
        if let listen = try settings.statusListen() {
            services.append(Self.health(listen, master: master, measures: measures, metrics: metrics, logger: logger))
        }
        services.append(
            APIService(server: api) {
                logger.info(
                    "master serves",
                    metadata: ["version": "\(Telstar.version)", "store": "\(location)"]
                )
                notifier.ready(status: "serving")
            }
        )
        try await Daemon.run(services, logger: logger)
        // Its lock on the data directory has to last as long as the master.
        withExtendedLifetime(opening) {}
        logger.info("master stopped")
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
        api.maximumBodyOctets = settings.maximumBodyOctets
        if api.secure != nil { api.certificate = try CertificateFiles.load(settings) }
        if settings.controlSocket.utf8.count < 100 {
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

    private static func health(
        _ listen: ListenAddress,
        master: Master,
        measures: MasterMetrics,
        metrics: MetricsRegistry,
        logger: Logger
    ) -> HealthListener {
        HealthListener(
            configuration: .init(host: listen.host, port: listen.port),
            answers: .init(
                unreadyReasons: { master.unreadyReasons },
                status: {
                    let encoder = JSONEncoder()
                    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
                    encoder.keyEncodingStrategy = .convertToSnakeCase
                    return Array(try encoder.encode(try await master.status()))
                },
                metrics: {
                    await measures.refresh()
                    return metrics.exposition()
                }
            ),
            logger: logger
        )
    }
}

/// The API's listeners as a service; Hummingbird ends them in order at a graceful shutdown.
private struct APIService: Service {
    let server: APIServer
    let listening: @Sendable () async -> Void

    func run() async throws { try await self.server.run(listening: self.listening) }
}
