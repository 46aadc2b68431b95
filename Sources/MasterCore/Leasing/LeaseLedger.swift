// SPDX-License-Identifier: Apache-2.0

public import MailingModel
public import MasterStore

/// What a store can tell and do about the lease serials that it has given out, for a store that was restored or cloned.
public protocol LeaseLedger: Sendable {
    /// The highest serial ever given out; 0 if none.
    func highestLeaseSerial() async throws -> LeaseSerial
    /// Gives out no serial up to this one any more.
    func skipLeaseSerials(through serial: LeaseSerial) async throws
}

extension DatabaseStore: LeaseLedger {}
