// SPDX-License-Identifier: Apache-2.0

public import MailingModel
public import MasterStore

/// What a store that was restored or cloned can report and do about the time that it has forgotten.
public protocol LeaseLedger: Sendable {
    /// The highest serial ever given out; 0 if none.
    func highestLeaseSerial() async throws -> LeaseSerial
    /// Gives out no serial up to this one any more.
    func skipLeaseSerials(through serial: LeaseSerial) async throws
    /// Makes a copied store the one to go on with.
    func adopt() async throws
}

extension DatabaseStore: LeaseLedger {}
