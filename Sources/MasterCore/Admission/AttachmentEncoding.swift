// SPDX-License-Identifier: Apache-2.0

import MailMerge

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
