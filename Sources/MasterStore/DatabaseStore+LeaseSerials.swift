// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension DatabaseStore {
    /// The highest lease serial ever given out; 0 if none.
    public func highestLeaseSerial() async throws -> LeaseSerial {
        try await self.read { LeaseSerial(rawValue: try $0.stored(.lease)) }
    }

    /// Skips lease serials up to and including this one.
    ///
    /// For a store that was restored: its satellites may hold leases of the time that it has forgotten.
    public func skipLeaseSerials(through serial: LeaseSerial) async throws {
        try await self.write { try $0.raise(.lease, to: serial.rawValue) }
    }

    /// Adopts a copied store: when it is opened again it no longer counts as a copy.
    public func adopt() async throws { try await self.engine.adopt() }
}
