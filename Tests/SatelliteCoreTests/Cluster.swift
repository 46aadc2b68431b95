// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Crypto
import Glibc
import Logging
import MailDNS
import MailingModel
import NIOPosix
import SMTP
import SatelliteCore
import SatelliteJournal

/// One satellite between a scripted master and a sink.
struct Cluster: Sendable {
    var satellite: Satellite
    var master: ScriptedMaster
    var sink: TestSink
    var directory: String
    var content: BlobHash

    static let zone = """
        *.mail.test MX 10 mx.mail.test
        mx.mail.test A 127.0.0.1
        slow.test MX 10 mx.slow.test
        mx.slow.test A 127.0.0.1
        two.test MX 10 dead.two.test
        two.test MX 20 mx.two.test
        dead.two.test A 127.0.0.2
        mx.two.test A 127.0.0.1
        dead.test MX 10 mx.dead.test
        mx.dead.test A 127.0.0.3
        null.test MX 0 .
        gone.test NXDOMAIN
        broken.test SERVFAIL
        broken2.test SERVFAIL
        broken3.test SERVFAIL
        """

    static func content(
        subject: String = "Hello",
        html: String = "<p>Good news.</p>",
        dkim: [DKIMSetting] = []
    ) throws -> (hash: BlobHash, bytes: [UInt8]) {
        let content = MailingContent(
            mailing: MailingID(rawValue: 7),
            subject: subject,
            body: .alternative(html: html, plain: "Good news."),
            mailFrom: "news@example.com",
            senderName: "News",
            dkim: dkim
        )
        let bytes = try content.canonicalBytes()
        return (try Self.hash(bytes), bytes)
    }

    static func hash(_ bytes: [UInt8]) throws -> BlobHash {
        guard let hash = BlobHash(bytes: Array(SHA256.hash(data: bytes))) else { throw MissingBlob() }
        return hash
    }

    static func grant(
        _ serial: Int64,
        content: BlobHash,
        addresses: [String],
        testing: Bool = false,
        returnPathDomain: String = "rp.example.org",
        deliveryClass: DeliveryClass = .bulk
    ) -> LeaseGrant {
        let mailing = MailingID(rawValue: 7)
        return LeaseGrant(
            serial: LeaseSerial(rawValue: serial),
            term: Term(rawValue: 1),
            mailing: mailing,
            content: content,
            deliveryClass: deliveryClass,
            testing: testing,
            lifetime: .seconds(600),
            returnPathDomain: returnPathDomain,
            entries: addresses.enumerated().map { index, address in
                LeaseEntry(
                    recipient: RecipientID(
                        mailing: mailing,
                        bucket: Bucket(rawValue: UInt16(serial)),
                        ordinal: UInt32(index)
                    ),
                    attempt: AttemptSerial(rawValue: 1),
                    trackingID: "t\(serial)x\(index)",
                    address: address,
                    mergeFields: MergeFields().encoded(),
                    date: Timestamp(seconds: 1_795_000_000)
                )
            }
        )
    }

    func grant(_ serial: Int64, _ addresses: [String], testing: Bool = false) {
        self.master.grant(Self.grant(serial, content: self.content, addresses: addresses, testing: testing))
    }

    static func temporaryDirectory() throws -> String {
        var template = Array("/tmp/telstar-satellite-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw JournalError(.inputOutput, "mkdtemp failed") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes a directory and what satellites put into it.
    static func remove(_ directory: String) {
        for inner in ["journal", "content"] {
            guard let stream = opendir("\(directory)/\(inner)") else { continue }
            while let entry = readdir(stream) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != ".", name != ".." { unlink("\(directory)/\(inner)/\(name)") }
            }
            closedir(stream)
            rmdir("\(directory)/\(inner)")
        }
        rmdir(directory)
    }

    /// Runs a satellite for as long as `body` takes, then shuts it down.
    static func with(
        _ script: TestSink.Script = TestSink.Script(),
        directory: String? = nil,
        journal: (any JournalDirectory)? = nil,
        connected: Bool = true,
        configure: (inout SatelliteConfiguration) -> Void = { _ in },
        _ body: (Cluster) async throws -> Void
    ) async throws {
        let path = try directory ?? Self.temporaryDirectory()
        defer { if directory == nil { Self.remove(path) } }
        let group = MultiThreadedEventLoopGroup.singleton
        let sink = TestSink(script)
        let listener = try await sink.listen(on: group)
        var configuration = SatelliteConfiguration(serial: "test", heloName: "satellite.test", dataDirectory: path)
        configuration.smtpPort = listener.port
        configuration.usesTLS = false
        configuration.journal.segmentSize = 1 << 20
        configuration.tick = .milliseconds(20)
        configuration.lookupRetry = .milliseconds(20)
        configuration.shutdownDrain = .seconds(1)
        configuration.shutdownLimit = .seconds(5)
        configuration.shutdownReports = .seconds(1)
        configuration.testTarget = SatelliteConfiguration.TestTarget(address: "127.0.0.1", port: listener.port)
        configure(&configuration)
        let (hash, bytes) = try Self.content()
        let master = ScriptedMaster()
        master.state.change { $0.blobs[hash] = bytes }
        var logger = Logger(label: "satellite.test")
        logger.logLevel = .critical
        let satellite = try Satellite(
            configuration,
            journal: journal,
            resolver: FakeResolver(zoneFile: Self.zone),
            group: group,
            logger: logger
        ) { _, _, _ in
            master
        }
        let cluster = Cluster(satellite: satellite, master: master, sink: sink, directory: path, content: hash)
        if connected { master.connect() }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await satellite.run() }
            do {
                try await body(cluster)
            } catch {
                sink.release()
                tasks.cancelAll()
                throw error
            }
            satellite.beginShutdown()
            try await tasks.waitForAll()
        }
        try await listener.close()
    }
}

extension [RecipientID: DeliveryOutcome] {
    /// How many of each outcome.
    var summary: String {
        var counts: [String: Int] = [:]
        for outcome in self.values {
            let name =
                switch outcome {
                case .delivered: "delivered"
                case .deferred: "deferred"
                case .failed: "failed"
                case .unrenderable: "unrenderable"
                case .uncertain: "uncertain"
                }
            counts[name, default: 0] += 1
        }
        return counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: " ")
    }
}
