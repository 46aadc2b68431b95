// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import Synchronization

/// Whether the master trusts its store; while it does not, nothing is sent.
final class SafeMode: Sendable {
    private struct State {
        var reason: String?
        var isConfirmed = false
        var highestSeen = LeaseSerial(rawValue: 0)
    }

    private let state = Mutex(State())

    /// The reason for safe mode, or `nil`.
    var reason: String? { self.state.withLock { $0.reason } }

    /// The highest lease serial that a satellite has seen.
    var highestSeen: LeaseSerial { self.state.withLock { $0.highestSeen } }

    /// Records the highest lease serial that a satellite has seen.
    func saw(_ serial: LeaseSerial) {
        self.state.withLock { $0.highestSeen = max($0.highestSeen, serial) }
    }

    /// Stops sending, unless the operator has confirmed this store already.
    ///
    /// - Returns: Whether it was entered just now.
    @discardableResult
    func enter(_ reason: String, logger: Logger) -> Bool {
        let isNew = self.state.withLock { state -> Bool in
            guard !state.isConfirmed, state.reason == nil else { return false }
            state.reason = reason
            return true
        }
        if isNew {
            logger.critical(
                "safe mode: nothing is sent until the operator confirms the store",
                metadata: ["reason": "\(reason)"]
            )
        }
        return isNew
    }

    /// Leaves safe mode on the operator's confirmation, although some mail may have been sent before.
    func confirm() {
        self.state.withLock { state in
            state.reason = nil
            state.isConfirmed = true
        }
    }
}
