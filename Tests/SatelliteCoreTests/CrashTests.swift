// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Glibc
import MailingModel
import SMTP
import SatelliteCore
import SatelliteJournal
import Synchronization
import Testing

/// A directory whose disk may be full, or whose writes may fail.
final class FailingDirectory: JournalDirectory {
    struct State: Sendable {
        var isFull = false
        var writesFail = false
        /// Nobody can distinguish its files from copies of them.
        var isAnonymous = false
    }

    let state = Mutex(State())
    private let disk: DiskJournalDirectory

    init(path: String) throws { self.disk = try DiskJournalDirectory(path: path) }

    func change(_ body: (inout State) -> Void) { self.state.withLock { body(&$0) } }

    func segments() throws(JournalError) -> [UInt64] { try self.disk.segments() }
    func contents(of segment: UInt64) throws(JournalError) -> [UInt8] { try self.disk.contents(of: segment) }
    func open(_ segment: UInt64) throws(JournalError) -> any JournalFile {
        FailingFile(directory: self, file: try self.disk.open(segment))
    }
    func create(_ segment: UInt64, size: Int) throws(JournalError) -> any JournalFile {
        if self.state.withLock({ $0.isFull }) { throw JournalError(.noSpace, "no space left on device") }
        return FailingFile(directory: self, file: try self.disk.create(segment, size: size))
    }
    func remove(_ segment: UInt64) throws(JournalError) { try self.disk.remove(segment) }
    func setAside(_ segment: UInt64) throws(JournalError) { try self.disk.setAside(segment) }
    func release() { self.disk.release() }
}

private struct FailingFile: JournalFile {
    let directory: FailingDirectory
    let file: any JournalFile

    func write(_ bytes: [UInt8], at offset: Int) throws(JournalError) {
        if self.directory.state.withLock({ $0.writesFail }) { throw JournalError(.inputOutput, "input/output error") }
        try self.file.write(bytes, at: offset)
    }

    func synchronize() throws(JournalError) { try self.file.synchronize() }

    var identity: String { self.directory.state.withLock { $0.isAnonymous } ? "" : self.file.identity }
}

@Suite("What a satellite makes of an earlier process's end", .timeLimit(.minutes(15)))
struct CrashTests {
    private let lease = LeaseSerial(rawValue: 1)

    /// A directory in which a process died with entry 0 reported, 1 past its dot, 2 and 3 started, 4 to 9 never started.
    private func afterDeath() throws -> String {
        let directory = try Cluster.temporaryDirectory()
        let (hash, _) = try Cluster.content()
        let addresses = (0..<10).map { "u\($0)@x.mail.test" }
        let (journal, _) = try Journal.open(
            DiskJournalDirectory(path: directory + "/journal"),
            configuration: Journal.Configuration(segmentSize: 1 << 20),
            bootID: Journal.currentBootID(),
            incarnation: 1,
            now: Timestamp(seconds: 1)
        )
        _ = try journal.accept([Cluster.grant(1, content: hash, addresses: addresses)])
        try journal.recordStarted([self.lease: EntryBitmap(0..<4)])
        try journal.recordDot(self.lease, entry: 0)
        let trace = AttemptTrace(stage: .finalDot, replyCode: 250, text: "queued")
        try journal.recordDone(self.lease, entry: 0, .delivered(trace), endedAt: Timestamp(seconds: 1))
        try journal.recordDot(self.lease, entry: 1)
        return directory
    }

    @Test("a dot without a reply is reported uncertain and never sent again; the rest goes on")
    func dotWithoutDone() async throws {
        let directory = try self.afterDeath()
        defer { Cluster.remove(directory) }
        try await Cluster.with(directory: directory, connected: false) { cluster in
            cluster.master.connect(known: [self.lease])
            try await cluster.master.untilReported(10)
            #expect(cluster.master.outcomes.summary == "delivered 9 uncertain 1")
            #expect(cluster.sink.state.value.messages.count == 8)
            #expect(cluster.sink.state.value.messages["u0@x.mail.test"] == nil)
            #expect(cluster.sink.state.value.messages["u1@x.mail.test"] == nil)
            #expect(cluster.master.state.value.started[self.lease]?.indices == Array(4..<10))
        }
        try await Cluster.with(directory: directory) { cluster in
            cluster.grant(2, ["again@x.mail.test"])
            try await cluster.master.untilReported(1)
            #expect(cluster.master.outcomes.count == 1)
        }
    }

    @Test("a satellite that dies while the reply is awaited knows it from its files alone")
    func deathDuringDot() async throws {
        var script = TestSink.Script()
        script.message = { _ in .postpone }
        let copy = try Cluster.temporaryDirectory()
        defer { Cluster.remove(copy) }
        // The copy stands for the files themselves, as the process leaves them.
        let original = try Cluster.temporaryDirectory()
        defer { Cluster.remove(original) }
        let journal = try FailingDirectory(path: original + "/journal")
        journal.change { $0.isAnonymous = true }
        try await Cluster.with(
            script,
            directory: original,
            journal: journal,
            configure: { $0.connectionsPerSite = 1 }
        ) { cluster in
            cluster.grant(1, (0..<5).map { "u\($0)@x.mail.test" })
            try await cluster.sink.state.until("a message held back") { $0.heldBack.count == 1 }
            try Self.copyJournal(from: cluster.directory, to: copy)
            cluster.sink.release()
            cluster.satellite.beginShutdown()
        }
        try await Cluster.with(directory: copy, connected: false) { cluster in
            cluster.master.connect(known: [self.lease])
            try await cluster.master.untilReported(5)
            #expect(cluster.master.outcomes.summary == "delivered 4 uncertain 1")
            #expect(cluster.sink.state.value.messages["u0@x.mail.test"] == nil)
        }
    }

    @Test("what an earlier process had started waits for the first welcome, whoever else is away")
    func waitsForWelcome() async throws {
        let directory = try self.afterDeath()
        defer { Cluster.remove(directory) }
        var sink: TestSink?
        try await Cluster.with(directory: directory, connected: false) { sink = $0.sink }
        // An orderly end leaves it to the next process; what was never started goes back.
        #expect(sink?.state.value.messages.isEmpty == true)
        try await Cluster.with(directory: directory, connected: false) { cluster in
            cluster.master.connect(known: [self.lease])
            try await cluster.master.untilReported(4)
            #expect(cluster.master.outcomes.summary == "delivered 3 uncertain 1")
            try await cluster.master.state.until("the rest is returned") { $0.returned[self.lease]?.count == 6 }
        }
    }

    @Test("a journal that the master distrusts: what was found started is uncertain, what was not is requested")
    func distrusted() async throws {
        let directory = try self.afterDeath()
        defer { Cluster.remove(directory) }
        try await Cluster.with(directory: directory, connected: false) { cluster in
            cluster.master.connect(known: [self.lease], isDistrusted: true)
            try await cluster.master.untilReported(10)
            #expect(cluster.master.outcomes.summary == "delivered 7 uncertain 3")
            #expect(Set(cluster.sink.state.value.messages.keys) == Set((4..<10).map { "u\($0)@x.mail.test" }))
        }
    }

    @Test("a copied journal: what was found started is uncertain before any master is asked")
    func copied() async throws {
        let directory = try self.afterDeath()
        let copy = try Cluster.temporaryDirectory()
        defer { for path in [directory, copy] { Cluster.remove(path) } }
        try Self.copyJournal(from: directory, to: copy)
        try await Cluster.with(directory: copy, connected: false) { cluster in
            cluster.master.connect(known: [self.lease])
            try await cluster.master.untilReported(10)
            #expect(cluster.master.outcomes.summary == "delivered 7 uncertain 3")
            #expect(Set(cluster.sink.state.value.messages.keys) == Set((4..<10).map { "u\($0)@x.mail.test" }))
        }
    }

    @Test("reports that nobody acknowledged survive the process")
    func unacknowledged() async throws {
        let directory = try Cluster.temporaryDirectory()
        defer { Cluster.remove(directory) }
        try await Cluster.with(directory: directory, configure: { $0.shutdownReports = .zero }) { cluster in
            cluster.master.state.change { $0.acknowledgesReports = false }
            cluster.grant(1, ["a@x.mail.test", "b@gone.test"])
            try await cluster.master.untilReported(2)
        }
        try await Cluster.with(directory: directory, connected: false) { cluster in
            cluster.master.connect(known: [self.lease])
            try await cluster.master.untilReported(2)
            #expect(cluster.master.outcomes.summary == "delivered 1 failed 1")
            #expect(cluster.sink.state.value.messages.isEmpty)
        }
    }

    @Test("a full disk: the lease is returned and credit withdrawn, what was accepted goes on")
    func fullDisk() async throws {
        let directory = try Cluster.temporaryDirectory()
        defer { Cluster.remove(directory) }
        let journal = try FailingDirectory(path: directory + "/journal")
        try await Cluster.with(
            directory: directory,
            journal: journal,
            configure: { $0.journal.segmentSize = 64 * 1024 }
        ) { cluster in
            cluster.master.state.change { $0.answersStarts = false }
            cluster.grant(1, (0..<20).map { "u\($0)@x.mail.test" })
            try await cluster.master.state.until("the lease") { $0.accepted.count == 1 }
            journal.change { $0.isFull = true }
            cluster.grant(2, (0..<100).map { "v\($0)@x.mail.test" })
            try await cluster.master.state.until("the second back") { state in
                state.returned[LeaseSerial(rawValue: 2)]?.count == 100 && state.credit[.bulk] == 0
            }
            #expect(cluster.satellite.status().isDiskFull)
            cluster.master.answerStarts()
            try await cluster.master.untilReported(20)
            #expect(cluster.master.outcomes.summary == "delivered 20")
        }
    }

    @Test("a journal that cannot be written stops the satellite before the dot")
    func brokenJournal() async throws {
        let directory = try Cluster.temporaryDirectory()
        defer { Cluster.remove(directory) }
        let journal = try FailingDirectory(path: directory + "/journal")
        let sent = Watched(-1)
        await #expect(throws: SatelliteError.self) {
            try await Cluster.with(directory: directory, journal: journal) { cluster in
                cluster.master.state.change { $0.answersStarts = false }
                cluster.grant(1, ["a@x.mail.test"])
                try await cluster.master.state.until("a Start") { !$0.unanswered.isEmpty }
                journal.change { $0.writesFail = true }
                cluster.master.answerStarts()
                try await cluster.master.state.until("nothing") { _ in true }
                sent.change { $0 = cluster.sink.state.value.messages.count }
            }
        }
        #expect(sent.value == 0)
    }

    private static func copyJournal(from: String, to: String) throws {
        mkdir(to + "/journal", 0o700)
        let name = "/journal/0000000000000001.segment"
        let source = open(from + name, O_RDONLY)
        let target = open(to + name, O_WRONLY | O_CREAT, 0o600)
        defer {
            close(source)
            close(target)
        }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(source, &buffer, buffer.count)
            guard count > 0 else { return }
            guard write(target, buffer, count) == count else { throw JournalError(.inputOutput, "copying") }
        }
    }
}
