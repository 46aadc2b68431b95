// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// What a process finds in the journal that an earlier one left.
public struct Recovery: Sendable {
    /// A lease that is still held.
    public struct HeldLease: Sendable {
        /// What was granted, all entries.
        public var grant: LeaseGrant
        /// Entries that were never started: they may be started, or returned.
        public var neverStarted: EntryBitmap
        /// Entries that are started and certainly unsent: they may be sent.
        public var started: EntryBitmap
        /// Entries that were returned; the master may not have heard.
        public var returned: EntryBitmap
    }

    /// Leases with entries that need work or whose return may be unknown to the master, in order of serial.
    public var heldLeases: [HeldLease] = []
    /// Reports that the master has not acknowledged, of attempts that ended before.
    public var unacknowledged: [DeliveryReport] = []
    /// Reports of attempts whose outcome the end of the earlier process, or of the machine, left unknown.
    ///
    /// They are in the journal already, and are sent like the others.
    public var uncertain: [DeliveryReport] = []
    /// What was found damaged, or `nil`; the journal has a new identifier then, so that the master treats started,
    /// unreported recipients as uncertain.
    public var damage: String?
    /// Whether the files are not those that the last process wrote: they were copied or restored, so that everything
    /// started and not reported is in ``uncertain``.
    public var isCopy = false
}
