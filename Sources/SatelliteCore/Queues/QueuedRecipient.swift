// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailingModel
import Synchronization

/// A lease as it is worked on: what was granted, and the compiled content once it is there.
final class HeldLease: Sendable {
    let grant: LeaseGrant
    /// When it was taken on by this process.
    let since: ContinuousClock.Instant
    private let revocation = Atomic(false)

    init(_ grant: LeaseGrant, since: ContinuousClock.Instant) {
        self.grant = grant
        self.since = since
    }

    var serial: LeaseSerial { self.grant.serial }

    /// Whether the master has revoked the lease, so that no message of it may be completed any more.
    ///
    /// Connections ask for each message, without the scheduler's lock.
    var isRevoked: Bool { self.revocation.load(ordering: .acquiring) }

    /// Lets no further message of the lease be completed; one whose final dot is on its way goes on.
    func revoke() { self.revocation.store(true, ordering: .releasing) }
}

/// One recipient of a lease on its way to a connection.
struct QueuedRecipient: Sendable {
    /// Its lease.
    let lease: HeldLease
    /// Which entry of the lease.
    let index: Int
    /// Content and signatures, `nil` if the verdict needs none.
    var revision: Revision?
    /// The parsed address, `nil` if the verdict needs none.
    var address: EmailAddress?
    /// An outcome known before any connection.
    var verdict: DeliveryOutcome?
    /// How often it came back from a connection that had not begun with it.
    var requeues = 0
    /// When it entered its present queue.
    var since: ContinuousClock.Instant

    init(lease: HeldLease, index: Int, since: ContinuousClock.Instant) {
        self.lease = lease
        self.index = index
        self.since = since
    }

    var entry: LeaseEntry { self.lease.grant.entries[self.index] }
    var deliveryClass: DeliveryClass { self.lease.grant.deliveryClass }
}

/// Identifies a connection within the process.
struct ConnectionID: Hashable, Sendable {
    let number: UInt64
}

/// Where a site's mail goes.
struct SiteRoute: Sendable {
    /// The name shown to people; the canonical name of the set of MX hosts.
    var name: String
    /// Hosts by preference.
    var hosts: [SiteHost]
    /// The port of all of them.
    var port: Int
}

/// A host of a site.
struct SiteHost: Sendable, Hashable {
    var name: String
    var preference: Int
    var addresses: [String]
}
