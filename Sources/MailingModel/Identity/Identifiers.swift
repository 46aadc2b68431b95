// SPDX-License-Identifier: Apache-2.0

/// Names one mailing; 1 or more, never reused, 31 bits because XML-RPC integers are.
public struct MailingID: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// The number that API callers see.
    public let rawValue: Int32

    /// Wraps a number; no check is made.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// The decimal form.
    public var description: String { "\(self.rawValue)" }

    /// Orders by creation.
    public static func < (left: MailingID, right: MailingID) -> Bool { left.rawValue < right.rawValue }
}

/// A share of a mailing by recipient domain; 0…255 by hash, above that a share of its own for one domain.
public struct Bucket: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// How many buckets are reached by hashing the domain.
    public static let hashedCount: UInt16 = 256
    /// The greatest number that ``RecipientID`` can carry.
    public static let maximum: UInt16 = 1023

    /// The bucket's number within its mailing.
    public let rawValue: UInt16

    /// Wraps a number in 0…``maximum``.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The decimal form.
    public var description: String { "\(self.rawValue)" }

    /// Orders by number.
    public static func < (left: Bucket, right: Bucket) -> Bool { left.rawValue < right.rawValue }
}

/// Names one recipient by its position: mailing, bucket and dense ordinal, all fixed at insert.
///
/// The packed form is the primary key of the recipient's row, so that a lease is a range of neighbouring rows and a
/// look-up needs no index.
public struct RecipientID: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// The greatest ordinal in a bucket.
    public static let maximumOrdinal: UInt32 = (1 << 22) - 1

    /// Mailing (31 bits), bucket (10 bits), ordinal (22 bits), most significant first; positive.
    public let packed: Int64

    /// Restores an identifier from ``packed``.
    public init(packed: Int64) { self.packed = packed }

    /// Composes an identifier.
    ///
    /// - Parameters:
    ///   - mailing: 1 or more.
    ///   - bucket: At most ``Bucket/maximum``.
    ///   - ordinal: From 0, at most ``maximumOrdinal``.
    public init(mailing: MailingID, bucket: Bucket, ordinal: UInt32) {
        precondition(
            mailing.rawValue >= 0 && bucket.rawValue <= Bucket.maximum && ordinal <= Self.maximumOrdinal,
            "a recipient's position is out of range"
        )
        self.packed = Int64(mailing.rawValue) << 32 | Int64(bucket.rawValue) << 22 | Int64(ordinal)
    }

    /// The mailing that owns the recipient.
    public var mailing: MailingID { MailingID(rawValue: Int32(truncatingIfNeeded: self.packed >> 32)) }
    /// The recipient's bucket.
    public var bucket: Bucket { Bucket(rawValue: UInt16(truncatingIfNeeded: (self.packed >> 22) & 0x3FF)) }
    /// The index within the bucket, from 0.
    public var ordinal: UInt32 { UInt32(truncatingIfNeeded: self.packed & 0x3F_FFFF) }

    /// `mailing.bucket.ordinal`.
    public var description: String { "\(self.mailing).\(self.bucket).\(self.ordinal)" }

    /// Orders by mailing, bucket and ordinal.
    public static func < (left: RecipientID, right: RecipientID) -> Bool { left.packed < right.packed }
}

/// A lease's number; never reused within a store, and itself the fence against late owners.
public struct LeaseSerial: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// 1 or more.
    public let rawValue: Int64

    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// The decimal form.
    public var description: String { "\(self.rawValue)" }

    /// Orders by time of grant.
    public static func < (left: LeaseSerial, right: LeaseSerial) -> Bool { left.rawValue < right.rawValue }
}

/// The number of a master's leadership term over its store; raised by each takeover.
public struct Term: RawRepresentable, Hashable, Comparable, Codable, Sendable {
    /// 1 or more.
    public let rawValue: Int64

    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// Orders by time.
    public static func < (left: Term, right: Term) -> Bool { left.rawValue < right.rawValue }
}

/// One grant of one recipient, numbered from 1 per recipient; with the recipient it keys a report.
public struct AttemptSerial: RawRepresentable, Hashable, Comparable, Codable, Sendable {
    /// 1 or more.
    public let rawValue: Int32

    /// Wraps a number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Orders by time of grant.
    public static func < (left: AttemptSerial, right: AttemptSerial) -> Bool { left.rawValue < right.rawValue }
}

/// Names a satellite's record in the store.
public struct SatelliteID: RawRepresentable, Hashable, Comparable, Codable, Sendable {
    /// 1 or more, never reused.
    public let rawValue: Int32

    /// Wraps a number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Orders by creation.
    public static func < (left: SatelliteID, right: SatelliteID) -> Bool { left.rawValue < right.rawValue }
}

/// Names an account; never reused, and every mailing belongs to one.
public struct AccountID: RawRepresentable, Hashable, Codable, Sendable {
    /// The account that is always there, and that owns what CloudMailing's calls make: its single superuser.
    public static let root = AccountID(rawValue: 0)

    /// 0 or more.
    public let rawValue: Int32

    /// Wraps a number.
    public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// Names a blob (content revision or attachment) by the SHA-256 of its bytes.
public struct BlobHash: Hashable, Sendable, Codable, CustomStringConvertible {
    /// 32 bytes.
    public let bytes: [UInt8]

    /// Wraps a digest.
    ///
    /// - Parameter bytes: 32 bytes; anything else is `nil`.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Lower-case hexadecimal, 64 characters.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in self.bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
