// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// The cryptography that a store needs, as closures, so that it depends on none.
public struct StoreSecrets: Sendable {
    /// A SHA-256 digest, 32 bytes.
    public var digest: @Sendable ([UInt8]) -> BlobHash
    /// Encrypts and authenticates a secret for storing.
    public var seal: @Sendable ([UInt8]) throws -> [UInt8]
    /// Undoes ``seal``; throws if the bytes were not sealed with this key or were changed.
    public var open: @Sendable ([UInt8]) throws -> [UInt8]
    /// Turns recipients into the ids that API callers and links see.
    public var recipientIDs: RecipientIDCodec

    /// Composes the closures.
    public init(
        digest: @escaping @Sendable ([UInt8]) -> BlobHash,
        seal: @escaping @Sendable ([UInt8]) throws -> [UInt8],
        open: @escaping @Sendable ([UInt8]) throws -> [UInt8],
        recipientIDs: RecipientIDCodec
    ) {
        self.digest = digest
        self.seal = seal
        self.open = open
        self.recipientIDs = recipientIDs
    }
}

/// Encodes a recipient's number as a text that can't be guessed, and decodes it without a lookup.
///
/// The text is the packed number and the first 8 bytes of a MAC over it, 16 bytes in all, in lower-case base32
/// (RFC 4648 §6 without padding): 26 characters that survive case folding, so it may stand in a VERP local part.
public struct RecipientIDCodec: Sendable {
    private static let length = 26
    private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)

    private let mac: @Sendable ([UInt8]) -> [UInt8]

    /// Makes a codec.
    ///
    /// - Parameter mac: A keyed MAC of at least 8 bytes; the key must outlive the store.
    public init(mac: @escaping @Sendable ([UInt8]) -> [UInt8]) { self.mac = mac }

    /// The text of a recipient; the same at all times.
    public func encode(_ recipient: RecipientID) -> String {
        let number = Self.bytes(of: recipient.packed)
        let bytes = number + self.mac(number).prefix(8)
        return String(unsafeUninitializedCapacity: Self.length) { text in
            var length = 0
            var accumulator: UInt32 = 0
            var bits: UInt32 = 0
            for byte in bytes {
                accumulator = accumulator << 8 | UInt32(byte)
                bits += 8
                while bits >= 5 {
                    bits -= 5
                    text[length] = Self.alphabet[Int(accumulator >> bits & 31)]
                    length += 1
                }
            }
            if bits > 0 {
                text[length] = Self.alphabet[Int(accumulator << (5 - bits) & 31)]
                length += 1
            }
            return length
        }
    }

    /// The recipient of a text; `nil` if it was not made with this key; upper case is read as lower case.
    public func decode(_ text: String) -> RecipientID? {
        guard text.utf8.count == Self.length else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        var accumulator: UInt32 = 0
        var bits: UInt32 = 0
        for character in text.utf8 {
            let value: UInt8
            switch character {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a")
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
            case UInt8(ascii: "2")...UInt8(ascii: "7"): value = character - UInt8(ascii: "2") + 26
            default: return nil
            }
            accumulator = accumulator << 5 | UInt32(value)
            bits += 5
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: accumulator >> bits))
            }
        }
        guard accumulator & (1 << bits - 1) == 0, bytes.count == 16 else { return nil }
        let number = Array(bytes[0..<8])
        var difference: UInt8 = 0
        for (given, expected) in zip(bytes[8...], self.mac(number).prefix(8)) { difference |= given ^ expected }
        guard difference == 0 else { return nil }
        let packed = number.reduce(Int64(0)) { $0 << 8 | Int64($1) }
        return packed > 0 ? RecipientID(packed: packed) : nil
    }

    private static func bytes(of number: Int64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * Int64($0))) }
    }
}
