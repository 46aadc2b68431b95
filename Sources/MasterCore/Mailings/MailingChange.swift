// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// What the recipients of a mailing will read, as a caller hands it over.
public enum ContentSource: Sendable, Hashable {
    /// HTML and plain text as templates in Unicode; an absent or empty plain text is made from the HTML.
    case alternative(html: String, plain: String?)
    /// A finished message, RFC 5322: header fields, an empty line, body. Its From and Subject are the mailing's unless
    /// others are given.
    case message([UInt8])
}

/// What a mailing is created from.
public struct MailingDraft: Sendable, Hashable {
    /// The header From's address; `nil` takes it from the message.
    public var mailFrom: String?
    /// The header From's display name; `nil` takes it from the message.
    public var senderName: String?
    /// The subject, a template; `nil` takes it from the message.
    public var subject: String?
    /// The content.
    public var content: ContentSource
    /// Escape merge fields in HTML parts; `nil` is the configuration's default.
    ///
    /// An API passes its key's own default.
    public var autoescape: Bool?

    /// Composes a draft.
    public init(
        content: ContentSource,
        mailFrom: String? = nil,
        senderName: String? = nil,
        subject: String? = nil,
        autoescape: Bool? = nil
    ) {
        self.content = content
        self.mailFrom = mailFrom
        self.senderName = senderName
        self.subject = subject
        self.autoescape = autoescape
    }
}

/// A DKIM signature as a caller asks for it, with the private key itself.
public struct DKIMSettingDraft: Sendable, Hashable {
    /// The signing domain, `d=`.
    public var domain: String
    /// The selector, `s=`.
    public var selector: String
    /// The private key as PEM text; `nil` keeps the key that the mailing has for this domain and selector.
    public var privateKey: String?
    /// The agent or user identifier, `i=`.
    public var identity: String?
    /// Whether to sign with it.
    public var enabled: Bool

    /// Composes a setting.
    public init(
        domain: String,
        selector: String,
        privateKey: String?,
        identity: String? = nil,
        enabled: Bool = true
    ) {
        self.domain = domain
        self.selector = selector
        self.privateKey = privateKey
        self.identity = identity
        self.enabled = enabled
    }
}

/// A new value for a property that may be absent.
public enum PropertyChange<Value: Sendable & Hashable>: Sendable, Hashable {
    /// Removes the value.
    case clear
    /// Gives a value.
    case set(Value)
}

/// Changes to a mailing; what is `nil` stays as it is.
///
/// A change of sender, subject, content, tracking, escaping or signatures makes a new content revision for later grants.
public struct MailingChange: Sendable, Hashable {
    /// The header From's address.
    public var mailFrom: String?
    /// The header From's display name.
    public var senderName: String?
    /// Where replies go.
    public var replyTo: PropertyChange<String>?
    /// A name for people.
    public var shownName: PropertyChange<String>?
    /// Whether it closes by itself.
    public var type: MailingType?
    /// The satellite group that delivers it.
    public var satelliteGroup: PropertyChange<String>?
    /// Whose mailing it is.
    public var ownerGUID: PropertyChange<String>?
    /// Base URL of the tracking site.
    public var trackingURL: PropertyChange<String>?
    /// Append the open pixel.
    public var readTracking: Bool?
    /// Rewrite links.
    public var clickTracking: Bool?
    /// How tracked URLs are written.
    public var urlEncoding: MailingProperties.URLEncoding?
    /// Deliver to the test target instead of the MX.
    public var testing: Bool?
    /// Keep each delivered message for a while.
    public var backupCustomizedEmails: Bool?
    /// Stay open although no recipient is left; turned off, a complete mailing closes at once.
    public var dontCloseIfEmpty: Bool?
    /// The earliest time at which recipients are sent.
    public var scheduledStart: PropertyChange<Timestamp>?
    /// When the mailing ends; unfinished recipients then expire.
    public var scheduledEnd: PropertyChange<Timestamp>?
    /// Minutes from the first lease until it ends; 1 or more.
    public var scheduledDurationMinutes: PropertyChange<Int>?
    /// What an uncertain outcome leads to.
    public var uncertainPolicy: UncertainPolicy?
    /// Escape merge fields in HTML parts.
    public var autoescape: Bool?
    /// All signatures, in order; an empty list takes them away.
    public var dkim: [DKIMSettingDraft]?
    /// The subject, a template.
    public var subject: String?
    /// The HTML part, a template.
    public var html: String?
    /// The plain part, a template; empty text means that it is made from the HTML.
    public var plain: String?
    /// The header block of a finished message; its Subject becomes the mailing's unless ``subject`` is given too.
    public var header: [UInt8]?
    /// The body of a finished message, after the empty line.
    public var body: [UInt8]?

    /// Changes nothing.
    public init() {}
}

/// The result of a change.
public struct MailingChangeResult: Sendable, Hashable {
    /// The mailing as it stands now.
    public var mailing: Mailing
    /// Warnings about accepted values that are bad practice: a short key, a sender without signature.
    public var warnings: [String]
}
