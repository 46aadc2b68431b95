// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials

/// What both sides of an enrolment have seen, and the proofs over it.
///
/// satellite → master: serial, its public key, a nonce. master → satellite: its public key, a nonce. satellite → master:
/// proof. master → satellite: verdict with its own proof. Each proof is HMAC-SHA256 under the shared key over the role
/// and everything before, so that neither can be replayed, reflected or moved to other keys. Nothing on the way is
/// secret; but whoever listens can try shared keys offline, so a shared key must not be guessable (16 random octets).
struct EnrolmentTranscript: Sendable, Hashable {
    /// Who makes a proof.
    enum Role: String { case satellite, master }

    static let nonceOctets = 32

    var serial: String
    var satelliteKey: [UInt8]
    var satelliteNonce: [UInt8]
    var masterKey: [UInt8]
    var masterNonce: [UInt8]

    static func makeNonce() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<Self.nonceOctets).map { _ in generator.next() }
    }

    func proof(of role: Role, sharedKey: String) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: self.octets(role), using: Self.key(sharedKey)))
    }

    /// Compares in constant time.
    func isProof(_ proof: [UInt8], of role: Role, sharedKey: String) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(proof, authenticating: self.octets(role), using: Self.key(sharedKey))
    }

    private static func key(_ sharedKey: String) -> SymmetricKey { SymmetricKey(data: Array(sharedKey.utf8)) }

    /// Each field with its length in four octets, most significant first.
    private func octets(_ role: Role) -> [UInt8] {
        let fields: [[UInt8]] = [
            Array("telstar.cluster.v1 enrolment".utf8), Array(role.rawValue.utf8), Array(self.serial.utf8),
            self.satelliteKey, self.satelliteNonce, self.masterKey, self.masterNonce,
        ]
        var octets: [UInt8] = []
        for field in fields {
            for shift in [24, 16, 8, 0] { octets.append(UInt8(truncatingIfNeeded: field.count >> shift)) }
            octets += field
        }
        return octets
    }
}
