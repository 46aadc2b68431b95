// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Listening
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing

@Suite("Health listener")
struct HealthListenerTests {
    private struct StatusFailure: Error {}

    private static let logger = LogOutput(format: .logfmt, level: .critical) { _ in }.logger(label: "test")

    private static func ledger() -> ConnectionLedger {
        ConnectionLedger(name: "status.listen", limits: ConnectionLimits(), logger: self.logger)
    }

    /// Runs a listener on a free port for as long as the body takes.
    private func withListener(
        reasons: @escaping @Sendable () async -> [String] = { [] },
        status: @escaping @Sendable () async throws -> [UInt8] = { Array("{}".utf8) },
        _ body: (Int) async throws -> Void
    ) async throws {
        let (ports, bound) = AsyncStream.makeStream(of: Int.self)
        let listener = HealthListener(
            configuration: HealthListener.Configuration(),
            answers: HealthListener.Answers(
                unreadyReasons: reasons,
                status: status,
                metrics: { Array("# TYPE x gauge\nx 1\n".utf8) }
            ),
            ledger: Self.ledger(),
            logger: Self.logger,
            whenBound: { bound.yield($0) }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await listener.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(port)
            group.cancelAll()
        }
    }

    private func get(_ path: String, _ port: Int) async throws -> String {
        let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await client.executeThenClose { inbound, outbound in
            let request = "GET \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            try await outbound.write(ByteBuffer(string: request))
            var answer = ""
            for try await buffer in inbound {
                answer += String(buffer: buffer)
            }
            return answer
        }
    }

    @Test("answers the four paths, and 404 to others")
    func answers() async throws {
        try await self.withListener(status: { Array("{\"mailings\":3}".utf8) }) { port in
            #expect(port > 0)
            #expect(try await self.get("/healthz", port).hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(try await self.get("/readyz", port).hasSuffix("\r\n\r\nready\n"))
            let status = try await self.get("/status", port)
            #expect(status.hasSuffix("{\"mailings\":3}"))
            #expect(status.contains("Content-Type: application/json\r\n"))
            let metrics = try await self.get("/metrics", port)
            #expect(metrics.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
            #expect(metrics.hasSuffix("\r\n\r\n# TYPE x gauge\nx 1\n"))
            #expect(try await self.get("/other", port).hasPrefix("HTTP/1.1 404 "))
        }
    }

    @Test("reports why it is not ready with 503, though it is healthy")
    func notReady() async throws {
        try await self.withListener(reasons: { ["store is locked", "no satellite"] }) { port in
            let answer = try await self.get("/readyz", port)
            #expect(answer.hasPrefix("HTTP/1.1 503 "))
            #expect(answer.hasSuffix("\r\n\r\nstore is locked\nno satellite\n"))
            #expect(try await self.get("/healthz", port).hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test("a status that cannot be encoded is 500 and says nothing of the reason")
    func statusFails() async throws {
        try await self.withListener(status: { throw StatusFailure() }) { port in
            let answer = try await self.get("/status", port)
            #expect(answer.hasPrefix("HTTP/1.1 500 "))
            #expect(!answer.contains("StatusFailure"))
        }
    }

    @Test("an address in use is a start failure in one line")
    func addressInUse() async throws {
        try await self.withListener { port in
            let second = HealthListener(
                configuration: HealthListener.Configuration(port: port),
                answers: HealthListener.Answers(unreadyReasons: { [] }, status: { [] }, metrics: { [] }),
                ledger: Self.ledger(),
                logger: Self.logger
            )
            let failure = await #expect(throws: StartFailure.self) { try await second.run() }
            #expect(failure?.exitCode == .unavailable)
            #expect(
                failure?.description
                    == "status.listen: cannot listen on 127.0.0.1:\(port): the address is in use by another process"
            )
        }
    }
}
