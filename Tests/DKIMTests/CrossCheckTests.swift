// SPDX-License-Identifier: Apache-2.0

import DKIM
import Foundation
import TestKit
import Testing

@Suite(
    "Other people's verifiers",
    .enabled(if: Corpus.dkimpy != nil, "TELSTAR_DKIMPY names no Python with dkimpy")
)
struct CrossCheckTests {
    @Test("D4, T16: dkimpy, and opendkim where it is installed, find all our signatures good")
    func good() throws {
        try self.withFolder { folder in
            var random = SeededGenerator(seed: 20_26)
            let signers = [try Corpus.rsa(), try Corpus.ed25519()]
            for index in 0..<60 {
                let message = RandomMessage.make(&random)
                let signed = try Corpus.signed(message, by: signers, at: 1_700_000_000)
                let sent = index % 2 == 0 ? signed : RandomMessage.carried(signed, &random, colonSpace: "")
                try Data(sent).write(to: folder.appending(path: "\(index).eml"))
            }
            for file in ["rfc8463-appendix-a.eml", "rfc6376-appendix-a.eml", "news.signed.eml"] {
                try Data(Corpus.bytes(file)).write(to: folder.appending(path: file))
            }
            let (status, said) = try self.check(folder, [])
            #expect(status == 0, "\(said)")
            #expect(said.contains("messages=63 signatures=125 dkimpy=125"))
        }
    }

    @Test("dkimpy finds our signatures of changed messages bad, so the check can fail")
    func bad() throws {
        try self.withFolder { folder in
            let signed = try Corpus.signed(SignerTests.message, by: [Corpus.rsa(), Corpus.ed25519()])
            let changed = String(decoding: signed, as: UTF8.self).replacing("Hello", with: "Hallo")
            try Data(changed.utf8).write(to: folder.appending(path: "changed.eml"))
            let (status, said) = try self.check(folder, ["--expect-bad"])
            #expect(status == 0, "\(said)")
            #expect(said.contains("messages=1 signatures=2 dkimpy=0"))
        }
    }

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "telstar-dkim-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }  // What is left behind is in the temporary folder.
        try body(folder)
    }

    private func check(_ folder: URL, _ options: [String]) throws -> (Int32, String) {
        let script = Corpus.folder.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Interop/dkim_crosscheck.py")
        let process = Process()
        process.executableURL = URL(filePath: try #require(Corpus.dkimpy))
        process.arguments = [script.path, folder.path, Corpus.folder.appending(path: "keys.txt").path] + options
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, said)
    }
}
