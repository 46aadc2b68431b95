// SPDX-License-Identifier: Apache-2.0

import DKIM
import MailFormat
import TestKit
import Testing

@Suite("Signatures of random messages")
struct PropertyTests {
    @Test("T16: a random message, signed and carried by a hostile relay, verifies")
    func survival() async throws {
        var random = SeededGenerator(seed: 6_376)
        let signers = [try Corpus.rsa(), try Corpus.ed25519()]
        for round in 0..<150 {
            let message = RandomMessage.make(&random)
            let own = round % 10 == 0 ? signers : Array(signers.suffix(1))
            let signed = try Corpus.signed(message, by: own)
            let carried = RandomMessage.carried(signed, &random)
            #expect(await self.verdicts(signed) == [.pass])
            #expect(await self.verdicts(carried) == [.pass])
        }
    }

    private func verdicts(_ message: [UInt8]) async -> Set<DKIMResult.Verdict> {
        let results = await DKIMVerifier.verify(message: message, keyRecord: Corpus.keys)
        return Set(results.map(\.verdict))
    }

    @Test("a change that relaxed canonicalisation does not forgive is found")
    func tampering() async throws {
        var random = SeededGenerator(seed: 8_463)
        let signer = try Corpus.ed25519()
        for _ in 0..<200 {
            let message = RandomMessage.make(&random)
            var signed = try Corpus.signed(message, by: [signer])
            let bodyStart = signed.count - message.count + (message.firstRange(of: [13, 10, 13, 10])?.upperBound ?? 0)
            let indices = signed.indices.dropFirst(bodyStart).filter { signed[$0] > 0x20 }
            guard !indices.isEmpty else { continue }
            signed[random.pick(indices)] ^= 0x01
            let results = await DKIMVerifier.verify(message: signed, keyRecord: Corpus.keys)
            #expect(results.map(\.verdict) == [.fail("the body's hash differs")])
        }
    }

    @Test("mutated signatures and messages are verified and never crash")
    func mutations() async throws {
        var random = SeededGenerator(seed: 1)
        let files = ["rfc8463-appendix-a.eml", "rfc6376-appendix-a.eml", "news.signed.eml"]
        let corpus = try files.map { try Corpus.bytes($0) }
        var verdicts = 0
        for _ in 0..<1_500 {
            let results = await DKIMVerifier.verify(
                message: random.mutated(random.pick(corpus)),
                lengthPolicy: .honour,
                keyRecord: Corpus.keys
            )
            verdicts += results.count
        }
        #expect(verdicts > 1_500)
    }

    @Test("mutated key records are parsed and never crash")
    func recordMutations() async throws {
        var random = SeededGenerator(seed: 2)
        let message = try Corpus.bytes("rfc8463-appendix-a.eml")
        let record = try #require(try Corpus.key("football.example.com", "brisbane"))
        for _ in 0..<1_000 {
            let mutated = String(decoding: random.mutated(Array(record.utf8)), as: UTF8.self)
            let results = await DKIMVerifier.verify(message: message) { _, _ in mutated }
            #expect(results.count == 2)
        }
    }
}
