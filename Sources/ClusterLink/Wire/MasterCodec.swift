// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MailingModel
import SwiftProtobuf

/// What a master's frame says: a message, or a request that the link alone answers.
enum MasterFrameContent: Hashable, Sendable {
    case message(MasterMessage)
    /// The master knows no session for a frame that it got.
    case handshakeRequired
}

/// The wire form of what masters say.
enum MasterCodec {
    static func encode(_ content: MasterFrameContent) -> [UInt8] {
        switch content {
        case .message(let message): return self.encode(message)
        case .handshakeRequired:
            var wire = Telstar_Cluster_V1_MasterBody()
            wire.handshakeRequired = .init()
            return wire.encoded()
        }
    }

    /// The bytes of a message, with the newest commit of the master's store.
    static func encode(_ message: MasterMessage, store: StorePosition? = nil) -> [UInt8] {
        var wire = Telstar_Cluster_V1_MasterBody()
        if let store { wire.store = .init(store) }
        switch message {
        case .welcome(let welcome):
            wire.welcome = .with {
                $0.protocolVersion = welcome.protocolVersion
                $0.storeID = welcome.storeID
                $0.term = welcome.term.rawValue
                $0.heartbeatMilliseconds = WireValue.milliseconds(welcome.heartbeat)
                $0.knownLeases = welcome.knownLeases.map(\.rawValue)
                if let group = welcome.group { $0.group = group }
                $0.journalDistrusted = welcome.journalIsDistrusted
            }
        case .grant(let grant): wire.grant = GrantCodec.wire(grant)
        case .started(let lease, let entries, let refused):
            wire.started = .with {
                $0.lease = lease.rawValue
                $0.entries = .init(entries.bytes)
                $0.refused = .init(refused.bytes)
            }
        case .reportsApplied(let sequence): wire.reportsApplied = .with { $0.sequence = sequence }
        case .revoke(let lease, let reason):
            wire.revoke = .with {
                $0.lease = lease.rawValue
                $0.reason = .init(rawValue: Int(reason.rawValue)) ?? .unspecified
            }
        case .signingKey(let hash, let pem):
            wire.signingKey = .with {
                $0.hash = .init(hash.bytes)
                if let pem { $0.pem = pem }
            }
        case .heartbeat: wire.heartbeat = .init()
        case .rejected(let rejection):
            wire.rejected = .with {
                $0.code = .init(rawValue: Int(rejection.code.rawValue)) ?? .other
                $0.text = rejection.text
            }
        case .superseded: wire.superseded = .init()
        }
        return wire.encoded()
    }

    static func decode(_ bytes: [UInt8]) throws(WireError) -> MasterFrameContent {
        try self.decodeWhole(bytes, of: "").content
    }

    /// What a frame says, and the newest commit of the master's store, whose name is `storeID`; a Welcome names it itself.
    static func decodeWhole(
        _ bytes: [UInt8],
        of storeID: String
    ) throws(WireError) -> (content: MasterFrameContent, store: StorePosition?) {
        let wire: Telstar_Cluster_V1_MasterBody = try WireError.wrap { try .init(serializedBytes: bytes) }
        var name = storeID
        if case .welcome(let welcome)? = wire.kind { name = welcome.storeID }
        return (try self.content(wire), wire.hasStore ? wire.store.value(of: name) : nil)
    }

    private static func content(_ wire: Telstar_Cluster_V1_MasterBody) throws(WireError) -> MasterFrameContent {
        switch wire.kind {
        case .welcome(let welcome):
            var value = Welcome(
                storeID: welcome.storeID,
                term: Term(rawValue: welcome.term),
                knownLeases: WireValue.leases(welcome.knownLeases),
                group: welcome.hasGroup ? welcome.group : nil
            )
            value.protocolVersion = welcome.protocolVersion
            value.heartbeat = WireValue.duration(milliseconds: welcome.heartbeatMilliseconds)
            value.journalIsDistrusted = welcome.journalDistrusted
            return .message(.welcome(value))
        case .grant(let grant): return .message(.grant(try GrantCodec.value(grant)))
        case .started(let started):
            let entries = try WireValue.bitmap(Array(started.entries))
            let refused = try WireValue.bitmap(Array(started.refused))
            return .message(.started(LeaseSerial(rawValue: started.lease), entries, refused: refused))
        case .reportsApplied(let applied): return .message(.reportsApplied(sequence: applied.sequence))
        case .revoke(let revoke):
            // A reason of a later version is still a revocation.
            let reason = RevocationReason(rawValue: UInt8(clamping: revoke.reason.rawValue)) ?? .reassigned
            return .message(.revoke(LeaseSerial(rawValue: revoke.lease), reason))
        case .signingKey(let key):
            return .message(.signingKey(try WireValue.blob(Array(key.hash)), pem: key.hasPem ? key.pem : nil))
        case .heartbeat: return .message(.heartbeat)
        case .rejected(let rejected):
            let code = Rejection.Code(rawValue: UInt8(clamping: rejected.code.rawValue)) ?? .other
            return .message(.rejected(Rejection(code: code, text: rejected.text)))
        case .superseded: return .message(.superseded)
        case .handshakeRequired: return .handshakeRequired
        case nil: throw WireError("a master's message of an unknown kind")
        }
    }
}

extension Telstar_Cluster_V1_StorePosition {
    init(_ position: StorePosition) {
        self.init()
        self.term = position.term.rawValue
        self.opening = position.opening
        self.number = position.number
    }

    func value(of storeID: String) -> StorePosition {
        StorePosition(
            storeID: storeID,
            term: Term(rawValue: self.term),
            opening: self.opening,
            number: self.number
        )
    }
}

/// The wire form of leases.
enum GrantCodec {
    static func wire(_ grant: LeaseGrant) -> Telstar_Cluster_V1_LeaseGrant {
        .with {
            $0.serial = grant.serial.rawValue
            $0.term = grant.term.rawValue
            $0.mailing = grant.mailing.rawValue
            $0.content = .init(grant.content.bytes)
            $0.deliveryClass = .init(grant.deliveryClass)
            $0.testing = grant.testing
            $0.lifetimeMilliseconds = WireValue.milliseconds(grant.lifetime)
            $0.returnPathDomain = grant.returnPathDomain
            $0.entries = grant.entries.map { entry in
                .with {
                    $0.recipient = UInt64(bitPattern: entry.recipient.packed)
                    $0.attempt = entry.attempt.rawValue
                    $0.trackingID = entry.trackingID
                    $0.address = entry.address
                    $0.mergeFields = .init(entry.mergeFields)
                    $0.dateMilliseconds = entry.date.milliseconds
                    $0.attachments = entry.attachments.map { .init($0.bytes) }
                }
            }
        }
    }

    static func value(_ wire: Telstar_Cluster_V1_LeaseGrant) throws(WireError) -> LeaseGrant {
        guard wire.entries.count <= WireValue.maximumBitmapBytes * 8 else {
            throw WireError("a lease of \(wire.entries.count) entries")
        }
        var entries: [LeaseEntry] = []
        entries.reserveCapacity(wire.entries.count)
        for entry in wire.entries {
            var attachments: [BlobHash] = []
            for hash in entry.attachments { attachments.append(try WireValue.blob(Array(hash))) }
            entries.append(
                LeaseEntry(
                    recipient: RecipientID(packed: Int64(bitPattern: entry.recipient)),
                    attempt: AttemptSerial(rawValue: entry.attempt),
                    trackingID: entry.trackingID,
                    address: entry.address,
                    mergeFields: Array(entry.mergeFields),
                    date: Timestamp(milliseconds: entry.dateMilliseconds),
                    attachments: attachments
                )
            )
        }
        return LeaseGrant(
            serial: LeaseSerial(rawValue: wire.serial),
            term: Term(rawValue: wire.term),
            mailing: MailingID(rawValue: wire.mailing),
            content: try WireValue.blob(Array(wire.content)),
            deliveryClass: try wire.deliveryClass.value(),
            testing: wire.testing,
            lifetime: WireValue.duration(milliseconds: wire.lifetimeMilliseconds),
            returnPathDomain: wire.returnPathDomain,
            entries: entries
        )
    }
}
