// SPDX-License-Identifier: Apache-2.0

/// An immutable content revision: everything that shapes a message's bytes except the recipient.
///
/// Its canonical JSON (sorted keys) is stored as a blob named by its hash; master and satellites compile it once.
public struct MailingContent: Sendable, Hashable, Codable {
    /// The form of ``source``.
    public enum Syntax: String, Sendable, Codable {
        /// CloudMailing: text leaves and Subject are Jinja2 templates.
        case jinja
    }

    /// What ``subject``, ``html``, ``plain`` or ``mime`` is written in.
    public var syntax: Syntax = .jinja
    /// The mailing it belongs to.
    public var mailing: MailingID
    /// The Subject, a template in Unicode.
    public var subject: String
    /// The body.
    public var body: Body
    /// The header From's address.
    public var mailFrom: String
    /// The header From's display name.
    public var senderName: String
    /// The Reply-To's address; `nil` leaves that of a finished message, if it has one.
    public var replyTo: String?
    /// Base URL of the tracking site, with its final slash if it has one.
    public var trackingURL: String?
    /// Append the open pixel.
    public var readTracking: Bool
    /// Rewrite links.
    public var clickTracking: Bool
    /// How tracked URLs are written.
    public var urlEncoding: MailingProperties.URLEncoding
    /// Escape merge fields in HTML parts.
    public var autoescape: Bool
    /// Signatures to add, in order.
    public var dkim: [DKIMSetting]

    /// What the recipient will read.
    public enum Body: Sendable, Hashable, Codable {
        /// HTML and plain text; an empty plain part is made from the HTML.
        case alternative(html: String, plain: String?)
        /// A finished MIME entity (header fields and body): text leaves are templates, the rest is kept byte for byte.
        case mime([UInt8])
    }

    /// Composes a revision.
    public init(
        mailing: MailingID,
        subject: String,
        body: Body,
        mailFrom: String,
        senderName: String,
        replyTo: String? = nil,
        trackingURL: String? = nil,
        readTracking: Bool = true,
        clickTracking: Bool = false,
        urlEncoding: MailingProperties.URLEncoding = .percent,
        autoescape: Bool = true,
        dkim: [DKIMSetting] = []
    ) {
        self.mailing = mailing
        self.subject = subject
        self.body = body
        self.mailFrom = mailFrom
        self.senderName = senderName
        self.replyTo = replyTo
        self.trackingURL = trackingURL
        self.readTracking = readTracking
        self.clickTracking = clickTracking
        self.urlEncoding = urlEncoding
        self.autoescape = autoescape
        self.dkim = dkim
    }
}
