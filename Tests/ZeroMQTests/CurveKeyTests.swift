// SPDX-License-Identifier: Apache-2.0

import Testing
import ZeroMQ

@Suite("CURVE keys")
struct CurveKeyTests {
    @Test("writes and reads keys as Z85, ZeroMQ RFC 32")
    func z85() throws {
        // The server key of the ZeroMQ manual page zmq_curve.
        let text = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
        let bytes: [UInt8] = [
            0x54, 0xFC, 0xBA, 0x24, 0xE9, 0x32, 0x49, 0x96, 0x93, 0x16, 0xFB, 0x61, 0x7C, 0x87, 0x2B, 0xB0,
            0xC1, 0xD1, 0xFF, 0x14, 0x80, 0x04, 0x27, 0xC5, 0x94, 0xCB, 0xFA, 0xCF, 0x1B, 0xC2, 0xD6, 0x52,
        ]
        #expect(try Z85.decode(key: text) == bytes)
        #expect(try Z85.encode(key: bytes) == text)
    }

    @Test(
        "refuses text that is no key",
        arguments: ["", "short", String(repeating: "#", count: 40), String(repeating: "\u{7f}", count: 40)]
    )
    func refuses(text: String) {
        #expect(throws: ZeroMQError.self) { try Z85.decode(key: text) }
    }

    @Test("draws pairs that are different, and derives the public half from the secret one")
    func generates() throws {
        let pair = try CurveKeyPair.generate()
        #expect(pair.publicKey.count == 32)
        #expect(try CurveKeyPair(secretKey: pair.secretKey) == pair)
        #expect(try CurveKeyPair.generate() != pair)
        #expect(throws: ZeroMQError.self) { try CurveKeyPair(secretKey: [1, 2, 3]) }
    }
}
