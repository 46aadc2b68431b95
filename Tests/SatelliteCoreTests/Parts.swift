// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailDNS
import MailingModel
import NIOPosix
import SatelliteJournal

@testable import SatelliteCore

/// The parts of a satellite before a scripted master, made as `Satellite` makes them; tests run those that they are about.
struct Parts {
    let journal: Journal
    let master = ScriptedMaster()
    let log = RecordingLog()
    let condition: Condition
    let inbox = LeaseInbox()
    let reports: Reports
    let connections: ConnectionPool
    let scheduler: SharedScheduler
    let preparer: Preparer
    let recovered: RecoveredLeases
    let intake: LeaseIntake
    /// The content of all leases.
    let content: BlobHash

    /// Makes them with the files in `directory`; none of them runs.
    init(
        _ directory: String,
        journal journalDirectory: (any JournalDirectory)? = nil,
        configure: (inout SatelliteConfiguration) -> Void = { _ in }
    ) throws {
        var configuration = SatelliteConfiguration(serial: "test", heloName: "satellite.test", dataDirectory: directory)
        configuration.journal.segmentSize = 1 << 20
        configure(&configuration)
        let logger = self.log.logger
        let (journal, recovery) = try Journal.open(
            journalDirectory ?? DiskJournalDirectory(path: directory + "/journal"),
            configuration: configuration.journal,
            bootID: Journal.currentBootID(),
            incarnation: .random(in: 1 ... .max),
            now: Timestamp(seconds: 1)
        )
        self.journal = journal
        let (hash, bytes) = try Cluster.content()
        self.content = hash
        self.master.state.change { $0.blobs[hash] = bytes }
        let cache = try BlobCache(directory: directory + "/content", bound: 1 << 20)
        self.condition = Condition(logger: logger)
        self.reports = Reports(
            journal,
            recovery,
            configuration: configuration,
            condition: self.condition,
            logger: logger
        )
        self.connections = ConnectionPool(
            configuration,
            cache: cache,
            group: MultiThreadedEventLoopGroup.singleton
        )
        self.scheduler = SharedScheduler(
            DeliveryScheduler(configuration),
            connections: self.connections,
            reports: self.reports,
            inbox: self.inbox,
            logger: logger
        )
        self.preparer = Preparer(
            configuration,
            content: ContentCache(
                cache: cache,
                uplink: self.master,
                keys: SigningKeyCache(uplink: self.master, timeout: configuration.signingKeyTimeout),
                limit: configuration.maximumRevisions
            ),
            routes: MXCache(resolver: try FakeResolver(zoneFile: Cluster.zone), configuration: configuration),
            scheduler: self.scheduler,
            condition: self.condition,
            logger: logger
        )
        self.recovered = RecoveredLeases(
            recovery,
            scheduler: self.scheduler,
            preparer: self.preparer,
            logger: logger
        )
        self.intake = LeaseIntake(
            self.inbox,
            journal: journal,
            uplink: self.master,
            credit: Credit(configuration, uplink: self.master, condition: self.condition),
            scheduler: self.scheduler,
            preparer: self.preparer,
            condition: self.condition
        )
    }

    func grant(_ serial: Int64, _ count: Int) -> LeaseGrant {
        Cluster.grant(serial, content: self.content, addresses: (0..<count).map { "u\($0)@x.mail.test" })
    }

    /// Runs a part that never ends by itself for as long as `body` takes.
    static func running(
        _ part: @escaping @Sendable () async throws -> Void,
        _ body: () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await part() }
            defer { group.cancelAll() }
            try await body()
        }
    }

    /// Runs `body` with a directory that is removed after it.
    static func inDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = try Cluster.temporaryDirectory()
        defer { Cluster.remove(directory) }
        try await body(directory)
    }
}

/// A log that tests read.
struct RecordingLog: Sendable {
    private let lines = Watched<[String]>([])

    /// Writes into it.
    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(lines: self.lines) }
        logger.logLevel = .trace
        return logger
    }

    /// How many lines begin so.
    func count(_ beginning: String) -> Int { self.lines.value.count { $0.hasPrefix(beginning) } }

    private struct Handler: LogHandler {
        let lines: Watched<[String]>
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) { self.lines.change { $0.append(event.message.description) } }
    }
}
