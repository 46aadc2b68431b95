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
            guard !bytes.starts(with: [0xFF, 0xFE]), !bytes.starts(with: [0xFE, 0xFF]) else {
                throw MasterError(
                    .badProperty("header"),
                    "the message begins with the byte order mark of UTF-16; hand over the bytes of the mail itself"
                )
            }
            let message = Array(bytes[MIMEEntity.start(of: bytes)...])
            header = try Self.readHeader(of: message)
            body = .mime(message)
        }
        guard let mailFrom = draft.mailFrom ?? header.from?.address.text, !mailFrom.isEmpty else {
            throw MasterError(.badProperty("mail_from"), "the message has no From that could be read")
        }
        var properties = MailingProperties(
            mailFrom: try Self.checkedSender(mailFrom),
            senderName: try Self.checkedName(draft.senderName ?? header.from?.displayName ?? "")
        )
        properties.autoescape = draft.autoescape ?? self.configuration.autoescape
        let composition = Composition(
            properties: properties,
            subject: try Self.checkedSubject(draft.subject ?? header.subject ?? ""),
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
        guard size <= self.configuration.maximumContentBytes else {
            throw MasterError(
                .badProperty("content"),
                "the content has \(size) bytes, \(self.configuration.maximumContentBytes) at most"
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

    /// The longest display name of a sender, in bytes.
    static let nameLimit = 500
    /// The longest template of a subject, in bytes; what it makes is cut at ``CompiledContent/subjectByteLimit``.
    static let subjectLimit = 10_000
    /// The longest word in a header field, in bytes: a line that cannot be folded has to fit into 998.
    private static let wordLimit = 900
    /// The longest From or Subject of a finished message, in bytes as encoded.
    private static let fieldLimit = 65_536

    /// The header From's display name.
    static func checkedName(_ text: String) throws -> String {
        guard text.utf8.count <= self.nameLimit else {
            throw MasterError(.badProperty("sender_name"), "sender_name has more than \(self.nameLimit) bytes")
        }
        guard !text.unicodeScalars.contains(where: \.changesDirection) else {
            throw MasterError(
                .badProperty("sender_name"),
                "sender_name holds a character that changes the direction of writing"
            )
        }
        return try self.line(text, "sender_name")
    }

    /// A subject's template.
    static func checkedSubject(_ text: String) throws -> String {
        guard text.utf8.count <= self.subjectLimit else {
            throw MasterError(.badProperty("subject"), "subject has more than \(self.subjectLimit) bytes")
        }
        return try self.line(text, "subject")
    }

    /// A word that people or satellites are compared by: 1 to 255 characters that can be shown.
    static func checkedLabel(_ text: String, _ name: String) throws -> String {
        guard (1...255).contains(text.unicodeScalars.count),
            !text.unicodeScalars.contains(where: { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        else {
            throw MasterError(.badProperty(name), "\(name) has 1 to 255 characters, none of them a control character")
        }
        return text
    }

    /// The Reply-To's address.
    static func checkedReplyTo(_ text: String) throws -> String {
        do {
            return try EmailAddress(parsing: text).text
        } catch {
            throw MasterError(.badProperty("reply_to"), "the Reply-To's address is refused: \(error)")
        }
    }

    /// Text for one line of a header.
    static func line(_ text: String, _ name: String) throws -> String {
        guard !text.unicodeScalars.contains(where: { $0 == "\r" || $0 == "\n" || $0 == "\0" }) else {
            throw MasterError(.badProperty(name), "\(name) holds a line end or a NUL")
        }
        return text
    }

    /// What a message's header says of subject and sender; validates its other fields.
    static func readHeader(of bytes: [UInt8]) throws -> (subject: String?, from: Mailbox?) {
        let entity: MIMEEntity
        do {
            entity = try MIMEEntity(parsing: bytes)
        } catch {
            throw MasterError(.badProperty("header"), "the message cannot be taken apart: \(error)")
        }
        for field in entity.headers
        where field.unfolded.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 }).contains(where: {
            $0.count > Self.wordLimit
        }) && !Self.isDecoded(field) {
            throw MasterError(
                .badProperty("header"),
                "the field \(field.name.prefix(76)) holds a word of more than \(Self.wordLimit) bytes, which no line of mail can hold"
            )
        }
        let charset = entity.declaredCharset
        let from: Mailbox?
        do {
            from = try entity.header("From").map {
                try Self.requireReadable($0, "mail_from")
                return try Mailbox.list(parsing: $0.unfolded, undeclared: charset)
            }?
            .first
        } catch let error as AddressError {
            throw MasterError(.badProperty("mail_from"), "the message's From is refused: \(error)")
        }
        let subject = try entity.header("Subject").map {
            try Self.requireReadable($0, "subject")
            return $0.text(undeclared: charset)
        }
        return (subject, from)
    }

    /// Whether a field is taken apart and written anew, so that the length of its words does not matter.
    private static func isDecoded(_ field: HeaderField) -> Bool { field.isNamed("From") || field.isNamed("Subject") }

    private static func requireReadable(_ field: HeaderField, _ property: String) throws {
        guard field.value.count <= self.fieldLimit else {
            throw MasterError(
                .badProperty(property),
                "the message's \(field.name) has more than \(self.fieldLimit) bytes"
            )
        }
        guard let label = HeaderDecoder.unknownCharset(in: field.unfolded) else { return }
        throw MasterError(
            .badProperty(property),
            "the message's \(field.name) is in the charset \(label), which is not known; use UTF-8"
        )
    }
}

extension Unicode.Scalar {
    /// Embeddings, overrides and isolates: they make text look other than it is.
    var changesDirection: Bool { (0x202A...0x202E).contains(self.value) || (0x2066...0x2069).contains(self.value) }
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
            replyTo: properties.replyTo,
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
