// SPDX-License-Identifier: Apache-2.0

import MailFormat
import TestKit

/// Messages as a mailing makes them, of random texts, and what relays do to them.
enum RandomMessage {
    /// A message with a random header and one to three parts.
    static func make(_ random: inout SeededGenerator) -> [UInt8] {
        var message: [UInt8] = []
        HeaderEncoder.appendUnstructured(name: "From", text: "jane@example.org", to: &message)
        HeaderEncoder.appendUnstructured(name: "To", text: "joe@example.net", to: &message)
        HeaderEncoder.appendUnstructured(name: "Subject", text: random.text(words: 0...12), to: &message)
        if Bool.random(using: &random) {
            HeaderEncoder.appendUnstructured(name: "Date", text: MessageDate.rfc5322(1_795_412_400), to: &message)
        }
        for index in 0..<Int.random(in: 0...3, using: &random) {
            HeaderEncoder.appendUnstructured(name: "X-Field-\(index)", text: random.text(words: 0...4), to: &message)
        }
        if Bool.random(using: &random) {
            HeaderEncoder.appendStructured(
                name: "List-Unsubscribe",
                text: "<https://u.example.org/\(random.next())>",
                to: &message
            )
            HeaderEncoder.appendStructured(
                name: "List-Unsubscribe-Post",
                text: "List-Unsubscribe=One-Click",
                to: &message
            )
        }
        HeaderEncoder.appendStructured(name: "MIME-Version", text: "1.0", to: &message)
        if Bool.random(using: &random) {
            Self.appendLeaf(&random, to: &message)
        } else {
            HeaderEncoder.appendParameterised(
                name: "Content-Type",
                value: "multipart/mixed",
                parameters: [("boundary", "=_b")],
                to: &message
            )
            message.append(contentsOf: "\r\n".utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                message.append(contentsOf: "--=_b\r\n".utf8)
                Self.appendLeaf(&random, to: &message)
                message.append(contentsOf: "\r\n".utf8)
            }
            message.append(contentsOf: "--=_b--\r\n".utf8)
        }
        return message + [UInt8](repeating: 0, count: Int.random(in: 0...3, using: &random)).flatMap { _ in [13, 10] }
    }

    private static func appendLeaf(_ random: inout SeededGenerator, to message: inout [UInt8]) {
        var content: [UInt8] = []
        for _ in 0..<Int.random(in: 0...20, using: &random) {
            content.append(contentsOf: random.text(words: 0...20).utf8)
            content.append(contentsOf: random.pick(["\n", "\r\n", "\r", "\n\n \t\n", "\n.\n", "\nFrom x\n"]).utf8)
        }
        let encoding = Bool.random(using: &random) ? BodyEncoding.choose(for: content, isText: true) : .base64
        HeaderEncoder.appendParameterised(
            name: "Content-Type",
            value: "text/plain",
            parameters: [("charset", "utf-8")],
            to: &message
        )
        HeaderEncoder.appendStructured(
            name: "Content-Transfer-Encoding",
            text: encoding.headerValue,
            to: &message
        )
        message.append(contentsOf: "\r\n".utf8)
        encoding.append(content, isText: true, to: &message)
    }

    /// What a relay may do without breaking a relaxed signature: trace fields before the header, other folding, other
    /// white space, other capitals in names, white space at line ends and empty lines at the end.
    ///
    /// `colonSpace` is what a relay may put before a colon; dkimpy does not take a space there.
    static func carried(_ message: [UInt8], _ random: inout SeededGenerator, colonSpace: String = " ") -> [UInt8] {
        guard let entity = try? MIMEEntity(parsing: message), let split = message.firstRange(of: [13, 10, 13, 10])
        else {
            return message
        }
        var output = Array("Received: from a by b;\r\n\tMon, 23 Nov 2026 05:41:00 +0000\r\nX-Spam: no\r\n".utf8)
        for field in entity.headers {
            let name = random.pick([
                field.name, field.name.uppercased(), field.name.lowercased(), field.name + colonSpace,
            ])
            output.append(contentsOf: name.utf8)
            output.append(0x3A)
            for byte in field.value {
                if byte == 0x20, Int.random(in: 0..<4, using: &random) == 0 {
                    output.append(
                        contentsOf: random.pick(
                            output.last == 0x0A ? ["\t", "  "] : ["  ", "\t", " \t ", "\r\n ", "\r\n\t"]
                        ).utf8
                    )
                } else {
                    output.append(byte)
                }
            }
            output.append(contentsOf: random.pick(["\r\n", " \r\n", "\t \r\n"]).utf8)
        }
        output.append(contentsOf: [13, 10])
        for byte in message[split.upperBound...] {
            if byte == 0x0D, Int.random(in: 0..<5, using: &random) == 0 { output.append(0x20) }
            if byte == 0x20, Int.random(in: 0..<5, using: &random) == 0 { output.append(0x09) }
            output.append(byte)
        }
        for _ in 0..<Int.random(in: 0...3, using: &random) { output.append(contentsOf: [13, 10]) }
        return output
    }
}
