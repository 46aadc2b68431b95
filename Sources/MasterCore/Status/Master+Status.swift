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
}
