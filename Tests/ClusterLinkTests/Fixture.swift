// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import Synchronization
import TestKit
import ZeroMQ

/// A master and what it decides, on ports of its own.
final class TestMaster: Sendable {
    let link: MasterLink
    let keys: CurveKeyPair
    let records: Records
    let reader: EventReader<MasterLinkEvent>

    /// The live allow-list.
    final class Records: Sendable {
        private let records = Mutex<[[UInt8]: SatelliteRecord]>([:])

        subscript(key: [UInt8]) -> SatelliteRecord? {
            get { self.records.withLock { $0[key] } }
            set { self.records.withLock { $0[key] = newValue } }
        }

        func allow(_ keys: CurveKeyPair, id: Int32 = 1, serial: String = "sat") {
            self[keys.publicKey] = SatelliteRecord(
                id: SatelliteID(rawValue: id),
                serial: serial,
                publicKeys: [keys.publicKey]
            )
        }
    }

    init(
        keys: CurveKeyPair? = nil,
        control: String = "tcp://127.0.0.1:*",
        content: String = "tcp://127.0.0.1:*",
        records: Records = Records(),
        blobs: [BlobHash: [UInt8]] = [:],
        sharedKeys: [String: String] = [:],
        change: (inout MasterLinkConfiguration) -> Void = { _ in },
        store: @escaping @Sendable () -> StorePosition? = { nil },
        noteJournal: @escaping @Sendable (SatelliteSession, JournalPosition) -> Void = { _, _ in },
        enrol: @escaping @Sendable (String, [UInt8]) async -> Bool = { _, _ in true }
    ) async throws {
        self.keys = try keys ?? .generate()
        self.records = records
        var configuration = MasterLinkConfiguration(
            control: control,
            content: content,
            enrolment: "tcp://127.0.0.1:*",
            keys: self.keys
        )
        // Long enough that a machine busy with other tests is not taken for a silent one.
        configuration.heartbeat = .seconds(2)
        change(&configuration)
        self.link = try await MasterLink(
            configuration,
            decisions: MasterLinkDecisions(
                record: { records[$0] },
                blob: { blobs[$0] },
                sharedKey: { sharedKeys[$0] },
                enrol: enrol,
                store: store,
                noteJournal: noteJournal
            ),
            logger: .quiet
        )
        self.reader = EventReader(self.link.events)
    }

    var endpoint: MasterEndpoint {
        MasterEndpoint(
            control: self.link.controlEndpoint,
            content: self.link.contentEndpoint,
            publicKey: self.keys.publicKey
        )
    }

    /// Waits for a satellite's handshake and takes it on.
    @discardableResult
    func welcome(term: Int64 = 1, _ leases: [LeaseSerial] = []) async throws -> SatelliteSession {
        let session = try await self.reader.first { event -> SatelliteSession? in
            if case .connected(let session, _) = event { session } else { nil }
        }
        let welcome = Welcome(storeID: "store", term: Term(rawValue: term), knownLeases: leases, group: "group")
        await self.link.send(.welcome(welcome), to: session)
        return session
    }

    /// Waits for the next message that is no heartbeat.
    func message() async throws -> SatelliteMessage {
        try await self.reader.first { event in
            if case .message(_, let message) = event {
                if case .heartbeat = message { nil } else { message }
            } else {
                nil
            }
        }
    }

    func disconnected() async throws -> (SatelliteSession, SessionEnd) {
        try await self.reader.first { event in
            if case .disconnected(let session, let end) = event { (session, end) } else { nil }
        }
    }
}

/// A satellite's link with short intervals.
struct TestSatellite: Sendable {
    let link: SatelliteLink
    let keys: CurveKeyPair
    let reader: EventReader<SatelliteLinkEvent>
    /// One element for each time that the link has asked for the load.
    let heartbeats = BoundedQueue<Void>(capacity: 1_000)

    init(
        _ masters: [MasterEndpoint],
        keys: CurveKeyPair,
        incarnation: UInt64 = 1,
        versions: ClosedRange<UInt32> = LinkProtocol.supportedVersions,
        handshake: Handshake? = nil,
        memory: SatelliteLink.Memory = SatelliteLink.Memory(),
        change: (inout SatelliteLinkConfiguration) -> Void = { _ in }
    ) {
        self.keys = keys
        var configuration = SatelliteLinkConfiguration(masters: masters, keys: keys)
        configuration.handshakeInterval = .seconds(2)
        configuration.reconnectInterval = .milliseconds(20)
        configuration.reconnectCeiling = .milliseconds(100)
        change(&configuration)
        let heartbeats = self.heartbeats
        self.link = SatelliteLink(
            configuration,
            handshake: { handshake ?? .sample(incarnation: incarnation, versions: versions) },
            load: {
                heartbeats.push(())
                return SatelliteLoad(waiting: 3)
            },
            memory: memory,
            logger: .quiet
        )
        self.reader = EventReader(self.link.events)
    }

    func connected() async throws -> Welcome {
        try await self.reader.first { if case .connected(let welcome, _) = $0 { welcome } else { nil } }
    }

    func message() async throws -> MasterMessage {
        try await self.reader.first { if case .message(let message) = $0 { message } else { nil } }
    }

    func disconnected() async throws -> String {
        try await self.reader.first { if case .disconnected(let reason) = $0 { reason } else { nil } }
    }

    func failed() async throws -> String {
        try await self.reader.first { if case .failed(_, let reason) = $0 { reason } else { nil } }
    }
}

/// Reads events one after the other, and says so when they end.
final class EventReader<Element: Sendable>: Sendable {
    private let events: LinkEvents<Element>

    init(_ events: LinkEvents<Element>) { self.events = events }

    func first<Value: Sendable>(_ pick: @escaping @Sendable (Element) -> Value?) async throws -> Value {
        let events = self.events
        for await event in events {
            if let value = pick(event) { return value }
        }
        throw StreamEnded()
    }
}

/// Runs services while the body lasts, then stops them.
func serving(
    _ services: [@Sendable () async throws -> Void],
    _ body: @escaping @Sendable () async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for service in services { group.addTask { try await service() } }
        let result: Result<Void, any Error>
        do {
            try await body()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        group.cancelAll()
        while let ended = await group.nextResult() { try? ended.get() }
        try result.get()
    }
}

extension Logger {
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

extension Handshake {
    static func sample(
        incarnation: UInt64 = 1,
        versions: ClosedRange<UInt32> = LinkProtocol.supportedVersions
    ) -> Handshake {
        Handshake(
            protocolVersions: versions,
            serial: "sat",
            incarnation: incarnation,
            journalID: "journal",
            bootID: "boot",
            softwareVersion: "1.0",
            highestTerm: Term(rawValue: 4),
            highestLeaseSerial: LeaseSerial(rawValue: 5),
            heldLeases: [LeaseSerial(rawValue: 3), LeaseSerial(rawValue: 5)]
        )
    }
}

extension Handshake {
    /// Of a satellite that remembers its store and its journal.
    static func remembering(incarnation: UInt64 = 1, isCopy: Bool = false) -> Handshake {
        var handshake = Handshake.sample(incarnation: incarnation)
        handshake.journaledLeases = [
            JournaledLease(LeaseSerial(rawValue: 3), started: EntryBitmap([1]), closed: EntryBitmap([0, 9]))
        ]
        handshake.newestStore = .sample
        handshake.journalSession = 4
        handshake.earlierIncarnations = [11, .max]
        handshake.journalFound = 1 << 33
        handshake.journalPosition = JournalPosition(written: 1 << 34, synced: 1 << 33)
        handshake.journalIsCopy = isCopy
        return handshake
    }
}

extension StorePosition {
    static let sample = StorePosition(storeID: "store", term: Term(rawValue: 4), opening: "abc", number: 1 << 35)

    func numbered(_ number: Int64) -> StorePosition {
        var position = self
        position.number = number
        return position
    }
}

extension Welcome {
    static var distrusting: Welcome {
        var welcome = Welcome(storeID: "s", term: Term(rawValue: 3), knownLeases: [])
        welcome.journalIsDistrusted = true
        return welcome
    }
}

extension LeaseGrant {
    static func sample(entries: Int, mergeBytes: Int, serial: Int64 = 7) -> LeaseGrant {
        let mailing = MailingID(rawValue: 2)
        return LeaseGrant(
            serial: LeaseSerial(rawValue: serial),
            term: Term(rawValue: 1),
            mailing: mailing,
            content: .sample(1),
            deliveryClass: .bulk,
            testing: true,
            lifetime: .seconds(90),
            returnPathDomain: "bounce.example.org",
            entries: (0..<entries).map { index in
                LeaseEntry(
                    recipient: RecipientID(mailing: mailing, bucket: Bucket(rawValue: 3), ordinal: UInt32(index)),
                    attempt: AttemptSerial(rawValue: 1),
                    trackingID: "t\(index)",
                    address: "user\(index)@example.org",
                    mergeFields: [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: mergeBytes),
                    date: Timestamp(seconds: 1_700_000_000),
                    attachments: index % 2 == 0 ? [] : [.sample(2), .sample(3)]
                )
            }
        )
    }
}

extension BlobHash {
    static func sample(_ byte: UInt8) -> BlobHash {
        guard let hash = BlobHash(bytes: [UInt8](repeating: byte, count: 32)) else { preconditionFailure("32 bytes") }
        return hash
    }
}
