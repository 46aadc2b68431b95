// SPDX-License-Identifier: Apache-2.0

/// Where a recipient stands, in our terms; each API family maps it to its own in one file of its target.
public enum RecipientState: UInt8, Sendable, Codable, CaseIterable {
    /// Never attempted, or requeued before it was started.
    case waiting = 0
    /// Attempted without success; will be tried again.
    case deferred = 1
    /// Accepted by the destination.
    case delivered = 2
    /// Refused for good, or given up.
    case failed = 3
    /// The message could not be personalised for this recipient.
    case unrenderable = 4
    /// The outcome of the last attempt is unknown and the policy holds it.
    case uncertain = 5
    /// The mailing ended first.
    case expired = 6

    /// Whether nothing more will be attempted.
    public var isTerminal: Bool {
        switch self {
        case .waiting, .deferred: false
        case .delivered, .failed, .unrenderable, .uncertain, .expired: true
        }
    }
}

/// What happens to a recipient whose outcome is uncertain.
public enum UncertainPolicy: String, Sendable, Codable, CaseIterable {
    /// Terminal and counted as an error, until somebody resolves it. The default.
    case hold
    /// Tried again, which may deliver twice.
    case resend
    /// Counted as delivered.
    case assumeDelivered = "assume_delivered"
}
