// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailFormat

/// Writes one signature field from its first to its last byte, folding as it goes.
struct SignatureWriter: ~Copyable {
    private static let name = Array("DKIM-Signature:".utf8)
    private static let columnLimit = 76

    private var bytes: [UInt8]
    private let start: Int
    private var column: Int

    init(appendingTo bytes: consuming [UInt8]) {
        self.start = bytes.count
        self.bytes = bytes
        self.bytes.append(contentsOf: Self.name)
        self.column = Self.name.count
    }

    /// Writes a tag with its semicolon, on a line of its own if this one is full.
    mutating func tag(_ tag: [UInt8]) {
        if self.column + 1 + tag.count > Self.columnLimit { self.fold() }
        self.append(0x20)
        self.append(tag)
    }

    /// Writes the tag `h=`, folded after colons.
    mutating func list(_ names: [[UInt8]]) {
        self.fold()
        self.append([0x20, 0x68, 0x3D])
        for (index, name) in names.enumerated() {
            if self.column + name.count + 1 > Self.columnLimit {
                self.fold()
                self.append(0x20)
            }
            self.append(name)
            self.append(index == names.count - 1 ? 0x3B : 0x3A)
        }
    }

    /// Writes the tag `bh=` and then `b=` without its value.
    mutating func bodyHash(_ hash: [UInt8]) {
        self.fold()
        self.append([0x20, 0x62, 0x68, 0x3D])
        self.append(hash)
        self.append(0x3B)
        self.fold()
        self.append([0x20, 0x62, 0x3D])
    }

    /// The digest to sign: the fields hashed so far and this field without a signature.
    func digest(continuing hasher: SHA256) -> SHA256.Digest {
        var hasher = hasher
        var canonical: [UInt8] = []
        canonical.reserveCapacity(self.bytes.count - self.start)
        self.bytes.withUnsafeBufferPointer {
            let field = UnsafeBufferPointer(rebasing: $0[self.start...])
            Canonicalisation.relaxed.appendField(field, colon: Self.name.count - 1, to: &canonical)
        }
        canonical.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        return hasher.finalize()
    }

    /// Writes the signature behind `b=` and ends the field.
    consuming func finish(signature: [UInt8]) -> [UInt8] {
        var encoded: [UInt8] = []
        Base64.encodeUnbroken(signature, into: &encoded)
        var position = 0
        while position < encoded.count {
            if position > 0 {
                self.fold()
                self.append(0x20)
            }
            let end = min(encoded.count, position + Self.columnLimit - self.column)
            self.bytes.append(contentsOf: encoded[position..<end])
            self.column += end - position
            position = end
        }
        self.fold()
        return self.bytes
    }

    private mutating func fold() {
        self.bytes.append(0x0D)
        self.bytes.append(0x0A)
        self.column = 0
    }

    private mutating func append(_ byte: UInt8) {
        self.bytes.append(byte)
        self.column += 1
    }

    private mutating func append(_ bytes: [UInt8]) {
        self.bytes.append(contentsOf: bytes)
        self.column += bytes.count
    }
}
