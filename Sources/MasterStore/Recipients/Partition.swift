// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Where recipients lie, and what is known of their deliveries: in the tables that all mailings share, or in those of one
/// large mailing, which go as a whole when it is purged.
///
/// A mailing's first recipients are shared ones. From ``threshold`` on every further one is placed in buckets of the
/// mailing's own partition, whose numbers begin where those of its shared buckets end; so the mailing's row, which every operation
/// has at hand, and the bucket in a recipient's number say where the recipient lies, and what was placed stays.
public struct Partition: Hashable, Sendable {
    /// How many recipients a mailing may have before further ones go to a partition of its own.
    public static let threshold = 50_000

    /// The tables that all mailings share.
    static let shared = Partition(owner: nil)

    /// The mailing whose own it is; `nil` for the shared one.
    let owner: MailingID?

    /// The table of recipients.
    var recipients: String { self.owner.map { "recipient_\($0)" } ?? "recipient" }
    /// The table of what is known of their deliveries.
    var deliveries: String { self.owner.map { "delivery_\($0)" } ?? "delivery" }
}

/// How far a step got in removing a partition.
enum PartitionRemoval: Sendable {
    /// Its tables are gone.
    case done
    /// Something is gone, and there is more.
    case goesOn
    /// Somebody has its tables in use; nothing has changed.
    case busy
}
