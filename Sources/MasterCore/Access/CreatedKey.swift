// SPDX-License-Identifier: Apache-2.0

public import MasterStore

/// A new API key; the only time that its secret is seen.
public struct CreatedKey: Sendable, Hashable {
    /// What is stored of it.
    public var record: APIKeyRecord
    /// The secret: what a client sends as password.
    public var secret: String
}
