// SPDX-License-Identifier: Apache-2.0

/// What is known of hosts with which TLS failed: when they may be spoken to in plaintext.
///
/// A handshake that breaks once says little: the host is left alone and TLS is tried again. Plaintext follows where the host took
/// it before, or if TLS fails once more after that pause. A host that refuses plaintext (530, RFC 3207 §4) is spoken to in TLS
/// only from then on; one with which TLS works is forgotten. Pure.
struct TLSMemory {
    private struct Host {
        /// When TLS failed first, since it worked last.
        var failedAt: ContinuousClock.Instant?
        /// Plaintext is used without trying TLS before.
        var plaintextUntil: ContinuousClock.Instant?
        /// The host took a recipient in plaintext.
        var takesPlaintext = false
        /// The host refused plaintext.
        var refusesPlaintext = false
    }

    /// The most hosts that are remembered.
    private static let bound = 10_000

    private let memory: Duration
    private let pause: Duration
    private var hosts: [String: Host] = [:]

    /// - Parameters:
    ///   - memory: How long plaintext is used without trying TLS again.
    ///   - pause: How long after a failure another one is reason enough for plaintext.
    init(memory: Duration, pause: Duration) {
        self.memory = memory
        self.pause = pause
    }

    /// Whether to speak plaintext at once.
    func prefersPlaintext(_ host: String, now: ContinuousClock.Instant) -> Bool {
        self.hosts[host]?.plaintextUntil.map { now < $0 } ?? false
    }

    /// TLS failed.
    ///
    /// - Returns: Whether plaintext may be tried now.
    mutating func failed(_ host: String, now: ContinuousClock.Instant) -> Bool {
        if self.hosts.count >= Self.bound, self.hosts[host] == nil { self.hosts.removeAll() }
        var known = self.hosts[host] ?? Host()
        defer { self.hosts[host] = known }
        guard !known.refusesPlaintext else { return false }
        if known.takesPlaintext || known.failedAt.map({ now - $0 >= self.pause }) == true {
            known.plaintextUntil = now + self.memory
            return true
        }
        known.failedAt = known.failedAt ?? now
        return false
    }

    /// A connection is encrypted: nothing is wrong with the host's TLS.
    mutating func worked(_ host: String) { self.hosts[host] = nil }

    /// The host took a recipient over a connection that fell back to plaintext.
    mutating func plaintextTaken(_ host: String) { self.hosts[host]?.takesPlaintext = true }

    /// The host wants TLS.
    mutating func plaintextRefused(_ host: String) {
        var known = self.hosts[host] ?? Host()
        known.refusesPlaintext = true
        known.takesPlaintext = false
        known.plaintextUntil = nil
        self.hosts[host] = known
    }
}
