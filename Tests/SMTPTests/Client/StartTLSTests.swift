// SPDX-License-Identifier: Apache-2.0

import MailFormat
import NIOCore
import NIOPosix
import Testing

@testable import SMTP

@Suite("STARTTLS over real sockets, RFC 3207")
struct StartTLSTests {
    @Test("encrypts when the server offers it, and delivers")
    func encrypts() async throws {
        let outcome = try await Self.run(offersTLS: true, tls: .opportunistic)
        #expect(outcome.ends == ["1 reply finalDot 250"])
        #expect(outcome.wasTLS)
        #expect(outcome.closing == "finished (requested)")
    }

    @Test("goes in plaintext when the server does not offer it")
    func notOffered() async throws {
        let outcome = try await Self.run(offersTLS: false, tls: .opportunistic)
        #expect(outcome.ends == ["1 reply finalDot 250"])
        #expect(!outcome.wasTLS)
    }

    @Test("goes in plaintext when the configuration says so")
    func off() async throws {
        let outcome = try await Self.run(offersTLS: true, tls: .off)
        #expect(outcome.ends == ["1 reply finalDot 250"])
        #expect(!outcome.wasTLS)
    }

    @Test("reports a failed handshake, so that the caller can come back in plaintext")
    func failedHandshake() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(BrokenTLSServer())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let outcome = try await Self.connect(port: port, tls: .opportunistic, on: group.next())
        #expect(outcome.ends == [])
        #expect(outcome.closing.hasPrefix("TLS failed"))
        try await server.close()
    }

    @Test("says when no connection can be made")
    func refusedConnection() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        try await server.close()
        let outcome = try await Self.connect(port: port, tls: .off, on: group.next())
        #expect(outcome.closing.hasPrefix("cannot connect"))
    }

    private static func run(offersTLS: Bool, tls: SMTPClientTLS) async throws -> Outcome {
        let group = MultiThreadedEventLoopGroup.singleton
        var configuration = SMTPServerConfiguration(hostName: "mx.example")
        if offersTLS {
            configuration.tls = try SMTPServerTLS(
                certificatePEM: Array(TestCertificate.certificatePEM.utf8),
                privateKeyPEM: Array(TestCertificate.privateKeyPEM.utf8)
            )
        }
        let listener = try await SMTPServer.listen(
            host: "127.0.0.1",
            port: 0,
            on: group,
            configuration: configuration
        ) { _ in AcceptingDelegate() }
        let outcome = try await self.connect(port: listener.port, tls: tls, on: group.next())
        try await listener.close()
        return outcome
    }

    private static func connect(port: Int, tls: SMTPClientTLS, on loop: any EventLoop) async throws -> Outcome {
        let promise = loop.makePromise(of: Outcome.self)
        loop.execute {
            SMTPClient.connect(
                host: "mx.example",
                address: "127.0.0.1",
                port: port,
                on: loop,
                configuration: SMTPClientConfiguration(heloName: "client.example", tls: tls),
                delegate: OneMessage(promise)
            )
        }
        return try await promise.futureResult.get()
    }
}

struct Outcome: Sendable {
    var ends: [String] = []
    var wasTLS = false
    var closing = ""
}

/// Sends one message and says QUIT.
private final class OneMessage: SMTPConnectionDelegate {
    private let promise: EventLoopPromise<Outcome>
    private var outcome = Outcome()
    private var isSent = false

    init(_ promise: EventLoopPromise<Outcome>) { self.promise = promise }

    func connectionReady(_ connection: SMTPConnection) { self.outcome.wasTLS = connection.isTLS }

    func nextTransaction(_ connection: SMTPConnection) -> SMTPTransaction? {
        guard !self.isSent else {
            connection.quit()
            return nil
        }
        self.isSent = true
        let text = String(repeating: ".a line that begins with a dot\r\n", count: 20_000)
        return SMTPTransaction(id: 1, reversePath: "a@s", recipient: "b@r", message: ByteBuffer(string: text))
    }

    func willSendFinalDot(_ connection: SMTPConnection, _ id: UInt64) {}

    func transactionEnded(_ connection: SMTPConnection, _ id: UInt64, _ end: SMTPTransactionEnd) {
        if case .reply(let stage, let reply) = end {
            self.outcome.ends.append("\(id) reply \(stage.rawValue) \(reply.code)")
        } else {
            self.outcome.ends.append("\(id) \(end)")
        }
    }

    func connectionClosed(_ connection: SMTPConnection, _ reason: SMTPConnectionEnd) {
        self.outcome.closing = reason.description
        self.promise.succeed(self.outcome)
    }
}

private final class AcceptingDelegate: SMTPServerDelegate {
    func message(_ session: SMTPServerSession, content: [UInt8]) -> SMTPServerDecision {
        content.count == 20_000 * 32 ? .accept : SMTPServerDecision(reply: SMTPServerReply(554, "5.6.0 Not all of it"))
    }
}

/// Offers STARTTLS and then speaks something else.
private final class BrokenTLSServer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) { self.say("220 mx\r\n", context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let text = String(buffer: self.unwrapInboundIn(data))
        if text.hasPrefix("EHLO") {
            self.say("250-mx\r\n250 STARTTLS\r\n", context)
        } else if text.hasPrefix("STARTTLS") {
            self.say("220 go\r\n", context)
        } else {
            self.say("this is not TLS at all, and never will be\r\n", context)
        }
    }

    private func say(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }
}
