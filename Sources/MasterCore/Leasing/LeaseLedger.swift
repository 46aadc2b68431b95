// SPDX-License-Identifier: Apache-2.0

public import MailingModel
public import MasterStore

/// Access to the lease serials of a store that was restored or cloned.
public protocol LeaseLedger: Sendable {
    /// The highest serial ever given out; 0 if none.
    func highestLeaseSerial() async throws -> LeaseSerial
    /// Skips lease serials up to and including this one.
    func skipLeaseSerials(through serial: LeaseSerial) async throws
    /// Adopts a copied store: it no longer counts as a copy.
    func adopt() async throws
}

extension DatabaseStore: LeaseLedger {}
