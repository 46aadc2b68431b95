// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import Logging
import Metrics
import ServiceLifecycle

/// What both daemons do alike: logging, metrics, signals, services in order.
enum Daemon {
    /// Starts logging and metrics for the process; called once.
    static func bootstrap(
        log: (level: String, format: String)
    ) -> (logger: Logger, output: LogOutput, metrics: MetricsRegistry) {
        let output = LogOutput(
            format: LogFormat(rawValue: log.format) ?? .logfmt,
            level: Logger.Level(rawValue: log.level) ?? .info
        )
        output.bootstrap()
        let metrics = MetricsRegistry(definitions: ProcessMetrics.definitions)
        metrics.addCollector { ProcessMetrics.collect() }
        MetricsSystem.bootstrap(metrics)
        return (output.logger(label: "telstar"), output, metrics)
    }

    /// Logs which settings differ from their defaults.
    static func logDifferences(of settings: Settings, to logger: Logger) {
        for difference in settings.differences {
            logger.info(
                "setting",
                metadata: [
                    "key": "\(difference.key)", "value": "\(difference.text)", "from": "\(difference.source.rawValue)",
                ]
            )
        }
    }

    /// Services that end in reverse order, as soon as one of them has ended or failed.
    ///
    /// - Parameters:
    ///   - services: In the order in which they depend on each other.
    ///   - patience: How long all of them may take to end before they are cancelled; `nil` sets no limit.
    /// - Returns: The group, not yet running.
    static func group(_ services: [any Service], patience: Duration? = nil) -> ServiceGroup {
        var configuration = ServiceGroupConfiguration(
            services: services.map {
                .init(
                    service: $0,
                    successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup
                )
            },
            logger: Logger(label: "lifecycle") { _ in SwiftLogNoOpLogHandler() }
        )
        configuration.maximumGracefulShutdownDuration = patience
        return ServiceGroup(configuration: configuration)
    }

    /// Runs services until SIGTERM or SIGINT; they end in reverse order.
    ///
    /// A second signal leaves at once.
    ///
    /// - Parameters:
    ///   - services: In the order in which they depend on each other.
    ///   - logger: Hears of signals.
    ///   - stopping: Called at the first signal instead of ending the services; a service that then returns ends the others.
    /// - Throws: What ended a service.
    static func run(
        _ services: [any Service],
        logger: Logger,
        stopping: (@Sendable () -> Void)? = nil
    ) async throws {
        let group = Self.group(services)
        let signals = SignalWait.stream([SIGTERM, SIGINT, SIGHUP])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            tasks.addTask {
                var isStopping = false
                for await number in signals {
                    if number == SIGHUP {
                        logger.notice(
                            "SIGHUP is ignored: settings cannot be reloaded; restart to change the configuration"
                        )
                        continue
                    }
                    guard !isStopping else {
                        logger.warning("second signal: exiting at once", metadata: ["signal": "\(number)"])
                        _exit(0)
                    }
                    isStopping = true
                    logger.info("stopping", metadata: ["signal": "\(number)"])
                    SupervisorNotifier(environment: ProcessInfo.processInfo.environment).stopping()
                    if let stopping { stopping() } else { await group.triggerGracefulShutdown() }
                }
            }
            // The group ends first; the signals would be waited for for ever.
            try await tasks.next()
            tasks.cancelAll()
        }
    }
}

/// A piece of a daemon that runs until its task is cancelled, as a service.
struct Piece: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                try await self.body()
            } catch is CancellationError {
                // Cancellation is how a piece is asked to end.
            }
        }
    }
}
