// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailFormat
import TestKit
import Testing

@Suite("Replies and statuses, RFC 5321 §4.2 and RFC 3463")
struct ReplyTests {
    static let statuses: [(String, String?)] = [
        ("5.1.1", "5.1.1"), ("2.0.0", "2.0.0"), ("4.999.123", "4.999.123"), ("5.01.1", "5.1.1"), ("3.1.1", nil),
        ("5.1", nil), ("5.1.1.1", nil), ("5..1", nil), ("", nil), ("5.1.1000", nil), ("+5.1.1", nil), ("5.1.1 ", nil),
        ("５.1.1", nil), (".1.1", nil), ("5.1.", nil),
    ]

    @Test("reads an enhanced status or nothing", arguments: Self.statuses)
    func status(_ text: String, _ expected: String?) {
        #expect(EnhancedStatus(parsing: text)?.description == expected)
    }

    @Test("codes an enhanced status as a string")
    func coding() throws {
        let status = try #require(EnhancedStatus(class: 5, subject: 7, detail: 26))
        let data = try JSONEncoder().encode([status])
        #expect(String(decoding: data, as: UTF8.self) == "[\"5.7.26\"]")
        #expect(try JSONDecoder().decode([EnhancedStatus].self, from: data) == [status])
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode([EnhancedStatus].self, from: Data("[\"9\"]".utf8))
        }
    }

    @Test("T14: makes a storable value of 64 KiB of hostile reply text")
    func hostileReply() {
        var random = SeededGenerator(seed: 14)
        let junk = Array("5.1.1 ".utf8) + (0..<65_536).map { _ in UInt8.random(in: 0...255, using: &random) }
        let reply = SMTPReply(code: 550, lossyText: junk)
        #expect(reply.text.utf8.count <= SMTPReply.textByteLimit)
        #expect(reply.text.utf8.count > SMTPReply.textByteLimit - 4)
        #expect(!reply.text.utf8.contains(0))
        #expect(reply.enhancedStatus?.description == "5.1.1")
    }

    @Test("cuts long text between characters and drops NUL")
    func cutting() {
        let long = SMTPReply(code: 451, enhancedStatus: nil, text: "a" + String(repeating: "é", count: 2_000))
        #expect(long.text.utf8.count == 2_047)
        #expect(long.text.last == "é")
        #expect(SMTPReply(code: 250, enhancedStatus: nil, text: "o\0k").text == "ok")
    }

    @Test("believes a status only if its class is the code's")
    func leadingStatus() {
        #expect(SMTPReply(code: 550, lossyText: Array("5.7.1\nno".utf8)).enhancedStatus?.description == "5.7.1")
        #expect(SMTPReply(code: 450, lossyText: Array("5.7.1 no".utf8)).enhancedStatus == nil)
        #expect(SMTPReply(code: 550, lossyText: Array("no 5.7.1".utf8)).enhancedStatus == nil)
        #expect(SMTPReply(code: 550, lossyText: Array("5.7.1 a\nb".utf8)).description == "550 5.7.1 a b")
    }
}

@Suite("Dates, RFC 5322 §3.3")
struct MessageDateTests {
    static let dates: [(Int64, String)] = [
        (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
        (1_795_412_400, "Mon, 23 Nov 2026 05:40:00 +0000"),
        (951_827_696, "Tue, 29 Feb 2000 12:34:56 +0000"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 +0000"),
        (-1, "Wed, 31 Dec 1969 23:59:59 +0000"),
        (Int64.max, "Fri, 31 Dec 9999 23:59:59 +0000"),
        (Int64.min, "Mon, 01 Jan 0001 00:00:00 +0000"),
    ]

    @Test("writes a date in UTC", arguments: Self.dates)
    func writing(_ seconds: Int64, _ expected: String) {
        #expect(String(decoding: MessageDate.rfc5322(seconds), as: UTF8.self) == expected)
    }

    @Test("agrees with another calendar on random days")
    func agreement() {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss '+0000'"
        var random = SeededGenerator(seed: 5)
        for _ in 0..<500 {
            let seconds = Int64.random(in: -2_000_000_000...20_000_000_000, using: &random)
            let expected = formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
            #expect(String(decoding: MessageDate.rfc5322(seconds), as: UTF8.self) == expected)
        }
    }
}
