// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import MasterStore
import Synchronization

/// Whether the master trusts its store; while it does not, nothing is sent.
final class SafeMode: Sendable {
    private struct State {
        var reason: String?
        var isConfirmed = false
        var highestSeen = LeaseSerial(rawValue: 0)
    }

    private let store: MailingStore
    private let logger: Logger
    private let state = Mutex(State())

    init(store: MailingStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// The reason for safe mode, or `nil`.
    var reason: String? { self.state.withLock { $0.reason } }

    /// Records the highest lease serial that a satellite has seen.
    func saw(_ serial: LeaseSerial) {
        self.state.withLock { $0.highestSeen = max($0.highestSeen, serial) }
    }

    /// Stops sending, unless the operator has confirmed this store already.
    ///
    /// - Returns: Whether it was entered just now; then every session must repeat its handshake.
    @discardableResult
    func enter(_ reason: String) -> Bool {
        let isNew = self.state.withLock { state -> Bool in
            guard !state.isConfirmed, state.reason == nil else { return false }
            state.reason = reason
            return true
        }
        if isNew {
            self.logger.critical(
                "safe mode: nothing is sent until the operator confirms the store",
                metadata: ["reason": "\(reason)"]
            )
        }
        return isNew
    }

    /// Enters safe mode if the store is a copy: its satellites may have sent what it believes unsent, and do not always
    /// notice, since one that finished a lease of the copied time has nothing of it left.
    func distrustCopy() {
        guard self.store.identity.isCopy else { return }
        self.enter("the store is a restored or cloned copy")
    }

    /// Throws in safe mode, in which nothing may be sent.
    ///
    /// - Throws: ``MasterError/Code/safeMode``.
    func requireTrust() throws {
        guard let reason = self.reason else { return }
        throw MasterError(.safeMode, "nothing is sent until the operator confirms the store: \(reason)")
    }

    /// Leaves safe mode on the operator's confirmation, although some mail may have been sent before.
    ///
    /// - Returns: Whether the master was in it; then there is work again.
    /// - Throws: `StoreError`; then it stays in safe mode.
    func leave() async throws -> Bool {
        guard self.reason != nil else { return false }
        // What its satellites may still hold of the forgotten time must not be given out a second time.
        try await self.store.skipLeaseSerials(through: self.state.withLock { $0.highestSeen })
        try await self.store.adopt()
        self.state.withLock { state in
            state.reason = nil
            state.isConfirmed = true
        }
        self.logger.notice("safe mode ended: the operator confirmed the store")
        return true
    }
}
