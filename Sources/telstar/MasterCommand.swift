// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import Foundation
import Logging
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
                let isRunning = UnixSocketProbe.probe(settings.controlSocket) == .answers
                try StartChecks.check(settings, tryingPorts: !isRunning)
                return self.role.sayThatItIsSound(isRunning: isRunning, directory: settings.directory)
            }
            if self.role.showKey {
                try self.role.makeDirectory(settings.directory)
                return print(try LinkKeyFile.loadOrMake(in: settings.directory).publicKeyText)
            }
            try StartChecks.check(settings, tryingPorts: false)
            try await self.serve(settings)
        }
    }

    private func serve(_ settings: MasterSettings) async throws {
        let (logger, _, metrics) = Daemon.bootstrap(log: settings.log)
        Daemon.logDifferences(of: settings.values, to: logger)
        let page = try settings.statusListen().map {
            StatusPage(listen: $0, limits: settings.connectionLimits, logger: logger)
        }
        let listeners = ListenerMetrics()
        metrics.addCollector { listeners.collect() }
        if let page { listeners.add(page.ledger) }
        var services: [any Service] = []
        if let page { services.append(page) }
        services.append(
            MasterService(settings: settings, page: page, metrics: metrics, listeners: listeners, logger: logger)
        )
        try await Daemon.run(services, logger: logger)
        logger.info("master stopped")
    }
}
