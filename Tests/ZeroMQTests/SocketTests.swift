// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TestKit
import Testing
import ZeroMQ

@Suite("Sockets", .timeLimit(.minutes(15)))
struct SocketTests {
    private static func router(_ security: SocketConfiguration.Security = .none) -> SocketConfiguration {
        SocketConfiguration(kind: .router(bind: "tcp://127.0.0.1:*"), security: security)
    }

    private static func dealer(
        _ router: ZeroMQSocket,
        _ security: SocketConfiguration.Security = .none
    ) -> SocketConfiguration {
        var dealer = SocketConfiguration(kind: .dealer(connect: router.endpoint), security: security)
        dealer.reconnectInterval = .milliseconds(20)
        dealer.refusalRetry = .milliseconds(20)
        return dealer
    }

    private static func message(_ socket: ZeroMQSocket) async throws -> ZeroMQMessage {
        while let event = await socket.next() {
            if case .message(let message) = event { return message }
        }
        throw StreamEnded()
    }

    private static func failure(_ socket: ZeroMQSocket) async throws -> ConnectionFailure {
        while let event = await socket.next() {
            if case .failure(let failure, _, _) = event, failure != .unreachable { return failure }
        }
        throw StreamEnded()
    }

    @Test("carry messages both ways, and the system chooses the port")
    func roundTrip() async throws {
        let context = try ZeroMQContext()
        let router = try await context.open(Self.router())
        #expect(router.endpoint.hasPrefix("tcp://127.0.0.1:"))
        let dealer = try await context.open(Self.dealer(router))
        await dealer.send(ZeroMQMessage(frames: [[1, 2], []]))
        let question = try await Self.message(router)
        #expect(question.frames == [[1, 2], []])
        #expect(question.userID == nil)
        await router.send(ZeroMQMessage(routingID: question.routingID, frames: [[3]]))
        #expect(try await Self.message(dealer).frames == [[3]])
        await context.close()
        #expect(await router.next() == nil)
    }

    @Test("connections beyond the bound are shut down, and those before them serve on")
    func bound() async throws {
        let context = try ZeroMQContext()
        var configuration = Self.router()
        configuration.maximumConnections = 4
        let router = try await context.open(configuration)
        let dealer = try await context.open(Self.dealer(router))
        await dealer.send(ZeroMQMessage(frames: [[1]]))
        let question = try await Self.message(router)
        // Three of the same address: it may have two, and the dealer has one of them.
        var others: [ZeroMQSocket] = []
        for _ in 0..<3 { others.append(try await context.open(Self.dealer(router))) }
        #expect(try await Self.failure(router) == .tooMany(4))
        await router.send(ZeroMQMessage(routingID: question.routingID, frames: [[2]]))
        #expect(try await Self.message(dealer).frames == [[2]])
        withExtendedLifetime(others) {}
        await context.close()
    }

    @Test("report who a peer is by the key that was admitted")
    func userID() async throws {
        let context = try ZeroMQContext()
        let server = try CurveKeyPair.generate()
        let client = try CurveKeyPair.generate()
        let router = try await context.open(
            Self.router(.curveServer(keys: server) { $0 == client.publicKey ? "the client" : nil })
        )
        let dealer = try await context.open(
            Self.dealer(router, .curveClient(keys: client, serverKey: server.publicKey))
        )
        await dealer.send(ZeroMQMessage(frames: [[7]]))
        #expect(try await Self.message(router).userID == "the client")
        await context.close()
    }

    @Test("say once on each side that a client's key is refused, try again, and connect once it is admitted")
    func refusedKey() async throws {
        let context = try ZeroMQContext()
        let server = try CurveKeyPair.generate()
        let client = try CurveKeyPair.generate()
        let asked = BoundedQueue<Void>(capacity: 100)
        let isAdmitted = Mutex(false)
        let router = try await context.open(
            Self.router(
                .curveServer(keys: server) { _ in
                    asked.push(())
                    return isAdmitted.withLock { $0 } ? "late" : nil
                }
            )
        )
        let dealer = try await context.open(
            Self.dealer(router, .curveClient(keys: client, serverKey: server.publicKey))
        )
        await dealer.send(ZeroMQMessage(frames: [[7]]))
        #expect(try await Self.failure(router) == .keyRefused(publicKey: client.publicKey))
        #expect(try await Self.failure(dealer) == .refusedByServer)
        for _ in 0..<4 { _ = await asked.next() }
        isAdmitted.withLock { $0 = true }
        // The next event on either side is the connection, and no second failure.
        guard case .message(let message)? = await router.next() else { throw StreamEnded() }
        #expect(message.userID == "late")
        #expect(await dealer.next() == .connected)
        await context.close()
    }

    @Test("say on both sides that a client expects another server key")
    func wrongServerKey() async throws {
        let context = try ZeroMQContext()
        let server = try CurveKeyPair.generate()
        let client = try CurveKeyPair.generate()
        let router = try await context.open(Self.router(.curveServer(keys: server) { _ in "anybody" }))
        let dealer = try await context.open(
            Self.dealer(router, .curveClient(keys: client, serverKey: client.publicKey))
        )
        let atServer = try await Self.failure(router)
        guard case .handshake(let text) = atServer else {
            Issue.record("the server said \(atServer)")
            return
        }
        #expect(text.contains("another server key"))
        #expect(try await Self.failure(dealer) == .hungUp)
        await context.close()
    }

    @Test("return what a router cannot deliver")
    func undeliverable() async throws {
        let context = try ZeroMQContext()
        let router = try await context.open(Self.router())
        await router.send(ZeroMQMessage(routingID: [1, 2, 3, 4, 5], frames: [[1]]))
        let event = await router.next()
        #expect(event == .undeliverable(routingID: [1, 2, 3, 4, 5], .unknownPeer))
        await context.close()
    }

    @Test("close the connection of a peer that sends too long a frame, and drop messages of too many")
    func limits() async throws {
        let context = try ZeroMQContext()
        var configuration = Self.router()
        configuration.maximumFrameBytes = 1_000
        configuration.maximumFrames = 2
        let router = try await context.open(configuration)
        let dealer = try await context.open(Self.dealer(router))
        await dealer.send(ZeroMQMessage(frames: [[1], [2], [3]]))
        await dealer.send(ZeroMQMessage(frames: [[4]]))
        #expect(try await Self.message(router).frames == [[4]])
        await dealer.send(ZeroMQMessage(frames: [[UInt8](repeating: 0, count: 1_001)]))
        while let event = await dealer.next(), event != .disconnected {}
        while let event = await dealer.next(), event != .connected {}
        await dealer.send(ZeroMQMessage(frames: [[5]]))
        #expect(try await Self.message(router).frames == [[5]])
        await context.close()
    }

    @Test("stop reading while nobody takes messages, until the sender has no room, and lose nothing")
    func backpressure() async throws {
        let context = try ZeroMQContext()
        var configuration = Self.router()
        configuration.incomingMessages = 4
        configuration.highWaterMark = 4
        let router = try await context.open(configuration)
        configuration = Self.dealer(router)
        configuration.highWaterMark = 4
        configuration.outgoingMessages = 4
        let dealer = try await context.open(configuration)
        let count = 2_000
        let sent = Mutex(0)
        let bytes = [UInt8](repeating: 9, count: 64 * 1024)
        async let sending: Void = {
            for number in 0..<count {
                await dealer.send(ZeroMQMessage(frames: [[UInt8(number & 255), UInt8(number >> 8)], bytes]))
                sent.withLock { $0 = number + 1 }
            }
        }()
        for number in 0..<count {
            let message = try await Self.message(router)
            #expect(message.frames.first == [UInt8(number & 255), UInt8(number >> 8)])
            // Queues of 4, high-water marks of 4 and TCP's buffers of a few megabytes are all that may lie between.
            if number == 0 { #expect(sent.withLock { $0 } < 1_000) }
        }
        await sending
        await context.close()
    }

    @Test("refuse an address in use and one that cannot be read")
    func addresses() async throws {
        let context = try ZeroMQContext()
        let router = try await context.open(Self.router())
        let second = SocketConfiguration(kind: .router(bind: router.endpoint), security: .none)
        await #expect { _ = try await context.open(second) } throws: { ($0 as? ZeroMQError)?.code == .addressInUse }
        let odd = SocketConfiguration(kind: .dealer(connect: "nonsense"), security: .none)
        await #expect { _ = try await context.open(odd) } throws: { ($0 as? ZeroMQError)?.code == .invalidEndpoint }
        await context.close()
        await #expect { _ = try await context.open(odd) } throws: { ($0 as? ZeroMQError)?.code == .closed }
    }
}
