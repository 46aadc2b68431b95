// SPDX-License-Identifier: Apache-2.0

import DKIM
import MailFormat
import MailMerge
import MailingModel
import MasterStore

/// A change that is checked, its keys stored and its content compiled before the store's transaction begins.
struct PreparedChange: Sendable {
    /// Warnings about accepted values that are bad practice.
    private(set) var warnings: [String] = []

    private let change: MailingChange
    private let dkim: [DKIMSetting]?
    private let composer: ContentComposer
    private let former: MailingContent

    /// Checks a change against the mailing as it stands.
    init(
        _ change: MailingChange,
        mailing id: MailingID,
        in scope: AccountScope,
        store: MailingStore,
        configuration: MasterConfiguration
    ) async throws {
        guard let mailing = try await store.mailing(id, in: scope),
            let former = try await store.content(of: id, in: scope)
        else {
            throw MasterError.unknown(id)
        }
        try MailingLifecycle.checkChange(of: mailing)
        self.change = change
        self.former = former
        self.composer = ContentComposer(configuration: configuration)
        if let drafts = change.dkim {
            guard drafts.count <= Self.signatureLimit else {
                throw MasterError(.badProperty("dkim"), "a mailing has at most \(Self.signatureLimit) DKIM signatures")
            }
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
        if let name = change.senderName { properties.senderName = try ContentComposer.checkedName(name) }
        if let address = change.replyTo { properties.replyTo = try address.value.map(ContentComposer.checkedReplyTo) }
        if let name = change.shownName {
            properties.shownName = try name.value.map { try ContentComposer.checkedLabel($0, "shown_name") }
        }
        if let type = change.type { properties.type = type }
        if let group = change.satelliteGroup {
            properties.satelliteGroup = try group.nonEmpty.map { try SatelliteRules.group($0, "satellite_group") }
        }
        if let owner = change.ownerGUID {
            properties.ownerGUID = try owner.value.map { try ContentComposer.checkedLabel($0, "owner_guid") }
        }
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
        if change.scheduledStart != nil || change.scheduledEnd != nil, let start = properties.scheduledStart,
            let end = properties.scheduledEnd, end <= start
        {
            throw MasterError(
                .badProperty("scheduled_end"),
                "scheduled_end is not after scheduled_start: nobody would be sent to"
            )
        }
        if let policy = change.uncertainPolicy { properties.uncertainPolicy = policy }
        if let autoescape = change.autoescape { properties.autoescape = autoescape }
        if let dkim = self.dkim { properties.dkim = dkim }
    }

    // MARK: Content

    private func content() throws -> (subject: String, body: MailingContent.Body) {
        let change = self.change
        var subject = try change.subject.map { try ContentComposer.checkedSubject($0) }
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
        let isSpace = { (byte: UInt8) in byte == 0x0D || byte == 0x0A || byte == 0x20 || byte == 0x09 }
        var stripped = header[MIMEEntity.start(of: header)...].drop(while: isSpace)
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
        do {
            _ = try TrackingSite(checking: text)
            return text
        } catch {
            throw MasterError(.badProperty("tracking_url"), error.message)
        }
    }

    // MARK: Signatures

    /// The most signatures of one message: more of them would outgrow what receivers take of a header.
    private static let signatureLimit = 8

    /// Checks a signature's setting as the satellite that signs with it will, and stores its key.
    private static func store(
        _ draft: DKIMSettingDraft,
        former: [DKIMSetting],
        in store: MailingStore
    ) async throws -> (setting: DKIMSetting, warning: String?) {
        guard !draft.selector.isEmpty, !draft.domain.isEmpty else {
            throw MasterError(.badProperty("dkim"), "a DKIM signature needs a selector and a domain")
        }
        let identity = draft.identity.flatMap { $0.isEmpty ? nil : $0 }
        let owner =
            "of \(String(draft.domain.prefix(80)).debugDescription) (selector \(String(draft.selector.prefix(80)).debugDescription))"
        let pem = draft.privateKey.flatMap { $0.isEmpty ? nil : $0 }
        // Without a new key the one that was checked when it was set is kept; names and identity are validated with another.
        let key: DKIMPrivateKey
        do {
            key = try pem.map { text throws(DKIMError) in try DKIMPrivateKey(pem: text) } ?? .makeEd25519()
        } catch {
            throw MasterError(.badProperty("dkim"), "the DKIM key \(owner) cannot be read: \(error)")
        }
        do {
            let signer = try DKIMSigner(domain: draft.domain, selector: draft.selector, key: key, identity: identity)
            _ = try MessageSigner([signer]).signatures(header: Array("From: a@b\r\n".utf8), body: [], at: 0)
        } catch {
            throw MasterError(.badProperty("dkim"), "the DKIM signature \(owner) cannot be made: \(error)")
        }
        var setting: DKIMSetting
        var warning: String?
        if let pem {
            if key.algorithm == .rsaSHA256, !(2048...4096).contains(key.bits) {
                warning =
                    "the DKIM key \(owner) has \(key.bits) bits; receivers want 2048 at least and need not take more than 4096"
            }
            setting = DKIMSetting(
                domain: draft.domain,
                selector: draft.selector,
                key: try await store.putSigningKey(pem: pem)
            )
        } else {
            let kept = former.first {
                $0.domain.lowercased() == draft.domain.lowercased() && $0.selector == draft.selector
            }
            guard let kept else {
                throw MasterError(.badProperty("dkim"), "the DKIM signature \(owner) has no private key")
            }
            setting = kept
        }
        setting.identity = identity
        setting.enabled = draft.enabled
        return (setting, warning)
    }
}
