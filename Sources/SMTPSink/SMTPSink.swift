// SPDX-License-Identifier: Apache-2.0

import Listening
public import Logging
import NIOCore
import NIOPosix
import SMTP
import Synchronization

/// A mail server that keeps a record of what it accepts and misbehaves as a script says.
///
/// A message's line is in the journal (`write(2)` has returned) before its reply is sent, so that the journal is the truth
/// about what was accepted whatever dies afterwards.
public final class SMTPSink: Sendable {
    private struct Running {
        var group: MultiThreadedEventLoopGroup
        var listeners: [SMTPListener]
        var core: SinkCore
    }

    private let configuration: SinkConfiguration
    private let logger: Logger
    private let running = Mutex<Running?>(nil)
    private let verifications: AsyncStream<SinkVerification>
    private let verificationContinuation: AsyncStream<SinkVerification>.Continuation

    /// Composes a sink that does not yet listen.
    public init(configuration: SinkConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        // No bound of its own: each connection has one message at most in here.
        (self.verifications, self.verificationContinuation) = AsyncStream.makeStream()
    }

    /// The bound addresses in the order of the configuration, as `127.0.0.1:2525`; empty when it does not listen.
    public var boundAddresses: [String] { self.running.withLock { $0?.listeners.map(\.address) ?? [] } }

    /// What has happened so far; all zero when it does not listen.
    public var counts: SinkCounts {
        self.running.withLock { $0?.core.counts } ?? SinkCounts(connections: 0, accepted: 0, refused: 0)
    }

    /// Listens and serves until the task is cancelled, then closes everything.
    ///
    /// - Parameter onStart: Called with the bound addresses once all of them are.
    /// - Throws: `SinkError` if an address cannot be bound or a file not opened.
    public func run(onStart: @Sendable ([String]) -> Void = { _ in }) async throws {
        let core = try SinkCore(
            self.configuration,
            logger: self.logger,
            verifications: self.configuration.keyRecord == nil ? nil : self.verificationContinuation
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, self.configuration.threads))
        do {
            let listeners = try await self.listen(core, on: group)
            self.running.withLock { $0 = Running(group: group, listeners: listeners, core: core) }
            onStart(listeners.map(\.address))
            self.logger.info("sink listens", metadata: ["addresses": "\(listeners.map(\.address))"])
            await self.verifyUntilCancelled()
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        self.running.withLock { $0 = nil }
        try await group.shutdownGracefully()
    }

    /// Ends `run` as cancelling its task does.
    public func stop() { self.verificationContinuation.finish() }

    private func listen(_ core: SinkCore, on group: MultiThreadedEventLoopGroup) async throws -> [SMTPListener] {
        var server = SMTPServerConfiguration(hostName: self.configuration.hostName)
        server.sizeLimit = self.configuration.sizeLimit
        server.tls = self.configuration.tls
        if let time = self.configuration.script.idleTimeout { server.idleTimeout = time }
        var listeners: [SMTPListener] = []
        for address in self.configuration.addresses {
            guard let (host, port) = Self.parse(address) else {
                throw SinkError(.address, "\(address) is no listening address; expected 127.0.0.1:2525 or [::1]:2525")
            }
            // As many as the process has descriptors for: a receiver of tests has no other reason to refuse.
            var limits = ConnectionLimits()
            limits.connections = Descriptors.limit
            limits.connectionsPerAddress = Descriptors.limit
            let ledger = ConnectionLedger(name: address, limits: limits, part: 1, logger: self.logger)
            do {
                let listener = try await SMTPServer.listen(
                    host: host,
                    port: port,
                    on: group,
                    configuration: server,
                    ledger: ledger
                ) { _ in SinkSession(core: core) }
                listeners.append(listener)
            } catch {
                throw SinkError(.address, "\(ListeningError(key: "--listen", address: address, cannotListen: error))")
            }
        }
        return listeners
    }

    /// Verifies what the connections hand over; without verification only waits.
    private func verifyUntilCancelled() async {
        guard let keyRecord = self.configuration.keyRecord else {
            for await _ in self.verifications {}
            return
        }
        await withDiscardingTaskGroup { tasks in
            for await verification in self.verifications {
                tasks.addTask { await SinkVerifier.verify(verification, keyRecord: keyRecord) }
            }
        }
    }

    private static func parse(_ address: String) -> (host: String, port: Int)? {
        guard let colon = address.lastIndex(of: ":") else { return Int(address).map { ("0.0.0.0", $0) } }
        guard let port = Int(address[address.index(after: colon)...]), (0...65_535).contains(port) else { return nil }
        var host = address[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return host.isEmpty ? ("0.0.0.0", port) : (String(host), port)
    }
}
