// SPDX-License-Identifier: Apache-2.0

/// How a held recipient is resolved.
public enum UncertainResolution: String, Sendable, CaseIterable {
    /// Counts as delivered.
    case delivered
    /// Counts as failed, and is not tried again.
    case failed
    /// Is sent again.
    case resend
}
