// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SMTP
import Synchronization

/// The connections to all sites: opens them on the event loops in turn, reaches them there, and knows how to speak to a host.
///
/// Without event loops, which is before ``start(scheduler:reports:)`` and after ``stop()``, nothing is opened.
final class ConnectionPool: Sendable {
    private let configuration: SatelliteConfiguration
    private let cache: BlobCache
    private let group: any EventLoopGroup
    private let encrypted: SMTPClientConfiguration
    private let plaintext: SMTPClientConfiguration
    private let contexts = Mutex<(loops: [NIOLoopBound<LoopContext>], next: Int)>(([], 0))
    private let drivers = Mutex<[ConnectionID: NIOLoopBound<ConnectionDriver>]>([:])
    /// What connections have met with the TLS of their hosts.
    let tls: Mutex<TLSMemory>

    /// - Parameters:
    ///   - configuration: The bounds.
    ///   - cache: Where attachments are.
    ///   - group: The event loops.
    init(_ configuration: SatelliteConfiguration, cache: BlobCache, group: any EventLoopGroup) {
        self.configuration = configuration
        self.cache = cache
        self.group = group
        self.encrypted = Self.client(configuration, configuration.usesTLS ? .opportunistic : .off)
        self.plaintext = Self.client(configuration, .off)
        self.tls = Mutex(TLSMemory(memory: configuration.brokenTLSMemory, pause: configuration.siteBackoff / 2))
    }

    // MARK: All connections

    /// Makes ready to open connections, which take recipients from `scheduler` and record attempts in `reports`.
    func start(scheduler: SharedScheduler, reports: Reports) async throws {
        var contexts: [NIOLoopBound<LoopContext>] = []
        for loop in self.group.makeIterator() {
            let context = loop.submit {
                let context = LoopContext(
                    loop: loop,
                    scheduler: scheduler,
                    reports: reports,
                    cache: self.cache,
                    configuration: self.configuration
                )
                return NIOLoopBound(context, eventLoop: loop)
            }
            contexts.append(try await context.get())
        }
        self.contexts.withLock { $0.loops = contexts }
    }

    /// Cuts all connections off, and returns when the attempts that have ended on them are reported.
    ///
    /// None is opened from here on, whatever those that are cut off leave ready.
    func stop() async throws {
        let contexts = self.contexts.withLock { contexts in
            defer { contexts.loops = [] }
            return contexts.loops
        }
        // One turn of its loop, and what was being opened is there.
        for context in contexts { try await context.eventLoop.submit {}.get() }
        self.forEach { $0.abort() }
        for context in contexts { try await context.eventLoop.submit { context.value.flush() }.get() }
        self.drivers.withLock { $0 = [:] }
    }

    /// Calls every connection's driver on its loop.
    func forEach(_ body: @escaping @Sendable (ConnectionDriver) -> Void) {
        for driver in self.drivers.withLock({ Array($0.values) }) {
            driver.eventLoop.execute { body(driver.value) }
        }
    }

    /// Calls the drivers of these connections on their loops, as far as they are there.
    func forEach(of connections: [ConnectionID], _ body: @escaping @Sendable (ConnectionDriver) -> Void) {
        let found = self.drivers.withLock { drivers in connections.compactMap { drivers[$0] } }
        for driver in found { driver.eventLoop.execute { body(driver.value) } }
    }

    // MARK: One connection

    /// Opens a connection on the next loop.
    ///
    /// - Returns: `false` if there is no loop.
    func open(_ request: OpenRequest) -> Bool {
        self.contexts.withLock { contexts in
            guard !contexts.loops.isEmpty else { return false }
            contexts.next = (contexts.next + 1) % contexts.loops.count
            let context = contexts.loops[contexts.next]
            // Queued under the lock, so that it is there before ``stop()`` has a turn of the loop.
            context.eventLoop.execute {
                let driver = ConnectionDriver(request, connections: self, context: context.value)
                let bound = NIOLoopBound(driver, eventLoop: context.eventLoop)
                self.drivers.withLock { $0[request.id] = bound }
                driver.start()
            }
            return true
        }
    }

    /// Forgets a connection that is over.
    func remove(_ connection: ConnectionID) { self.drivers.withLock { $0[connection] = nil } }

    /// How to speak to a host, and whether that is in plaintext only because TLS failed with it before.
    func client(for host: String) -> (configuration: SMTPClientConfiguration, isFallback: Bool) {
        let isPlaintext = self.tls.withLock { $0.prefersPlaintext(host, now: .now) }
        return (isPlaintext ? self.plaintext : self.encrypted, isPlaintext && self.configuration.usesTLS)
    }

    private static func client(
        _ configuration: SatelliteConfiguration,
        _ tls: SMTPClientTLS
    ) -> SMTPClientConfiguration {
        var timeouts = SMTPClientTimeouts()
        timeouts.connect = configuration.connectTimeout
        timeouts.finalDot = configuration.finalDotTimeout
        var client = SMTPClientConfiguration(heloName: configuration.heloName, tls: tls, timeouts: timeouts)
        client.maxMessagesPerConnection = configuration.messagesPerConnection
        client.idleTimeout = configuration.connectionIdle
        client.transactionDeadline = configuration.transactionDeadline
        client.localAddress = configuration.localAddress
        return client
    }
}
