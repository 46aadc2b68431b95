// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailMerge
import MailingModel

/// Shortcuts for making contents and messages.
enum ContentKit {
    static func content(
        html: String = "<p>Hello {{ name }}!</p>\n",
        plain: String? = nil,
        subject: String = "Hi {{ name }}",
        tracking: String? = nil,
        read: Bool = true,
        click: Bool = false,
        encoding: MailingProperties.URLEncoding = .percent
    ) -> MailingContent {
        MailingContent(
            mailing: MailingID(rawValue: 7),
            subject: subject,
            body: .alternative(html: html, plain: plain),
            mailFrom: "news@example.org",
            senderName: "Example News",
            trackingURL: tracking,
            readTracking: read,
            clickTracking: click,
            urlEncoding: encoding
        )
    }

    static func mime(_ text: String, tracking: String? = nil) -> MailingContent {
        var content = Self.content(tracking: tracking)
        content.body = .mime(Array(text.utf8))
        return content
    }

    static func recipient(
        _ fields: [(String, MergeValue)] = [("name", .text("Ada"))],
        address: String = "ada@example.com",
        trackingID: String = "abc123",
        attachments: [Attachment] = []
    ) throws -> RenderRecipient {
        RenderRecipient(
            id: RecipientID(mailing: MailingID(rawValue: 7), bucket: Bucket(rawValue: 3), ordinal: 42),
            trackingID: trackingID,
            address: try EmailAddress(parsing: address),
            mergeFields: MergeFields(fields.map { MergeFields.Field(name: $0.0, value: $0.1) }).encoded(),
            date: Timestamp(seconds: 1_795_412_400),
            attachments: attachments
        )
    }

    static func render(_ content: MailingContent, _ recipient: RenderRecipient) throws -> Rendered {
        var scratch = RenderScratch()
        try CompiledContent(content).render(recipient, scratch: &scratch)
        return Rendered(
            header: String(decoding: scratch.header, as: UTF8.self),
            body: String(decoding: scratch.body, as: UTF8.self),
            entity: try MIMEEntity(parsing: scratch.message)
        )
    }

    struct Rendered {
        var header: String
        var body: String
        var entity: MIMEEntity

        /// The decoded text of a part, by indices from the outermost entity, with LF line ends.
        func text(_ path: Int...) -> String {
            var entity = self.entity
            for index in path { entity = entity.parts[index] }
            return String(decoding: entity.decodedBody().filter { $0 != 0x0D }, as: UTF8.self)
        }

        /// The field names of the header, in order.
        var names: [String] { self.entity.headers.map(\.name) }
    }
}
