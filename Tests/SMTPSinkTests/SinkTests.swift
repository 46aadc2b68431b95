// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MailFormat
import NIOCore
import NIOPosix
import SMTP
import Testing

@testable import SMTPSink

@Suite("The sink over real sockets")
struct SinkTests {
    @Test("writes a line for each accepted message, with the hash of the unstuffed content")
    func journal() async throws {
        let outcome = try await SinkRun(script: "").send(["a@x.example", "b@x.example", "c@x.example"])
        #expect(outcome.ends == ["delivered", "delivered", "delivered"])
        #expect(outcome.journal.count == 3)
        let first = try #require(outcome.journal.first)
        #expect(first["rcpt_to"] as? [String] == ["a@x.example"])
        #expect(first["mail_from"] as? String == "bounce@s.example")
        #expect(first["message_id"] as? String == "<1@s.example>")
        #expect(first["size"] as? Int == SinkRun.content(1).utf8.count)
        // `sha256sum` of the same text
        let hash = "935497befd0d04504b46c3a24ed38c5d0ad324bc5b206f130178b8130da0487e"
        #expect(first["sha256"] as? String == hash)
        #expect((first["reply"] as? String)?.hasPrefix("250 2.0.0 Ok: queued as ") == true)
        #expect((first["dkim"] as? [[String: String]])?.first?["verdict"] == "unchecked")
        #expect(outcome.counts == SinkCounts(connections: 1, accepted: 3, refused: 0))
    }

    @Test("refuses the recipients that the script names, and journals only the others")
    func refusedRecipients() async throws {
        let script = "at rcpt to no*@*: reply 550 5.1.1 unknown\nat dot to late*@*: reply 451 4.3.0 later"
        let outcome = try await SinkRun(script: script).send(["no1@x", "a@x", "late@x", "no2@x", "b@x"])
        #expect(outcome.ends == ["recipient 550", "delivered", "finalDot 451", "recipient 550", "delivered"])
        #expect(outcome.recipients == ["a@x", "b@x"])
        #expect(outcome.counts.refused == 1)
    }

    @Test("defers a first attempt and takes the second (listmonk#1802)")
    func attempts() async throws {
        let outcome = try await SinkRun(script: "at rcpt attempts 1: reply 454 4.7.0 throttled").send([
            "a@x", "b@x", "a@x",
        ])
        #expect(outcome.ends == ["recipient 454", "recipient 454", "delivered"])
        #expect(outcome.recipients == ["a@x"])
    }

    @Test("takes the same share of recipients on every run")
    func share() async throws {
        let recipients = (0..<60).map { "user\($0)@x.example" }
        let script = "seed 5\nat rcpt share 60%: reply 454 4.7.0 throttled"
        let first = try await SinkRun(script: script).send(recipients)
        let second = try await SinkRun(script: script).send(recipients)
        #expect(first.ends == second.ends)
        #expect((20...50).contains(first.ends.filter { $0 == "recipient 454" }.count))
        #expect(first.ends.filter { $0 == "delivered" }.count == first.journal.count)
    }

    @Test("drops after the dot: journalled without a reply, uncertain for the client")
    func dropAfterDot() async throws {
        let outcome = try await SinkRun(script: "at dot to b@x: drop").send(["a@x", "b@x"])
        #expect(outcome.ends == ["delivered", "uncertain"])
        #expect(outcome.recipients == ["a@x", "b@x"])
        #expect(outcome.journal.last?["reply"] is NSNull)
    }

    @Test("drops in the midst of the content: neither journalled nor delivered")
    func dropInContent() async throws {
        let outcome = try await SinkRun(script: "at content to b@x: drop").send(["a@x", "b@x"])
        #expect(outcome.ends.first == "delivered")
        #expect(outcome.recipients == ["a@x"])
    }

    @Test("closes after every second message, which costs no message")
    func closeBetween() async throws {
        let outcome = try await SinkRun(script: "at dot every 2: close").send(["a@x", "b@x", "c@x"])
        #expect(outcome.ends == ["delivered", "delivered", "notStarted"])
        #expect(outcome.recipients == ["a@x", "b@x"])
    }

    @Test("delays, drips and reads slowly as scripted, and the mail arrives")
    func slowness() async throws {
        let script = "at rcpt: delay 20ms\nat dot: tarpit 1ms\nat mail: slow 4096/1ms"
        let outcome = try await SinkRun(script: script).send(["a@x", "b@x"])
        #expect(outcome.ends == ["delivered", "delivered"])
        #expect(outcome.journal.count == 2)
    }

    @Test("floods a reply that the client bears (postal#2716)")
    func flood() async throws {
        let outcome = try await SinkRun(script: "at rcpt to b@x: reply 550 5.7.1 no; flood 65536").send(["b@x", "a@x"])
        #expect(outcome.ends == ["recipient 550", "delivered"])
    }

    @Test("writes accepted messages into a maildir")
    func maildir() async throws {
        let run = try SinkRun(script: "")
        run.usesMaildir = true
        let outcome = try await run.send(["a@x", "b@x"])
        #expect(outcome.maildir.sorted() == [SinkRun.content(1), SinkRun.content(2)])
    }

    @Test("says which address it cannot listen on")
    func badAddress() async throws {
        let sink = SMTPSink(
            configuration: SinkConfiguration(addresses: ["nowhere:x"]),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        let error = await #expect(throws: SinkError.self) { try await sink.run() }
        #expect(error?.code == .address)
    }
}

/// One sink on a free port and one connection to it.
final class SinkRun {
    struct Result {
        var ends: [String]
        var journal: [[String: Any]]
        var counts: SinkCounts
        var maildir: [String]

        var recipients: [String] { self.journal.flatMap { $0["rcpt_to"] as? [String] ?? [] } }
    }

    var usesMaildir = false
    private let script: SinkScript

    init(script: String) throws { self.script = try SinkScript(parsing: script) }

    static func content(_ id: UInt64) -> String {
        """
        From: a@s.example\r
        Message-ID: <\(id)@s.example>\r
        DKIM-Signature: v=1; a=rsa-sha256; d=s.example; s=k1\r
        \r
        .A line that begins with a dot\r
        \(String(repeating: "and one that is long ", count: 40))\r\n
        """
    }

    func send(_ recipients: [String]) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sink-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let journal = folder.appendingPathComponent("journal.jsonl")
        let maildir = folder.appendingPathComponent("maildir")
        let configuration = SinkConfiguration(
            addresses: ["127.0.0.1:0"],
            journalPath: journal.path,
            maildirPath: self.usesMaildir ? maildir.path : nil,
            script: self.script
        )
        let sink = SMTPSink(
            configuration: configuration,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        let (started, continuation) = AsyncStream<[String]>.makeStream()
        async let running: Void = sink.run { continuation.yield($0) }
        var addresses = started.makeAsyncIterator()
        let address = try #require(await addresses.next()?.first)
        let port = try #require(Int(address.split(separator: ":").last ?? ""))
        #expect(sink.boundAddresses == [address])
        let ends = try await Self.deliver(recipients, port: port)
        let counts = sink.counts
        sink.stop()
        try await running
        let lines = try Data(contentsOf: journal).split(separator: 0x0A)
        let new = maildir.appendingPathComponent("new")
        let files = self.usesMaildir ? try FileManager.default.contentsOfDirectory(atPath: new.path) : []
        return Result(
            ends: ends,
            journal: try lines.map { try JSONSerialization.jsonObject(with: $0) as? [String: Any] ?? [:] },
            counts: counts,
            maildir: try files.map { try String(contentsOf: new.appendingPathComponent($0), encoding: .utf8) }
        )
    }

    private static func deliver(_ recipients: [String], port: Int) async throws -> [String] {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: [String].self)
        loop.execute {
            SMTPClient.connect(
                host: "sink",
                address: "127.0.0.1",
                port: port,
                on: loop,
                configuration: SMTPClientConfiguration(heloName: "client.example"),
                delegate: ListSender(recipients, promise)
            )
        }
        return try await promise.futureResult.get()
    }
}

/// Sends one message to each recipient, in order, over one connection.
private final class ListSender: SMTPConnectionDelegate {
    private var recipients: ArraySlice<String>
    private var sent: UInt64 = 0
    private var ends: [String] = []
    private let promise: EventLoopPromise<[String]>

    init(_ recipients: [String], _ promise: EventLoopPromise<[String]>) {
        self.recipients = recipients[...]
        self.promise = promise
    }

    func connectionReady(_ connection: SMTPConnection) {}

    func nextTransaction(_ connection: SMTPConnection) -> SMTPTransaction? {
        guard let recipient = self.recipients.popFirst() else {
            connection.quit()
            return nil
        }
        self.sent += 1
        return SMTPTransaction(
            id: self.sent,
            reversePath: "bounce@s.example",
            recipient: recipient,
            message: ByteBuffer(string: SinkRun.content(self.sent))
        )
    }

    func willSendFinalDot(_ connection: SMTPConnection, _ id: UInt64) {}

    func transactionEnded(_ connection: SMTPConnection, _ id: UInt64, _ end: SMTPTransactionEnd) {
        let text =
            switch end {
            case .reply(.finalDot, let reply) where reply.code < 300: "delivered"
            case .reply(let stage, let reply): "\(stage.rawValue) \(reply.code)"
            case .notStarted: "notStarted"
            case .lost: "lost"
            case .uncertain: "uncertain"
            }
        self.ends.append(text)
    }

    func connectionClosed(_ connection: SMTPConnection, _ reason: SMTPConnectionEnd) {
        self.promise.succeed(self.ends)
    }
}
