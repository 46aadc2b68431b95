// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// A satellite to be added.
public struct SatelliteDraft: Sendable, Hashable {
    /// The shortest secret of an enrolment that is taken: who guesses it is a satellite.
    public static let minimumSharedKeyBytes = 16

    /// Its name, unique, 1 to 64 characters.
    public var serial: String
    /// Whether it may connect.
    public var enabled: Bool = true
    /// Its CURVE public key, 32 bytes, if it is known already.
    public var publicKey: [UInt8]?
    /// The secret of the enrolment exchange, if it shall enrol itself.
    public var sharedKey: String?
    /// Its group.
    public var group: String?
    /// Its share relative to the others of its group; 1 or more.
    public var weight: Int = 1
    /// Which recipient domains it may take.
    public var affinity = DomainAffinity()

    /// Composes a draft with the defaults.
    public init(serial: String) { self.serial = serial }
}

/// Changes to a satellite; what is `nil` stays as it is.
public struct SatelliteChange: Sendable, Hashable {
    /// Its name.
    public var serial: String?
    /// Whether it may connect.
    public var enabled: Bool?
    /// All its CURVE public keys, at most two.
    public var publicKeys: [[UInt8]]?
    /// The secret of the enrolment exchange.
    public var sharedKey: PropertyChange<String>?
    /// Its group.
    public var group: PropertyChange<String>?
    /// Its share.
    public var weight: Int?
    /// Which recipient domains it may take.
    public var affinity: DomainAffinity?

    /// Changes nothing.
    public init() {}
}
