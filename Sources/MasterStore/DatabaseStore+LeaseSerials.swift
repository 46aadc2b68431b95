// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension DatabaseStore {
    /// The highest lease serial ever given out; 0 if none.
    public func highestLeaseSerial() async throws -> LeaseSerial {
        try await self.read { LeaseSerial(rawValue: try $0.stored(.lease)) }
    }

    /// Gives out no serial up to this one any more.
    ///
    /// For a store that was restored: its satellites may hold leases of the time that it has forgotten.
    public func skipLeaseSerials(through serial: LeaseSerial) async throws {
        try await self.write { try $0.raise(.lease, to: serial.rawValue) }
    }

    /// Makes a copied store the one to go on with: when it is opened again it is no copy any more.
    public func adopt() async throws { try await self.engine.adopt() }
}
