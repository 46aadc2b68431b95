// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// A recipient as submitted, already checked.
public struct RecipientDraft: Sendable, Hashable {
    /// The address as the caller wrote it.
    public var address: String
    /// The recipient domain as A-labels, lower-case; decides the bucket.
    public var domain: String
    /// The id that the caller wants, or `nil` for a generated one.
    public var trackingID: String?
    /// Encoded merge fields.
    public var mergeFields: [UInt8]
    /// Attachments of this recipient alone.
    public var attachments: [BlobHash]

    /// Composes a draft.
    public init(
        address: String,
        domain: String,
        trackingID: String? = nil,
        mergeFields: [UInt8],
        attachments: [BlobHash] = []
    ) {
        self.address = address
        self.domain = domain
        self.trackingID = trackingID
        self.mergeFields = mergeFields
        self.attachments = attachments
    }

    /// Whether an id that a client chose has visible ASCII characters only: it becomes part of links and of the reverse path.
    public static func isVisible(_ trackingID: String) -> Bool {
        trackingID.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}

/// The answer to one draft.
public enum RecipientAdmission: Sendable, Hashable {
    /// Stored.
    case accepted(RecipientID, trackingID: String)
    /// The wanted tracking id is in use.
    case trackingIDTaken
}

/// Where the drafts of an import come from, so that they are added once however often it is repeated.
public struct ImportSource: Sendable, Hashable {
    /// Names the import within its mailing.
    public var key: String
    /// The line of each draft, from 1.
    public var lines: [Int]

    /// Composes a source.
    public init(key: String, lines: [Int]) {
        self.key = key
        self.lines = lines
    }
}

/// The answer to one draft of an import.
public enum ImportAdmission: Sendable, Hashable {
    /// Stored.
    case accepted(RecipientID)
    /// Stored by an earlier run, with the same address.
    case repeated
    /// Another address was stored from this line.
    case lineTaken
    /// The wanted tracking id is in use.
    case trackingIDTaken
}
