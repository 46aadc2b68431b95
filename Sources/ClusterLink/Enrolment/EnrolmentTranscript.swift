// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials

/// What both sides of an enrolment have seen, and the proofs over it.
///
/// satellite → master: serial, its public key, a nonce. master → satellite: its public key, a nonce. satellite → master:
/// proof. master → satellite: verdict with its own proof. Each proof is HMAC-SHA256 under the shared key over the role
/// and everything before, so that neither can be replayed, reflected or moved to other keys. Nothing on the way is
/// secret; but whoever listens can try shared keys offline, so a shared key must not be guessable (16 random bytes).
struct EnrolmentTranscript: Sendable, Hashable {
    /// Who makes a proof.
    enum Role: String { case satellite, master }

    static let nonceBytes = 32

    var serial: String
    var satelliteKey: [UInt8]
    var satelliteNonce: [UInt8]
    var masterKey: [UInt8]
    var masterNonce: [UInt8]

    static func makeNonce() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<Self.nonceBytes).map { _ in generator.next() }
    }

    func proof(of role: Role, sharedKey: String) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: self.bytes(role), using: Self.key(sharedKey)))
    }

    /// Compares in constant time.
    func isProof(_ proof: [UInt8], of role: Role, sharedKey: String) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(proof, authenticating: self.bytes(role), using: Self.key(sharedKey))
    }

    private static func key(_ sharedKey: String) -> SymmetricKey { SymmetricKey(data: Array(sharedKey.utf8)) }

    /// Each field with its length in four bytes, most significant first.
    private func bytes(_ role: Role) -> [UInt8] {
        let fields: [[UInt8]] = [
            Array("telstar.cluster.v1 enrolment".utf8), Array(role.rawValue.utf8), Array(self.serial.utf8),
            self.satelliteKey, self.satelliteNonce, self.masterKey, self.masterNonce,
        ]
        var bytes: [UInt8] = []
        for field in fields {
            for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: field.count >> shift)) }
            bytes += field
        }
        return bytes
    }
}
