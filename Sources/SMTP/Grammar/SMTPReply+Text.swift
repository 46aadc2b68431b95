// SPDX-License-Identifier: Apache-2.0

import MailFormat

extension SMTPReply {
    /// Composes a reply of our own making.
    init(local code: Int, _ status: String, _ text: String) {
        self.init(code: code, enhancedStatus: EnhancedStatus(parsing: status), text: "\(status) \(text)")
    }
}
