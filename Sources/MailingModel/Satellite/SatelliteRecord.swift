// SPDX-License-Identifier: Apache-2.0

/// What the master knows of a satellite; the allow-list of the cluster link is made of these.
public struct SatelliteRecord: Sendable, Hashable {
    /// Its number.
    public var id: SatelliteID
    /// Its name, unique.
    public var serial: String
    /// Whether it may connect.
    public var enabled: Bool
    /// Its CURVE public keys, 32 bytes each: none before it is paired, two while a key is being rotated.
    public var publicKeys: [[UInt8]]
    /// The secret of the enrolment exchange, if it may still enrol.
    public var sharedKey: String?
    /// When its first key was accepted.
    public var paired: Timestamp?
    /// Mailings with this group only; `nil` matches mailings without a group.
    public var group: String?
    /// Its share relative to the others of its group; 1 or more.
    public var weight: Int
    /// Which recipient domains it may take.
    public var affinity: DomainAffinity
    /// The version in its latest handshake.
    public var version: String?

    /// Composes a record.
    public init(
        id: SatelliteID,
        serial: String,
        enabled: Bool = true,
        publicKeys: [[UInt8]] = [],
        sharedKey: String? = nil,
        paired: Timestamp? = nil,
        group: String? = nil,
        weight: Int = 1,
        affinity: DomainAffinity = DomainAffinity(),
        version: String? = nil
    ) {
        self.id = id
        self.serial = serial
        self.enabled = enabled
        self.publicKeys = publicKeys
        self.sharedKey = sharedKey
        self.paired = paired
        self.group = group
        self.weight = weight
        self.affinity = affinity
        self.version = version
    }
}

extension SatelliteRecord {
    /// Whether it has this serial; serials that differ only in case name one satellite.
    public func hasSerial(_ serial: String) -> Bool { self.serial.lowercased() == serial.lowercased() }
}

/// Which recipient domains a satellite may take; exact, lower-case names, no subdomains.
public struct DomainAffinity: Sendable, Hashable, Codable {
    /// If not empty, only these.
    public var include: [String]
    /// Never these.
    public var exclude: [String]

    /// Composes an affinity; empty lists allow every domain.
    public init(include: [String] = [], exclude: [String] = []) {
        self.include = include
        self.exclude = exclude
    }

    /// Whether a recipient of this domain may be taken.
    public func allows(_ domain: String) -> Bool {
        (self.include.isEmpty || self.include.contains(domain)) && !self.exclude.contains(domain)
    }
}
