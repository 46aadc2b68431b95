// SPDX-License-Identifier: Apache-2.0

import MasterStore

extension Master {
    /// The status of the master and its cluster; reads a few counts from the store.
    public func status() async throws -> MasterStatus {
        try await self.call { await self.engine.status.status(isStopping: self.gate.isClosed) }
    }

    /// Whether the master does its work; never waits for the store.
    public var isReady: Bool { self.unreadyReasons.isEmpty }

    /// Why the master does not do its work, for people; empty if it does, and never waits for the store.
    public var unreadyReasons: [String] {
        (self.gate.isClosed ? ["the master is stopping"] : [])
            + (self.isLoaded ? [] : ["the master has not read its keys and satellites yet"])
            + self.engine.status.unreadyReasons
    }

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
