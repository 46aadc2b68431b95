// SPDX-License-Identifier: Apache-2.0

import DKIM
import MailFormat
import MailingModel
import MasterStore

/// A change that is checked, its keys stored and its content compiled before the store's transaction begins.
struct PreparedChange: Sendable {
    /// What is accepted and not good practice.
    private(set) var warnings: [String] = []

    private let change: MailingChange
    private let dkim: [DKIMSetting]?
    private let composer: ContentComposer
    private let former: MailingContent

    /// Checks a change against the mailing as it stands.
    init(
        _ change: MailingChange,
        mailing id: MailingID,
        store: any MailingStore,
        configuration: MasterConfiguration
    ) async throws {
        guard let mailing = try await store.mailing(id), let former = try await store.content(of: id) else {
            throw MasterError.unknown(id)
        }
        try MailingLifecycle.checkChange(of: mailing)
        self.change = change
        self.former = former
        self.composer = ContentComposer(configuration: configuration)
        if let drafts = change.dkim {
            var settings: [DKIMSetting] = []
            for draft in drafts {
                let (setting, warning) = try await Self.store(draft, former: mailing.properties.dkim, in: store)
                settings.append(setting)
                if let warning { self.warnings.append(warning) }
            }
            self.dkim = settings
        } else {
            self.dkim = nil
        }
        // A first try outside the transaction: what compiles here is not compiled there in vain.
        var trial = mailing
        _ = try self.apply(to: &trial)
    }

    /// Applies the change; the content revision that it makes, or `nil` if the message's bytes stay as they are.
    func apply(to mailing: inout Mailing) throws -> MailingContent? {
        try MailingLifecycle.checkChange(of: mailing)
        let stayedOpen = mailing.properties.dontCloseIfEmpty
        try self.applyProperties(to: &mailing.properties)
        // Its owner says that nothing more will come: no grace is due.
        if stayedOpen, !mailing.properties.dontCloseIfEmpty { mailing.closesWithoutGrace = true }
        let (subject, body) = try self.content()
        let content = MailingContent(
            mailing: mailing.id,
            properties: mailing.properties,
            subject: subject,
            body: body
        )
        mailing.subject = subject
        guard content != self.former else { return nil }
        try self.composer.checkSize(of: body)
        return try ContentComposer.checked(content)
    }

    private func applyProperties(to properties: inout MailingProperties) throws {
        let change = self.change
        if let mailFrom = change.mailFrom { properties.mailFrom = try ContentComposer.checkedSender(mailFrom) }
        if let name = change.senderName { properties.senderName = try ContentComposer.line(name, "sender_name") }
        if let name = change.shownName { properties.shownName = name.value }
        if let type = change.type { properties.type = type }
        if let group = change.satelliteGroup { properties.satelliteGroup = group.nonEmpty }
        if let owner = change.ownerGUID { properties.ownerGUID = owner.value }
        if let url = change.trackingURL { properties.trackingURL = try url.value.map(Self.checkedURL) }
        if let tracking = change.readTracking { properties.readTracking = tracking }
        if let tracking = change.clickTracking { properties.clickTracking = tracking }
        if let encoding = change.urlEncoding { properties.urlEncoding = encoding }
        if let testing = change.testing { properties.testing = testing }
        if let backup = change.backupCustomizedEmails { properties.backupCustomizedEmails = backup }
        if let stay = change.dontCloseIfEmpty { properties.dontCloseIfEmpty = stay }
        if let start = change.scheduledStart { properties.scheduledStart = start.value }
        if let end = change.scheduledEnd { properties.scheduledEnd = end.value }
        if let duration = change.scheduledDurationMinutes {
            guard duration.value.map({ $0 >= 1 }) ?? true else {
                throw MasterError(.badProperty("scheduled_duration"), "a duration has 1 minute or more")
            }
            properties.scheduledDurationMinutes = duration.value
        }
        if let policy = change.uncertainPolicy { properties.uncertainPolicy = policy }
        if let autoescape = change.autoescape { properties.autoescape = autoescape }
        if let dkim = self.dkim { properties.dkim = dkim }
    }

    // MARK: Content

    private func content() throws -> (subject: String, body: MailingContent.Body) {
        let change = self.change
        var subject = try change.subject.map { try ContentComposer.line($0, "subject") }
        var body = self.former.body
        if change.html != nil || change.plain != nil {
            guard change.header == nil, change.body == nil else {
                throw MasterError(
                    .badProperty("header"),
                    "html_content and plain_content cannot be set together with header and body"
                )
            }
            body = try self.alternative()
        } else if change.header != nil || change.body != nil {
            let message = try self.message()
            if change.header != nil, subject == nil {
                subject = try ContentComposer.readHeader(of: message).subject
            }
            body = .mime(message)
        }
        return (subject ?? self.former.subject, body)
    }

    private func alternative() throws -> MailingContent.Body {
        let plain = self.change.plain.map { $0.isEmpty ? nil : $0 }
        switch self.former.body {
        case .alternative(let formerHTML, let formerPlain):
            return .alternative(html: self.change.html ?? formerHTML, plain: plain ?? formerPlain)
        case .mime:
            guard let html = self.change.html else {
                throw MasterError(
                    .badProperty("plain_content"),
                    "the mailing's content is a finished message; set html_content too to replace it"
                )
            }
            return .alternative(html: html, plain: plain ?? nil)
        }
    }

    /// Header and body joined by one empty line; the part that is not changed stays.
    private func message() throws -> [UInt8] {
        let former: (header: [UInt8], body: [UInt8])?
        switch self.former.body {
        case .alternative: former = nil
        case .mime(let bytes): former = Self.split(bytes)
        }
        guard let header = self.change.header ?? former?.header, let body = self.change.body ?? former?.body else {
            throw MasterError(
                .badProperty(self.change.header == nil ? "body" : "header"),
                "the mailing's content is HTML and plain text; set header and body together to replace it"
            )
        }
        let isSpace = { (octet: UInt8) in octet == 0x0D || octet == 0x0A || octet == 0x20 || octet == 0x09 }
        var stripped = header.drop(while: isSpace)
        while let last = stripped.last, isSpace(last) { stripped.removeLast() }
        return stripped + [0x0D, 0x0A, 0x0D, 0x0A] + body
    }

    /// Splits a message at its first empty line.
    private static func split(_ bytes: [UInt8]) -> (header: [UInt8], body: [UInt8]) {
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x0A {
                if index + 1 < bytes.count, bytes[index + 1] == 0x0A {
                    return (Array(bytes[...index]), Array(bytes[(index + 2)...]))
                }
                if index + 2 < bytes.count, bytes[index + 1] == 0x0D, bytes[index + 2] == 0x0A {
                    return (Array(bytes[...index]), Array(bytes[(index + 3)...]))
                }
            }
            index += 1
        }
        return (bytes, [])
    }

    private static func checkedURL(_ text: String) throws -> String {
        let lower = text.lowercased()
        guard lower.hasPrefix("http://") || lower.hasPrefix("https://"),
            text.unicodeScalars.allSatisfy({
                $0.value > 0x20 && $0.value != 0x7F && $0 != "\"" && $0 != "<" && $0 != ">"
            })
        else {
            throw MasterError(.badProperty("tracking_url"), "the tracking URL is not an http or https URL")
        }
        return text
    }

    // MARK: Signatures

    /// Checks a signature's setting and stores its key.
    private static func store(
        _ draft: DKIMSettingDraft,
        former: [DKIMSetting],
        in store: any MailingStore
    ) async throws -> (setting: DKIMSetting, warning: String?) {
        guard !draft.selector.isEmpty, self.isName(draft.selector), !draft.domain.isEmpty, self.isName(draft.domain)
        else { throw MasterError(.badProperty("dkim"), "a DKIM signature needs a selector and a domain") }
        let place = "of \(draft.domain) (selector \(draft.selector))"
        var setting: DKIMSetting
        var warning: String?
        if let pem = draft.privateKey {
            let bits: Int
            do {
                let key = try DKIMPrivateKey(pem: pem)
                bits = key.bits
            } catch {
                throw MasterError(.badProperty("dkim"), "the DKIM key \(place) cannot be read: \(error)")
            }
            if (1..<2048).contains(bits), bits >= 1024 {
                warning = "the DKIM key \(place) has \(bits) bits only; many receivers want 2048"
            }
            setting = DKIMSetting(
                domain: draft.domain,
                selector: draft.selector,
                key: try await store.putSigningKey(pem: pem)
            )
        } else {
            guard let kept = former.first(where: { $0.domain == draft.domain && $0.selector == draft.selector }) else {
                throw MasterError(.badProperty("dkim"), "the DKIM signature \(place) has no private key")
            }
            setting = kept
        }
        setting.identity = draft.identity
        setting.enabled = draft.enabled
        return (setting, warning)
    }

    /// Letters, digits, hyphens, underscores and dots.
    private static func isName(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == 0x2D || byte == 0x2E || byte == 0x5F
        }
    }
}
