// SPDX-License-Identifier: Apache-2.0

/// A stream of events ended before the one that a test waits for: because its source did, or the test's time limit.
public struct StreamEnded: Error {
    /// The error of a wait of the test's own.
    public init() {}
}
