// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import HTTPServing
import Hummingbird
import Listening
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Secrets
import Synchronization
import Testing

@Suite("HTTP listener")
struct ListenerTests {
    private static let logger = LogOutput(format: .logfmt, level: .critical) { _ in }.logger(label: "test")

    private typealias Client = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private static var quick: ConnectionLimits {
        var limits = ConnectionLimits(connections: 4, connectionsPerAddress: 3)
        limits.handshake = .seconds(2)
        limits.head = .seconds(2)
        limits.body = .seconds(2)
        limits.idle = .seconds(2)
        limits.answer = .seconds(2)
        return limits
    }

    /// Serves `/` on a free port for as long as the body takes: it answers with what was posted.
    private func serving(
        _ limits: ConnectionLimits,
        tls: TLSConfiguration? = nil,
        _ body: (Int, ConnectionLedger) async throws -> Void
    ) async throws {
        let responder = CallbackResponder { (request: Request, _: BasicRequestContext) in
            if request.uri.path == "/endless" {
                return Response(
                    status: .ok,
                    body: .init { writer in
                        while true { try await writer.write(ByteBuffer(repeating: 0x61, count: 1 << 20)) }
                    }
                )
            }
            return Response(status: .ok, body: .init(byteBuffer: try await request.body.collect(upTo: 1 << 20)))
        }
        try await self.serving(limits, tls: tls, responder, body)
    }

    /// Serves on a free port for as long as the body takes.
    private func serving<Responder: HTTPResponder>(
        _ limits: ConnectionLimits,
        tls: TLSConfiguration? = nil,
        _ responder: Responder,
        _ body: (Int, ConnectionLedger) async throws -> Void
    ) async throws where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
        let ledger = ConnectionLedger(name: "test.listen", limits: limits, logger: Self.logger)
        let listener = HTTPListener(address: .tcp(host: "127.0.0.1", port: 0), tls: tls, ledger: ledger)
        let (ports, bound) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await listener.run(responder, logger: Self.logger) { channel in
                    bound.yield(channel.localAddress?.port ?? 0)
                }
            }
            var iterator = ports.makeAsyncIterator()
            try await body(try #require(await iterator.next()), ledger)
            group.cancelAll()
        }
    }

    /// A connection that says and reads nothing.
    private static func hold(_ port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: port)
            .get()
    }

    private static func connect(_ port: Int) async throws -> Client {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture { try Client(wrappingChannelSynchronously: channel) }
            }
    }

    /// What comes until the other side closes, which a reset ends too.
    private static func rest(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>) async -> String {
        var text = ""
        do {
            for try await buffer in inbound { text += String(buffer: buffer) }
        } catch {
            text += " (\(type(of: error)))"
        }
        return text
    }

    private static func until(_ condition: () -> Bool) async throws {
        while !condition() {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    @Test(
        "a connection that stops half-way is closed at its deadline, and counted",
        arguments: [
            ("", "head"), ("GET / HT", "head"), ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", "body"),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "idle"),
        ]
    )
    func halfOpen(sent: String, deadline: String) async throws {
        try await self.serving(Self.quick) { port, ledger in
            try await Self.connect(port).executeThenClose { inbound, outbound in
                if !sent.isEmpty { try await outbound.write(ByteBuffer(string: sent)) }
                let answer = await Self.rest(inbound)
                #expect(deadline == "idle" ? answer.hasPrefix("HTTP/1.1 200 OK") : answer.isEmpty)
            }
            #expect(ledger.counts.cut == [deadline: 1])
            try await Self.until { ledger.counts.open == 0 }
        }
    }

    private struct Fault: Error {}

    /// A request's context that has its connection.
    private struct Context: ConnectionRequestContext {
        var coreContext: CoreRequestContextStorage
        let channel: any Channel

        init(source: ApplicationRequestContextSource) {
            self.coreContext = .init(source: source)
            self.channel = source.channel
        }
    }

    @Test(
        "a client that waits for 100 Continue gets it when its body is read, and a refusal without it",
        arguments: [
            ("/read", true, "200 OK"), ("/late", true, "200 OK"), ("/refused", false, "403 Forbidden"),
            ("/fault", false, "500 Internal Server Error"),
        ]
    )
    func expectation(path: String, isContinued: Bool, status: String) async throws {
        let router = Router(context: Context.self)
        router.add(middleware: ContinueMiddleware())
        router.post("/read") { request, _ in
            Response(status: .ok, body: .init(byteBuffer: try await request.body.collect(upTo: 100)))
        }
        router.post("/late") { request, _ in
            Response(
                status: .ok,
                body: .init { writer in
                    for try await piece in request.body { try await writer.write(piece) }
                    try await writer.finish(nil)
                }
            )
        }
        router.post("/refused") { _, _ in Response(status: .forbidden) }
        router.post("/fault") { _, _ -> Response in throw Fault() }
        try await self.serving(ConnectionLimits(), router.buildResponder()) { port, _ in
            try await Self.connect(port).executeThenClose { inbound, outbound in
                let head = "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
                try await outbound.write(ByteBuffer(string: head))
                var text = ""
                var iterator = inbound.makeAsyncIterator()
                while !text.contains("\r\n\r\n") { text += String(buffer: try #require(await iterator.next())) }
                if isContinued {
                    // The head of the answer may come with it, where that is begun before the body is read.
                    let interim = "HTTP/1.1 100 Continue\r\n\r\n"
                    #expect(text.hasPrefix(interim))
                    text = String(text.dropFirst(interim.count))
                    try await outbound.write(ByteBuffer(string: "hello"))
                    while !text.contains("hello") { text += String(buffer: try #require(await iterator.next())) }
                }
                #expect(text.hasPrefix("HTTP/1.1 \(status)\r\n"))
                #expect(isContinued == !text.lowercased().contains("connection: close"))
                // A body that was not asked for may never come: the server closes.
                if !isContinued { #expect(try await iterator.next() == nil) }
            }
        }
    }

    @Test("a reader that takes nothing of its answer is closed")
    func slowReader() async throws {
        try await self.serving(Self.quick) { port, ledger in
            let client = try await Self.hold(port)
            try await client.writeAndFlush(ByteBuffer(string: "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"))
            try await Self.until { ledger.counts.cut["answer"] == 1 }
            try await Self.until { ledger.counts.open == 0 }
            // Its end may have been noticed already.
            _ = try? await client.close()
        }
    }

    @Test("one connection too many is answered 503 and counted; when one has gone the next is served")
    func full() async throws {
        var limits = Self.quick
        limits.head = .seconds(600)
        try await self.serving(limits) { port, ledger in
            var held: [any Channel] = []
            for _ in 0..<3 { held.append(try await Self.hold(port)) }
            try await Self.until { ledger.counts.open == 3 }
            try await Self.connect(port).executeThenClose { inbound, _ in
                let answer = await Self.rest(inbound)
                #expect(answer.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
                #expect(answer.contains("\r\nRetry-After: 5\r\n"))
            }
            #expect(ledger.counts.refused == ["full": 0, "address": 1, "descriptors": 0])
            try await held.removeLast().close()
            try await Self.until { ledger.counts.open == 2 }
            try await Self.connect(port).executeThenClose { inbound, outbound in
                try await outbound.write(
                    ByteBuffer(string: "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                )
                #expect(await Self.rest(inbound).hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
            for channel in held { try await channel.close() }
        }
    }

    @Test("a TLS handshake that does not go on is closed at its deadline")
    func handshake() async throws {
        let made = try SelfSignedCertificate.make(commonName: "test", at: 1_790_000_000)
        let tls = try ServerTLS.configuration(
            certificatePEM: made.certificatePEM,
            privateKeyPEM: made.privateKeyPEM
        )
        var limits = Self.quick
        limits.head = .seconds(600)
        try await self.serving(limits, tls: tls) { port, ledger in
            try await Self.connect(port).executeThenClose { inbound, outbound in
                // On a busy machine the deadline may come before the bytes.
                _ = try? await outbound.write(ByteBuffer(bytes: [0x16, 0x03, 0x01]))
                #expect(await Self.rest(inbound).isEmpty)
            }
            #expect(ledger.counts.cut == ["handshake": 1])
        }
    }

    @Test("TLS has versions 1.2 and 1.3, ephemeral keys and authenticated encryption only")
    func ciphers() throws {
        let made = try SelfSignedCertificate.make(commonName: "test", at: 1_790_000_000)
        let tls = try ServerTLS.configuration(
            certificatePEM: made.certificatePEM,
            privateKeyPEM: made.privateKeyPEM
        )
        #expect(tls.minimumTLSVersion == .tlsv12)
        // IANA's numbers: the three of TLS 1.3, and ECDHE with AES-GCM or ChaCha20-Poly1305.
        let allowed: Set<UInt16> = [
            0x1301, 0x1302, 0x1303, 0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9,
        ]
        let offered = Set(tls.cipherSuiteValues.map(\.rawValue))
        #expect(!offered.isEmpty)
        #expect(offered.isSubset(of: allowed), "\(offered.subtracting(allowed))")
    }

    @Test(
        "an address that cannot be listened on is reported in one line with its setting",
        arguments: [
            ("192.0.2.1", "this machine does not have the address"),
            ("no-such-host.invalid", "the host name no-such-host.invalid cannot be resolved"),
        ]
    )
    func cannotListen(host: String, words: String) async throws {
        let ledger = ConnectionLedger(name: "test.listen", limits: Self.quick, logger: Self.logger)
        let listener = HTTPListener(address: .tcp(host: host, port: 4_711), ledger: ledger)
        let responder = CallbackResponder { (_: Request, _: BasicRequestContext) in Response(status: .ok) }
        let error = await #expect(throws: ListeningError.self) {
            try await listener.run(responder, logger: Self.logger) { _ in }
        }
        #expect(error?.description == "test.listen: cannot listen on \(host):4711: \(words)")
    }
}
