// SPDX-License-Identifier: Apache-2.0

/// What the owner of a mailing sets beside its content.
///
/// Properties that shape the message's bytes (sender, tracking, signatures, escaping) are copied into the
/// ``MailingContent`` of the next revision; the others steer the master.
public struct MailingProperties: Sendable, Hashable, Codable {
    /// The header From's address; may be any text that a client sends (`my-mailing@%example.org`).
    public var mailFrom: String
    /// The header From's display name.
    public var senderName: String
    /// Where replies go, if not to the header From.
    public var replyTo: String?
    /// A name for people.
    public var shownName: String?
    /// Whether it closes by itself.
    public var type: MailingType = .regular
    /// Only satellites of this group deliver it; `nil` matches satellites without a group.
    public var satelliteGroup: String?
    /// Whose mailing it is, for the caller's own bookkeeping.
    public var ownerGUID: String?
    /// Base URL of an external tracking site; no tracking without it.
    public var trackingURL: String?
    /// Append the open pixel when ``trackingURL`` is set.
    public var readTracking: Bool = true
    /// Rewrite links when ``trackingURL`` is set.
    public var clickTracking: Bool = false
    /// How tracked URLs are written into links.
    public var urlEncoding: URLEncoding = .percent
    /// Deliver to the test target instead of the MX.
    public var testing: Bool = false
    /// Keep each delivered message for a while.
    public var backupCustomizedEmails: Bool = false
    /// Stay open although no recipient is left.
    public var dontCloseIfEmpty: Bool = false
    /// Nothing leaves before.
    public var scheduledStart: Timestamp?
    /// What is unfinished then expires.
    public var scheduledEnd: Timestamp?
    /// Minutes from the first lease until it ends; 0 or `nil` is no limit.
    public var scheduledDurationMinutes: Int?
    /// What an uncertain outcome leads to.
    public var uncertainPolicy: UncertainPolicy = .hold
    /// Escape merge fields in HTML parts.
    public var autoescape: Bool = true
    /// Signatures to add, in order; private keys by reference.
    public var dkim: [DKIMSetting] = []

    /// Properties with their defaults.
    public init(mailFrom: String, senderName: String) {
        self.mailFrom = mailFrom
        self.senderName = senderName
    }

    /// How a tracked URL is written into a link.
    public enum URLEncoding: String, Sendable, Codable {
        /// Percent-encoding with `/` kept.
        case percent
        /// URL-safe base64 without padding.
        case base64
    }
}

/// One DKIM signature to add; the key itself lies encrypted in the store, under ``key``.
public struct DKIMSetting: Sendable, Hashable, Codable {
    /// The signing domain, `d=`.
    public var domain: String
    /// The selector, `s=`.
    public var selector: String
    /// Names the private key: SHA-256 of its PEM text.
    public var key: BlobHash
    /// The agent or user identifier, `i=`.
    public var identity: String?
    /// Whether to sign with it.
    public var enabled: Bool = true

    /// Composes a setting.
    public init(domain: String, selector: String, key: BlobHash, identity: String? = nil, enabled: Bool = true) {
        self.domain = domain
        self.selector = selector
        self.key = key
        self.identity = identity
        self.enabled = enabled
    }
}
