// SPDX-License-Identifier: Apache-2.0

import MailingModel

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
                throw Self.bad("public_key", "a satellite has at most two public keys of 32 octets")
            }
            record.publicKeys = keys
        }
        if let weight = change.weight {
            guard (1...1_000).contains(weight) else { throw Self.bad("weight", "a satellite's weight is 1 to 1000") }
            record.weight = weight
        }
        if let affinity = change.affinity {
            record.affinity = DomainAffinity(
                include: affinity.include.map { $0.lowercased() },
                exclude: affinity.exclude.map { $0.lowercased() }
            )
        }
        if let enabled = change.enabled { record.enabled = enabled }
        if let sharedKey = change.sharedKey { record.sharedKey = sharedKey.value }
        if let group = change.group { record.group = group.value }
    }

    /// Whether a serial is free.
    static func requireUnused(serial: String, by id: SatelliteID?, among records: [SatelliteRecord]) throws {
        guard !records.contains(where: { $0.serial == serial && $0.id != id }) else {
            throw MasterError(.satelliteExists(serial), "a satellite \(serial) exists already")
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
