// SPDX-License-Identifier: Apache-2.0

public import MailFormat
public import MailingModel

/// Everything that makes one recipient's message differ from the others.
public struct RenderRecipient: Sendable {
    /// The recipient; its packed form is in the Message-ID.
    public var id: RecipientID
    /// The id in tracking links.
    public var trackingID: String
    /// The address in `To`.
    public var address: EmailAddress
    /// As encoded by `MergeFields.encoded()`.
    public var mergeFields: [UInt8]
    /// The message's Date.
    public var date: Timestamp
    /// Files for this recipient alone, in order.
    public var attachments: [Attachment]

    /// Composes a recipient.
    public init(
        id: RecipientID,
        trackingID: String,
        address: EmailAddress,
        mergeFields: [UInt8],
        date: Timestamp,
        attachments: [Attachment] = []
    ) {
        self.id = id
        self.trackingID = trackingID
        self.address = address
        self.mergeFields = mergeFields
        self.date = date
        self.attachments = attachments
    }
}

/// The result of a rendering, with buffers that the next one uses again.
public struct RenderScratch: Sendable {
    /// The header fields, each ending with CRLF, without the blank line.
    public internal(set) var header: [UInt8] = []
    /// What follows the blank line: lines end with CRLF, dots are not stuffed.
    public internal(set) var body: [UInt8] = []
    var renderer = Renderer()

    /// Empty buffers.
    public init() {}

    /// The whole message: header, blank line and body.
    public var message: [UInt8] { self.header + [0x0D, 0x0A] + self.body }
}
