// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterLink
import DaemonSupport
import Foundation
import Listening
import Logging
import NIOCore
import NIOPosix
import OperatorAPI
import SatelliteCore
import ServiceLifecycle

/// `telstar satellite`: the daemon that personalises, signs and delivers.
struct SatelliteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "satellite", abstract: "Run a satellite.")

    @OptionGroup var role: RoleOptions

    func run() async throws {
        Lifeline.watch()
        try await StartFailure.reported {
            if self.role.sample { return print(SatelliteSettings.table.sample, terminator: "") }
            let settings = try SatelliteSettings.load(file: self.role.config, overrides: try self.role.overrides())
            if self.role.checkConfig {
                let isRunning = DirectoryLock.isHeld(directory: settings.directory)
                try StartChecks.check(settings, tryingPorts: !isRunning)
                return self.role.sayThatItIsSound(isRunning: isRunning, directory: settings.directory)
            }
            try self.role.makeDirectory(settings.directory)
            if self.role.showKey { return print(try LinkKeyFile.loadOrMake(in: settings.directory).publicKeyText) }
            try StartChecks.check(settings, tryingPorts: false)
            try await self.serve(settings)
        }
    }

    private func serve(_ settings: SatelliteSettings) async throws {
        let (logger, _, metrics) = Daemon.bootstrap(log: settings.log)
        Daemon.logDifferences(of: settings.values, to: logger)
        let lock = try Self.lock(settings.directory)
        defer { lock.release() }
        let keys = try LinkKeyFile.loadOrMake(in: settings.directory).keys
        let masterKey = try await MasterKeyFile.load(settings, keys: keys, logger: logger)
        let masters = try settings.masters().map {
            MasterEndpoint(control: $0.control, content: $0.content, publicKey: masterKey)
        }
        let core = try settings.core()
        if core.maximumConnections < settings.wantedConnections {
            logger.notice(
                "fewer SMTP connections are made than configured: the limit of open files is low",
                metadata: [
                    "connections": "\(core.maximumConnections)", "configured": "\(settings.wantedConnections)",
                    "limit": "\(Descriptors.limit)",
                ]
            )
        }
        let link = SatelliteLinkConfiguration(masters: masters, keys: keys)
        if core.heloName.isEmpty {
            logger.warning(
                "this machine has no full host name: EHLO gives its address, which many receivers refuse; set smtp.heloName"
            )
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let satellite = try Satellite(
            core,
            resolver: try Resolvers.make(zoneFile: settings.zoneFile, forwardTo: settings.resolvers),
            group: group,
            logger: logger
        ) { handshake, load, memory in
            SatelliteLink(link, handshake: handshake, load: load, memory: memory, logger: logger)
        }
        let notifier = SupervisorNotifier(environment: ProcessInfo.processInfo.environment)
        metrics.addCollector { SatelliteMetrics.collect(satellite.status()) }
        var services: [any Service] = []
        let (open, tellOpen) = AsyncStream.makeStream(of: Void.self)
        if let listen = try settings.statusListen() {
            let ledger = ConnectionLedger(name: "status.listen", limits: settings.connectionLimits, logger: logger)
            let listeners = ListenerMetrics()
            listeners.add(ledger)
            metrics.addCollector { listeners.collect() }
            services.append(
                Self.health(listen, satellite: satellite, metrics: metrics, ledger: ledger, logger: logger) {
                    tellOpen.finish()
                }
            )
        } else {
            tellOpen.finish()
        }
        services.append(
            Piece {
                // What watches the satellite finds it as soon as it says that it serves.
                for await _ in open {}
                try Task.checkCancellation()
                logger.info(
                    "satellite serves",
                    metadata: ["version": "\(Telstar.version)", "serial": "\(settings.name)"]
                )
                notifier.ready(status: "serving")
                try await satellite.run()
            }
        )
        try await Daemon.run(services, logger: logger) { satellite.beginShutdown() }
        try await group.shutdownGracefully()
        logger.info("satellite stopped")
    }

    private static func lock(_ directory: String) throws -> DirectoryLock {
        do {
            return try DirectoryLock(directory: directory)
        } catch {
            throw StartFailure(.unavailable, "another satellite uses \(directory): \(error)")
        }
    }

    private static func health(
        _ listen: ListenAddress,
        satellite: Satellite,
        metrics: MetricsRegistry,
        ledger: ConnectionLedger,
        logger: Logger,
        whenBound: @escaping @Sendable () -> Void
    ) -> HealthListener {
        HealthListener(
            configuration: .init(host: listen.host, port: listen.port),
            answers: .init(
                unreadyReasons: { SatelliteMetrics.unreadyReasons(satellite.status()) },
                status: { Array(try StatusDocument.encode(satellite.status())) },
                metrics: { metrics.exposition() }
            ),
            ledger: ledger,
            logger: logger,
            whenBound: { _ in whenBound() }
        )
    }
}
