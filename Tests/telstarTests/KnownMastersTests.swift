// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import OperatorAPI
import Secrets
import Testing

@testable import telstar

@Suite("Certificates of masters that are remembered")
struct KnownMastersTests {
    private func file(_ body: (KnownMasters) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.path + "/known-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try body(KnownMasters(path: directory + "/telstar/known-masters"))
    }

    private let one = CertificateFingerprint(certificateDER: [1])
    private let two = CertificateFingerprint(certificateDER: [2])

    @Test("each master has its own, for its owner's eyes alone")
    func remembered() throws {
        try self.file { known in
            #expect(try known.certificate(of: "a:1") == nil)
            try known.remember(self.one, of: "a:1")
            try known.remember(self.two, of: "a:2")
            #expect(try known.certificate(of: "a:1") == self.one)
            #expect(try known.certificate(of: "a:2") == self.two)
            #expect(try known.certificate(of: "a") == nil)
            let mode = try FileManager.default.attributesOfItem(atPath: known.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test("a file that somebody has edited into something else is refused, not ignored")
    func damaged() throws {
        try self.file { known in
            try known.remember(self.one, of: "a:1")
            try "# a comment\na:1\n".write(toFile: known.path, atomically: true, encoding: .utf8)
            #expect(throws: StartFailure.self) { try known.certificate(of: "a:1") }
        }
    }
}

@Suite("A server's reply in one line")
struct ReportViewTests {
    @Test(
        "the enhanced status stands once, lines are joined",
        arguments: [
            ("2.0.0", "2.0.0 Ok", "250 2.0.0 Ok"), (nil, "Ok", "250 Ok"),
            ("2.0.0", "2.0.0 a\r\n2.0.0 b", "250 2.0.0 a / b"),
            ("2.0.0", "2.0.0.1 host", "250 2.0.0 2.0.0.1 host"),
        ]
    )
    func reply(enhanced: String?, text: String, expected: String) throws {
        var object: [String: Any] = [
            "id": "t", "mailing": 1, "email": "a@b.example", "status": "delivered", "uncertain": false, "try_count": 1,
            "modified_at": "2026-01-01T00:00:00Z", "reply_code": 250, "reply_text": text,
        ]
        object["enhanced_status"] = enhanced
        let data = try JSONSerialization.data(withJSONObject: object)
        #expect(try JSONDecoder().decode(ReportView.self, from: data).reply == expected)
    }
}
