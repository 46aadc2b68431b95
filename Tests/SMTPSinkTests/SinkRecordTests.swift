// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import SMTPSink

@Suite("The sink's journal line")
struct SinkRecordTests {
    @Test("is one line of valid JSON whatever was in the message")
    func json() throws {
        let message = """
            Received: x\r
            message-id:\r
             <"q\\uote\u{7}"@x.example> \r
            DKIM-Signature: v=1; a=rsa-sha256; d=s.example;\r
            \ts=k 1; b=abc\r
            Subject: Message-ID: no\r
            DKIM-Signature: a=ed25519-sha256; s=k2; d=t.example\r
            \r
            Message-ID: <not this>\r\n
            """
        let scan = MessageScan(Array(message.utf8))
        let record = SinkRecord(
            time: SinkTime(seconds: 1_800_000_000, milliseconds: 7),
            peer: "[::1]:25",
            isTLS: true,
            reversePath: "",
            recipients: ["a@b.example", "ü\"@b.example"],
            messageID: scan.messageID + [0xFF],
            sizeBytes: 12,
            sha256: HexText.of([0x00, 0xAB, 0x7F]),
            signatures: scan.signatures,
            reply: nil
        )
        var line: [UInt8] = []
        record.write(into: &line)
        #expect(line.last == 0x0A)
        #expect(line.filter { $0 == 0x0A }.count == 1)
        let object = try #require(JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        #expect(object["time"] as? String == "2027-01-15T08:00:00.007Z")
        #expect(object["tls"] as? Bool == true)
        #expect(object["mail_from"] as? String == "")
        #expect(object["rcpt_to"] as? [String] == ["a@b.example", "ü\"@b.example"])
        #expect(object["message_id"] as? String == "<\"q\\uote\u{7}\"@x.example>\u{FFFD}")
        #expect(object["sha256"] as? String == "00ab7f")
        #expect(object["reply"] is NSNull)
        let signatures = try #require(object["dkim"] as? [[String: String]])
        #expect(signatures.map { $0["domain"] } == ["s.example", "t.example"])
        #expect(signatures.map { $0["selector"] } == ["k1", "k2"])
        #expect(signatures.map { $0["verdict"] } == ["unchecked", "unchecked"])
    }

    @Test(
        "writes the civil date",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_400, "2000-02-29T00:00:00.000Z"),
            (4_102_444_799, "2099-12-31T23:59:59.000Z"), (1_709_251_199, "2024-02-29T23:59:59.000Z"),
        ]
    )
    func dates(_ seconds: Int, _ text: String) {
        var line: [UInt8] = []
        SinkTime(seconds: Int64(seconds), milliseconds: 0).write(into: &line)
        #expect(String(decoding: line, as: UTF8.self) == text)
    }
}
