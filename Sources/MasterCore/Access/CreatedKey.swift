// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// A new API key with its secret, which is shown only once.
public struct CreatedKey: Sendable, Hashable {
    /// The record that is stored.
    public var record: APIKeyRecord
    /// The secret: what a client sends as password.
    public var secret: String
}
