// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing
import ZeroMQ

@testable import ClusterLink

@Suite("Wire forms")
struct CodecTests {
    static let satelliteMessages: [SatelliteMessage] = {
        let trace = AttemptTrace(
            stage: .recipient,
            replyCode: 550,
            enhancedStatus: "5.1.1",
            text: "no such user ü",
            mxHost: "mx.example.org"
        )
        let bare = AttemptTrace(stage: .lookup, text: "")
        let outcomes: [DeliveryOutcome] = [
            .delivered(trace), .deferred(bare), .failed(trace), .unrenderable(bare), .uncertain(trace),
        ]
        let traces = DeliveryStage.allCases.map { DeliveryOutcome.failed(AttemptTrace(stage: $0, text: "")) }
        let reports = (outcomes + traces).enumerated().map { index, outcome in
            DeliveryReport(
                recipient: RecipientID(packed: Int64.max - Int64(index)),
                attempt: AttemptSerial(rawValue: Int32(index + 1)),
                lease: LeaseSerial(rawValue: 77),
                outcome: outcome,
                endedAt: Timestamp(milliseconds: -5)
            )
        }
        return [
            .handshake(.sample()), .handshake(.remembering()),
            .heartbeat(SatelliteLoad(waiting: 1, started: 2, connections: 3, draining: true)),
            .credit([:]), .credit([.express: 0, .bulk: 20_000]), .leaseAccepted(LeaseSerial(rawValue: .max)),
            .start(LeaseSerial(rawValue: 1), EntryBitmap([0, 9, 999])), .reports(sequence: .max, reports),
            .reports(sequence: 0, []), .returned(LeaseSerial(rawValue: 2), neverStarted: EntryBitmap()),
            .signingKeyRequest(.sample(1)), .goodbye,
        ]
    }()

    static let masterMessages: [MasterMessage] =
        [
            .welcome(
                Welcome(storeID: "s", term: Term(rawValue: 3), knownLeases: [LeaseSerial(rawValue: 1)], group: "g")
            ),
            .grant(.sample(entries: 3, mergeBytes: 20)), .grant(.sample(entries: 0, mergeBytes: 0)),
            .started(LeaseSerial(rawValue: 1), EntryBitmap([1]), refused: EntryBitmap([2, 3])),
            .reportsApplied(sequence: 9), .signingKey(.sample(1), pem: "pem"), .signingKey(.sample(1), pem: nil),
            .heartbeat, .rejected(Rejection(code: .safeMode, text: "why")), .superseded,
            .rejected(Rejection(code: .copiedJournal, text: "why")), .welcome(.distrusting),
        ] + RevocationReason.allCases.map { .revoke(LeaseSerial(rawValue: 4), $0) }

    @Test("every message of a satellite survives the way there", arguments: CodecTests.satelliteMessages)
    func satellite(message: SatelliteMessage) throws {
        #expect(try SatelliteCodec.decode(SatelliteCodec.encode(message)) == message)
    }

    @Test(
        "how far the journal is written goes beside every message of a satellite",
        arguments: CodecTests.satelliteMessages
    )
    func journal(message: SatelliteMessage) throws {
        let position = JournalPosition(written: 1 << 40, synced: 7)
        let (read, journal) = try SatelliteCodec.decodeWhole(SatelliteCodec.encode(message, journal: position))
        #expect(read == message)
        // A handshake has it in it.
        if case .handshake(let handshake) = message {
            #expect(journal == handshake.journalPosition)
        } else {
            #expect(journal == position)
        }
    }

    @Test("the newest commit goes beside every message of a master", arguments: CodecTests.masterMessages)
    func store(message: MasterMessage) throws {
        var position = StorePosition.sample
        if case .welcome(let welcome) = message { position.storeID = welcome.storeID }
        let (content, store) = try MasterCodec.decodeWhole(
            MasterCodec.encode(message, store: position),
            of: position.storeID
        )
        #expect(content == .message(message) && store == position)
    }

    @Test("a handshake stays within one frame, however many leases are held: the details of the last ones are left out")
    func longHandshake() throws {
        var handshake = Handshake.remembering()
        let indices = EntryBitmap(bytes: [UInt8](repeating: 0xFF, count: 125))
        handshake.heldLeases = (1...4_000).map { LeaseSerial(rawValue: $0) }
        handshake.journaledLeases = handshake.heldLeases.map { JournaledLease($0, started: indices, closed: indices) }
        let bytes = SatelliteCodec.encode(.handshake(handshake))
        #expect(bytes.count < 512 * 1024)
        guard case .handshake(let read) = try SatelliteCodec.decode(bytes) else { throw WireError("no handshake") }
        #expect(read.heldLeases == handshake.heldLeases)
        #expect(!read.journaledLeases.isEmpty && handshake.journaledLeases.starts(with: read.journaledLeases))
    }

    @Test("every message of a master survives the way there", arguments: CodecTests.masterMessages)
    func master(message: MasterMessage) throws {
        #expect(try MasterCodec.decode(MasterCodec.encode(message)) == .message(message))
    }

    @Test("headers survive the way there, and impossible ones are refused")
    func headers() throws {
        var header = WireHeader(incarnation: .max, handshakeNumber: 3, sequence: 9, ack: 8)
        header.part = 2
        header.parts = 4
        #expect(try WireHeader(decoding: header.encoded()) == header)
        header.part = 5
        #expect(throws: WireError.self) { try WireHeader(decoding: header.encoded()) }
        header = WireHeader(incarnation: 1, handshakeNumber: 1, sequence: 0, ack: 0)
        #expect(throws: WireError.self) { try WireHeader(decoding: header.encoded()) }
        #expect(throws: WireError.self) { try WireHeader(decoding: [UInt8](repeating: 0, count: 129)) }
    }

    @Test("parts come together in order only, and within the bound")
    func parts() throws {
        let body = [UInt8](repeating: 5, count: LinkProtocol.maximumFrameBytes * 2 + 1)
        let parts = PartAssembler.split(body)
        #expect(parts.map(\.count) == [LinkProtocol.maximumFrameBytes, LinkProtocol.maximumFrameBytes, 1])
        var assembler = PartAssembler(limit: body.count)
        #expect(try assembler.take(parts[0], part: 1, of: 3) == nil)
        #expect(try assembler.take(parts[1], part: 2, of: 3) == nil)
        #expect(try assembler.take(parts[2], part: 3, of: 3) == body)
        #expect(try assembler.take(parts[0], part: 1, of: 3) == nil)
        #expect(throws: WireError.self) { try assembler.take(parts[2], part: 3, of: 3) }
        #expect(throws: WireError.self) { try assembler.take(parts[1], part: 2, of: 3) }
        var small = PartAssembler(limit: body.count - 1)
        #expect(try small.take(parts[0], part: 1, of: 3) == nil)
        #expect(try small.take(parts[1], part: 2, of: 3) == nil)
        #expect(throws: WireError.self) { try small.take(parts[2], part: 3, of: 3) }
    }

    @Test("decoders refuse or accept mutated bytes, and never trap", arguments: [1, 2, 3, 4] as [UInt64])
    func fuzz(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var corpus = Self.satelliteMessages.map { SatelliteCodec.encode($0) }
        corpus += Self.masterMessages.map { MasterCodec.encode(.message($0)) }
        corpus.append(WireHeader(incarnation: 1, handshakeNumber: 1, sequence: 1, ack: 0).encoded())
        var accepted = 0
        for _ in 0..<5_000 {
            guard var bytes = corpus.randomElement(using: &random) else { continue }
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0 where index < bytes.count: bytes[index] = .random(in: 0...255, using: &random)
                case 1 where index < bytes.count:
                    bytes.removeSubrange(index..<Int.random(in: index...bytes.count, using: &random))
                default: bytes.insert(.random(in: 0...255, using: &random), at: index)
                }
            }
            // What is accepted must have a wire form that means the same.
            if let message = try? SatelliteCodec.decode(bytes) {
                accepted += 1
                #expect(try SatelliteCodec.decode(SatelliteCodec.encode(message)) == message)
            }
            if let content = try? MasterCodec.decode(bytes) {
                accepted += 1
                #expect(try MasterCodec.decode(MasterCodec.encode(content)) == content)
            }
            _ = try? WireHeader(decoding: bytes)
            _ = BlobRequest(decoding: [bytes])
        }
        #expect(accepted > 0)
    }
}

/// A small seeded generator, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
