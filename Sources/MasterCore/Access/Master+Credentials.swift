// SPDX-License-Identifier: Apache-2.0

public import MailingModel

// What the APIs of accounts ask about the clients that call them.

extension Master {
    /// Finds the credential of an API by its name and secret.
    ///
    /// An unknown name takes as long as a wrong secret. The first call with a chosen secret takes a tenth of a second, and longer
    /// if many secrets are being verified; later ones do not wait.
    ///
    /// - Parameters:
    ///   - api: The API whose client asks.
    ///   - name: The user, owner or organization that it names.
    ///   - secret: The password, token or key that it shows.
    /// - Returns: The credential; `nil` if there is none of that name, or its secret is another.
    /// - Throws: ``MasterError/Code/busy`` if too many secrets wait to be verified; `CancellationError` while waiting.
    public func authenticate(api: APIName, name: String, secret: String) async throws -> CredentialRecord? {
        try await self.accountDirectory.authenticate(api: api, name: name, secret: secret)
    }

    /// The account of that number, `nil` if it is removed; never waits.
    public func knownAccount(_ id: AccountID) -> Account? { self.accountDirectory.account(id) }

    /// Whether a credential is in force; never waits.
    public func isInForce(credential id: CredentialID) -> Bool { self.accountDirectory.isInForce(id) }

    /// Watches a credential, so that long calls can end when it is removed.
    ///
    /// - Parameters:
    ///   - id: The credential's number.
    ///   - removed: Called at most once, when the credential is removed; immediately if it already is.
    /// - Returns: The watch, to be ended with the call.
    public func watch(credential id: CredentialID, removed: @escaping @Sendable () -> Void) -> AccessWatch {
        let observer = self.accountDirectory.observe(id, removed: removed)
        return AccessWatch { self.accountDirectory.forget(observer) }
    }
}
