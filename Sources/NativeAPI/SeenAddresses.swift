// SPDX-License-Identifier: Apache-2.0

/// The addresses of an import so far, as hashes of 64 bits, to find which come again.
///
/// Two addresses are one if they differ in the case of ASCII letters at most, in the local part too: hardly any receiver
/// distinguishes them. Only so many addresses are remembered; one that first comes after them is not recognised again. Two
/// different addresses have one hash once in millions of imports of that size.
struct SeenAddresses: Sendable {
    /// How many different addresses are remembered; their hashes take some 64 MiB then.
    static let capacity = 4_000_000

    private var hashes: Set<Int> = []

    /// Notes an address and returns whether it was seen before; text without an `@` is no address and never was.
    mutating func isRepeated(_ address: String) -> Bool {
        guard let hash = Self.hash(of: address) else { return false }
        guard self.hashes.count < Self.capacity else { return self.hashes.contains(hash) }
        return !self.hashes.insert(hash).inserted
    }

    /// The hash of an address; `nil` for text that is none.
    private static func hash(of address: String) -> Int? {
        var address = address
        return address.withUTF8 { bytes in
            var hasher = Hasher()
            var (word, length, isAddress) = (UInt64(0), 0, false)
            // In words of eight bytes: the hasher takes about as long for a word as for a byte.
            for byte in bytes {
                word = word << 8 | UInt64(0x41...0x5A ~= byte ? byte | 0x20 : byte)
                length += 1
                isAddress = isAddress || byte == UInt8(ascii: "@")
                guard length.isMultiple(of: 8) else { continue }
                hasher.combine(word)
                word = 0
            }
            hasher.combine(word)
            hasher.combine(length)
            return isAddress ? hasher.finalize() : nil
        }
    }
}
