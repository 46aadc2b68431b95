// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import Testing

@testable import MasterCore

/// One life of a satellite, played step by step.
final class ScriptedSatellite {
    let record: SatelliteRecord
    let session: SatelliteSession
    private let channel: ScriptedChannel
    private let mailbox: Mailbox<MasterMessage>
    /// What came and was not asked for yet.
    private(set) var unread: [MasterMessage] = []
    private(set) var grants: [LeaseGrant] = []
    private(set) var welcome: Welcome?
    private var sequence: UInt64 = 0

    init(
        _ channel: ScriptedChannel,
        _ record: SatelliteRecord,
        holding: [LeaseSerial] = [],
        term: Int64 = 0,
        highest: Int64 = 0,
        journal: String = "journal",
        incarnation: UInt64 = 1,
        change: (inout Handshake) -> Void = { _ in }
    ) {
        self.channel = channel
        self.record = record
        var handshake = Handshake(
            serial: record.serial,
            incarnation: incarnation,
            journalID: journal,
            bootID: "boot",
            softwareVersion: "test",
            highestTerm: Term(rawValue: term),
            highestLeaseSerial: LeaseSerial(rawValue: highest),
            heldLeases: holding
        )
        change(&handshake)
        (self.session, self.mailbox) = channel.connect(record, handshake)
    }

    /// Waits for the first message that fits; others are kept.
    func wait<Value>(_ pick: (MasterMessage) -> Value?) async throws -> Value {
        for (index, message) in self.unread.enumerated() {
            if let value = pick(message) {
                self.unread.remove(at: index)
                return value
            }
        }
        while let message = await self.mailbox.next() {
            if let value = pick(message) { return value }
            self.unread.append(message)
        }
        throw TestFailure("the session of \(self.record.serial) ended")
    }

    /// Everything that has arrived up to now.
    var arrived: [MasterMessage] { self.unread + self.mailbox.waiting }

    func welcomed() async throws {
        self.welcome = try await self.wait { message in
            if case .welcome(let welcome) = message { welcome } else { nil }
        }
    }

    func credit(bulk: Int = 0, express: Int = 0) {
        self.channel.say(.credit([.bulk: bulk, .express: express]), self.session)
    }

    /// Waits for leases with so many recipients in all, and acknowledges them.
    @discardableResult
    func take(_ count: Int) async throws -> [LeaseGrant] {
        var taken: [LeaseGrant] = []
        while taken.reduce(0, { $0 + $1.entries.count }) < count {
            let grant: LeaseGrant = try await self.wait { message in
                if case .grant(let grant) = message { grant } else { nil }
            }
            self.accept(grant)
            taken.append(grant)
        }
        self.grants += taken
        return taken
    }

    func accept(_ grant: LeaseGrant) { self.channel.say(.leaseAccepted(grant.serial), self.session) }

    /// Asks to start entries and waits for the answer.
    func start(_ lease: LeaseSerial, _ indices: some Sequence<Int>) async throws -> (granted: [Int], refused: [Int]) {
        self.channel.say(.start(lease, EntryBitmap(indices)), self.session)
        return try await self.wait { message in
            guard case .started(lease, let granted, let refused) = message else { return nil }
            return (granted.indices, refused.indices)
        }
    }

    /// Sends reports; returns their number.
    @discardableResult
    func report(_ reports: [DeliveryReport], as number: UInt64? = nil) -> UInt64 {
        self.sequence = number ?? self.sequence + 1
        self.channel.say(.reports(sequence: self.sequence, reports), self.session)
        return self.sequence
    }

    func acknowledged(_ number: UInt64) async throws {
        try await self.wait { message in
            if case .reportsApplied(let sequence) = message, sequence >= number { () } else { nil }
        }
    }

    /// Starts and delivers every entry of leases, and waits for the acknowledgement.
    func deliver(_ grants: [LeaseGrant]) async throws {
        for grant in grants {
            let (granted, _) = try await self.start(grant.serial, grant.entries.indices)
            let reports = granted.map { index in
                TestValues.delivered(
                    grant.entries[index].recipient,
                    lease: grant.serial,
                    attempt: grant.entries[index].attempt.rawValue
                )
            }
            try await self.acknowledged(self.report(reports))
        }
    }

    func revoked() async throws -> (lease: LeaseSerial, reason: RevocationReason) {
        try await self.wait { message in
            if case .revoke(let lease, let reason) = message { (lease, reason) } else { nil }
        }
    }

    func rejected() async throws -> Rejection {
        try await self.wait { message in
            if case .rejected(let rejection) = message { rejection } else { nil }
        }
    }

    func say(_ message: SatelliteMessage) { self.channel.say(message, self.session) }

    func vanish(_ end: SessionEnd = .connectionLost) { self.channel.end(self.session, end) }
}

struct TestFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }

    /// Throws unless something comes to hold while the test yields.
    static func unless(_ what: String, _ holds: () async throws -> Bool) async throws {
        for _ in 0..<200_000 {
            if try await holds() { return }
            await Task.yield()
        }
        throw TestFailure("never: \(what)")
    }
}
