// SPDX-License-Identifier: Apache-2.0

import Logging
import MasterStore

extension OperatorOperations {
    /// Leaves safe mode on the operator's confirmation: mail is sent again, although some of it may have been sent before.
    public func confirmStore() async throws {
        try await self.call {
            if try await self.engine.safeMode.leave() { await self.engine.dispatcher.workChanged() }
        }
    }

    /// Writes a consistent copy of the store while everything goes on.
    ///
    /// - Parameter path: Of a file that does not exist.
    /// - Throws: ``MasterError/Code/storeFailed``, ``MasterError/Code/storeFull``.
    public func backup(to path: String) async throws { try await self.call { try await self.store.backup(to: path) } }

    /// Recounts every mailing and repairs what differs.
    ///
    /// - Returns: How many counters differed; 0 in health.
    public func reconcileCounters() async throws -> Int {
        try await self.call { try await self.store.reconcileCounters() }
    }
}
