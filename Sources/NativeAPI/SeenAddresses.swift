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
        guard address.utf8.contains(UInt8(ascii: "@")) else { return false }
        var address = address
        var hasher = Hasher()
        address.withUTF8 { bytes in
            for byte in bytes { hasher.combine(0x41...0x5A ~= byte ? byte | 0x20 : byte) }
        }
        let hash = hasher.finalize()
        guard self.hashes.count < Self.capacity else { return self.hashes.contains(hash) }
        return !self.hashes.insert(hash).inserted
    }
}
