// SPDX-License-Identifier: Apache-2.0

import Logging
public import MailingModel
import MasterStore

/// The operations on mailings, recipients and events as one account, or the operator, may call them.
///
/// What belongs to another account does not exist here: an operation on it fails as one on what never was.
public struct AccountOperations: Sendable {
    let master: Master
    /// Whose mailings, recipients and events exist.
    let scope: AccountScope
    /// The account that new mailings belong to, and whose tracking ids are looked up.
    let owner: AccountID

    var store: MailingStore { self.master.store }
    var engine: Engine { self.master.engine }
    var configuration: MasterConfiguration { self.master.configuration }
    var cursors: FeedCursorCodec { self.master.cursors }
    var time: MasterTime { self.master.time }
    var logger: Logger { self.master.logger }

    func now() -> Timestamp { self.master.now() }

    func call<Result: Sendable>(
        _ mailing: MailingID? = nil,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try await self.master.call(mailing, body)
    }
}

extension Master {
    /// The operations of the caller's account.
    public func account(_ principal: Principal) -> AccountOperations {
        AccountOperations(master: self, scope: .account(principal.account), owner: principal.account)
    }

    /// The operations of whoever runs the cluster.
    public var `operator`: OperatorOperations { OperatorOperations(master: self) }
}

/// The operations of whoever runs the cluster: over the control socket, or with a key of the root account.
public struct OperatorOperations: Sendable {
    let master: Master

    /// The operations on mailings and events of all accounts.
    ///
    /// New mailings are the root account's, and recipients are looked up by its tracking ids only: another account may use the
    /// same ones.
    public var everyAccount: AccountOperations {
        AccountOperations(master: self.master, scope: .everything, owner: .root)
    }

    var store: MailingStore { self.master.store }
    var engine: Engine { self.master.engine }
    var directory: SatelliteDirectory { self.master.directory }
    var keys: APIKeyCache { self.master.keys }
    var accountDirectory: AccountDirectory { self.master.accountDirectory }
    var logger: Logger { self.master.logger }

    func now() -> Timestamp { self.master.now() }

    func call<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await self.master.call(nil, body)
    }
}
