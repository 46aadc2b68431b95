// SPDX-License-Identifier: Apache-2.0

/// Which mailings to list; an absent criterion matches all, several are combined by AND.
public struct MailingFilter: Sendable, Hashable {
    /// Any of these numbers.
    public var ids: [MailingID]?
    /// Any of these states.
    public var statuses: [MailingStatus]?
    /// Any of these header From domains.
    public var domains: [String]?
    /// Any of these owners.
    public var owners: [String]?
    /// Any of these satellite groups.
    public var satelliteGroups: [String]?
    /// Only those that ended before this timestamp.
    public var endedBefore: Timestamp?
    /// Only numbers above this.
    public var after: MailingID?
    /// At most so many; `nil` is all.
    public var limit: Int?

    /// Matches everything.
    public init() {}
}
