// SPDX-License-Identifier: Apache-2.0

import MailMerge
public import MailingModel

/// A recipient as a caller submits it.
public struct RecipientSubmission: Sendable, Hashable {
    /// The address, as written.
    public var address: String
    /// The id that the caller wants, under 50 characters and unique in the account; `nil` is a generated one.
    public var trackingID: String?
    /// Values for the template.
    public var fields: MergeFields
    /// Attachments of this recipient alone, in order.
    public var attachments: [AttachmentSubmission]

    /// Composes a submission.
    public init(
        address: String,
        trackingID: String? = nil,
        fields: MergeFields = MergeFields(),
        attachments: [AttachmentSubmission] = []
    ) {
        self.address = address
        self.trackingID = trackingID
        self.fields = fields
        self.attachments = attachments
    }
}

/// A file to attach, as a caller submits it.
public struct AttachmentSubmission: Sendable, Hashable {
    /// Its name, or `nil`.
    public var filename: String?
    /// Its media type, such as `application/pdf`.
    public var contentType: String
    /// The charset of a text, or `nil`.
    public var charset: String?
    /// Its Content-ID without angle brackets, for `cid:` references, or `nil`.
    public var contentID: String?
    /// Its bytes.
    public var bytes: [UInt8]

    /// Composes an attachment.
    public init(
        filename: String? = nil,
        contentType: String,
        charset: String? = nil,
        contentID: String? = nil,
        bytes: [UInt8]
    ) {
        self.filename = filename
        self.contentType = contentType
        self.charset = charset
        self.contentID = contentID
        self.bytes = bytes
    }
}

/// The answer to one submission.
public enum SubmissionResult: Sendable, Hashable {
    /// Stored durably under this tracking id.
    case accepted(trackingID: String, RecipientID)
    /// Not stored; the reason is one line for the caller.
    case refused(String)
}

/// Why a submission is not taken, for programs.
public enum RefusalCode: String, Sendable, Hashable {
    /// The address is invalid.
    case badAddress = "bad_address"
    /// The tracking id is malformed.
    case badTrackingID = "bad_tracking_id"
    /// Another recipient has the tracking id.
    case trackingIDTaken = "tracking_id_taken"
    /// A merge field is invalid, or together they are too large.
    case badField = "bad_field"
    /// An attachment is invalid, or together they are too large.
    case badAttachment = "bad_attachment"
    /// The idempotency key was used for other recipients.
    case keyReused = "key_reused"
}

extension AttachmentSubmission {
    /// The form in which it is stored and in which satellites read it.
    var encoded: [UInt8] { self.attachment.encoded() }

    /// The attachment that satellites write into the message.
    var attachment: Attachment {
        Attachment(
            filename: self.filename,
            contentType: self.contentType,
            charset: self.charset,
            contentID: self.contentID,
            bytes: self.bytes
        )
    }
}
