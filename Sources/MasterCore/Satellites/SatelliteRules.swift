// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailingModel
import MasterStore

/// Which satellites' records are acceptable; pure.
enum SatelliteRules {
    /// The record of a new satellite; its number is the store's to give.
    static func record(from draft: SatelliteDraft) throws -> SatelliteRecord {
        var record = SatelliteRecord(id: SatelliteID(rawValue: 0), serial: draft.serial)
        var change = SatelliteChange()
        change.serial = draft.serial
        change.enabled = draft.enabled
        change.publicKeys = draft.publicKey.map { [$0] } ?? []
        change.sharedKey = draft.sharedKey.map { .set($0) }
        change.group = draft.group.map { .set($0) }
        change.weight = draft.weight
        change.affinity = draft.affinity
        try Self.apply(change, to: &record)
        return record
    }

    /// Applies a change.
    static func apply(_ change: SatelliteChange, to record: inout SatelliteRecord) throws {
        if let serial = change.serial {
            guard (1...64).contains(serial.count),
                serial.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F })
            else { throw Self.bad("serial", "a satellite's serial has 1 to 64 visible characters") }
            record.serial = serial
        }
        if let keys = change.publicKeys {
            guard keys.count <= 2, keys.allSatisfy({ $0.count == 32 }) else {
                throw Self.bad("public_key", "a satellite has at most two public keys of 32 bytes")
            }
            record.publicKeys = keys
        }
        if let weight = change.weight {
            guard (1...1_000).contains(weight) else { throw Self.bad("weight", "a satellite's weight is 1 to 1000") }
            record.weight = weight
        }
        if let affinity = change.affinity {
            record.affinity = DomainAffinity(
                include: try affinity.include.map(Self.domain),
                exclude: try affinity.exclude.map(Self.domain)
            )
        }
        if let enabled = change.enabled { record.enabled = enabled }
        if let sharedKey = change.sharedKey?.nonEmpty {
            let minimum = SatelliteDraft.minimumSharedKeyBytes
            guard sharedKey.utf8.count >= minimum else {
                throw Self.bad("shared_key", "a shared key has \(minimum) bytes or more")
            }
        }
        if let sharedKey = change.sharedKey { record.sharedKey = sharedKey.nonEmpty }
        if let group = change.group { record.group = try group.nonEmpty.map { try Self.group($0, "group") } }
    }

    /// Requires that no other satellite has this serial, in whatever case, or one of these keys.
    ///
    /// The store holds to the same rules; here their messages name the other satellite.
    static func requireUnused(
        serial: String?,
        publicKeys: [[UInt8]],
        by id: SatelliteID?,
        among records: [SatelliteRecord]
    ) throws {
        let others = records.filter { $0.id != id }
        if let serial, let other = others.first(where: { $0.hasSerial(serial) }) {
            throw MasterError(.satelliteExists(serial), "a satellite \(other.serial) exists already")
        }
        for key in publicKeys {
            if let other = others.first(where: { $0.publicKeys.contains(key) }) {
                throw MasterError(
                    .publicKeyInUse(other.serial),
                    "the public key belongs to satellite \(other.serial) already; each satellite needs a key of its own"
                )
            }
        }
    }

    /// What the store refused because of another satellite, as the master's error.
    static func conflict(_ error: StoreError, _ serial: String) -> MasterError {
        MasterError(.satelliteExists(serial), "satellite \(serial): \(error.message)")
    }

    /// A group's name, of a satellite or of the mailings that it delivers.
    static func group(_ name: String, _ property: String) throws -> String {
        guard name.count <= 64, name.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }),
            name.first != " ", name.last != " "
        else {
            throw Self.bad(
                property,
                "a group's name has 1 to 64 characters, no control characters, no spaces around it"
            )
        }
        return name
    }

    private static func domain(_ name: String) throws -> String {
        do {
            return try EmailAddress(parsing: "x@" + name).asciiDomain
        } catch {
            throw Self.bad("domain_affinity", "`\(name)` in the affinity is not a domain name")
        }
    }

    private static func bad(_ name: String, _ reason: String) -> MasterError { MasterError(.badProperty(name), reason) }
}

extension PropertyChange {
    /// The new value, or `nil` if it is taken away.
    var value: Value? {
        switch self {
        case .clear: nil
        case .set(let value): value
        }
    }
}

extension PropertyChange<String> {
    /// The new value; none if it is taken away, for which an empty string is another way to say so.
    var nonEmpty: String? { self.value.flatMap { $0.isEmpty ? nil : $0 } }
}
