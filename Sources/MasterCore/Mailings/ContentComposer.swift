// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailMerge
import MailingModel

/// Makes content revisions of what callers hand over, and compiles them once to see that they will.
struct ContentComposer {
    let configuration: MasterConfiguration

    /// Properties and content of a new mailing; only its number is missing.
    struct Composition: Sendable {
        var properties: MailingProperties
        var subject: String
        var body: MailingContent.Body

        /// The revision under a number.
        func revision(for id: MailingID) -> MailingContent {
            MailingContent(mailing: id, properties: self.properties, subject: self.subject, body: self.body)
        }
    }

    /// Composes a new mailing.
    func compose(_ draft: MailingDraft) throws -> Composition {
        let body: MailingContent.Body
        var header: (subject: String?, from: Mailbox?) = (nil, nil)
        switch draft.content {
        case .alternative(let html, let plain):
            body = .alternative(html: html, plain: plain.flatMap { $0.isEmpty ? nil : $0 })
        case .message(let bytes):
            header = try Self.readHeader(of: bytes)
            body = .mime(bytes)
        }
        guard let mailFrom = draft.mailFrom ?? header.from?.address.text, !mailFrom.isEmpty else {
            throw MasterError(.badProperty("mail_from"), "the message has no From that could be read")
        }
        var properties = MailingProperties(
            mailFrom: try Self.checkedSender(mailFrom),
            senderName: try Self.line(draft.senderName ?? header.from?.displayName ?? "", "sender_name")
        )
        properties.autoescape = draft.autoescape ?? self.configuration.autoescape
        let composition = Composition(
            properties: properties,
            subject: try Self.line(draft.subject ?? header.subject ?? "", "subject"),
            body: body
        )
        try self.checkSize(of: composition.body)
        return composition
    }

    /// Refuses content that is too long.
    func checkSize(of body: MailingContent.Body) throws {
        let size =
            switch body {
            case .alternative(let html, let plain): html.utf8.count + (plain?.utf8.count ?? 0)
            case .mime(let bytes): bytes.count
            }
        guard size <= self.configuration.maximumContentOctets else {
            throw MasterError(
                .badProperty("content"),
                "the content has \(size) octets, \(self.configuration.maximumContentOctets) at most"
            )
        }
    }

    /// Compiles a revision.
    ///
    /// - Throws: ``MasterError/Code/badContent(part:line:column:reason:)``.
    static func checked(_ content: MailingContent) throws -> MailingContent {
        do {
            _ = try CompiledContent(content)
            return content
        } catch {
            throw MasterError(
                .badContent(part: error.part, line: error.line, column: error.column, reason: error.message),
                "the \(error.part) does not compile, line \(error.line), column \(error.column): \(error.message)"
            )
        }
    }

    /// The header From's address, which may be any text that could stand there.
    static func checkedSender(_ text: String) throws -> String {
        do {
            _ = try EmailAddress(lenient: text)
            return text
        } catch {
            throw MasterError(.badProperty("mail_from"), "the sender's address is refused: \(error)")
        }
    }

    /// Text for one line of a header.
    static func line(_ text: String, _ name: String) throws -> String {
        guard !text.unicodeScalars.contains(where: { $0 == "\r" || $0 == "\n" || $0 == "\0" }) else {
            throw MasterError(.badProperty(name), "\(name) holds a line end or a NUL")
        }
        return text
    }

    /// What a message's header says of subject and sender.
    static func readHeader(of bytes: [UInt8]) throws -> (subject: String?, from: Mailbox?) {
        let entity: MIMEEntity
        do {
            entity = try MIMEEntity(parsing: bytes)
        } catch {
            throw MasterError(.badProperty("header"), "the message cannot be taken apart: \(error)")
        }
        let from: Mailbox?
        do {
            from = try entity.header("From").map {
                try Mailbox.list(parsing: String(decoding: $0.unfolded, as: UTF8.self))
            }?
            .first
        } catch {
            throw MasterError(.badProperty("mail_from"), "the message's From is refused: \(error)")
        }
        return (entity.header("Subject")?.text, from)
    }
}

extension MailingContent {
    /// A revision with everything that the properties say about its bytes.
    init(mailing: MailingID, properties: MailingProperties, subject: String, body: Body) {
        self.init(
            mailing: mailing,
            subject: subject,
            body: body,
            mailFrom: properties.mailFrom,
            senderName: properties.senderName,
            trackingURL: properties.trackingURL,
            readTracking: properties.readTracking,
            clickTracking: properties.clickTracking,
            urlEncoding: properties.urlEncoding,
            autoescape: properties.autoescape,
            dkim: properties.dkim
        )
    }
}

extension EmailAddress {
    /// The address as its owner writes it: domain in the letters given.
    var text: String { "\(self.quotedLocalPart)@\(self.domain)" }
}
