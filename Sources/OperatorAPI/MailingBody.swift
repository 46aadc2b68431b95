// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import MailingModel
import MasterCore

/// Properties of a mailing as the operators' API takes them: what is absent stays, what is `null` is taken away.
///
/// The names are those of `set_mailing_properties`, but for `html` and `plain`, which are text in any JSON.
struct MailingBody: Decodable {
    private(set) var change = MailingChange()

    /// The members that may be given.
    enum Name: String, CodingKey, CaseIterable {
        case subject, html, plain, testing, autoescape, dkim
        case mailFrom = "mail_from"
        case senderName = "sender_name"
        case replyTo = "reply_to"
        case shownName = "shown_name"
        case satelliteGroup = "satellite_group"
        case trackingURL = "tracking_url"
        case readTracking = "read_tracking"
        case clickTracking = "click_tracking"
        case scheduledStart = "scheduled_start"
        case scheduledEnd = "scheduled_end"
        case scheduledDuration = "scheduled_duration"
        case dontCloseIfEmpty = "dont_close_if_empty"
        case uncertainPolicy = "uncertain_policy"
    }

    /// One signature.
    private struct DKIM: Decodable {
        var domain, selector: String
        var privateKey, identity: String?
        var enabled: Bool?

        enum CodingKeys: String, CodingKey {
            case domain, selector, identity, enabled
            case privateKey = "private_key"
        }
    }

    init(from decoder: any Decoder) throws {
        try BodyReading.refuseUnknown(decoder, known: Name.allCases.map(\.rawValue))
        let members = try decoder.container(keyedBy: Name.self)
        self.change.mailFrom = try members.decodeIfPresent(String.self, forKey: .mailFrom)
        self.change.senderName = try members.decodeIfPresent(String.self, forKey: .senderName)
        self.change.subject = try members.decodeIfPresent(String.self, forKey: .subject)
        self.change.html = try members.decodeIfPresent(String.self, forKey: .html)
        self.change.plain =
            try members.contains(.plain) ? members.decodeIfPresent(String.self, forKey: .plain) ?? "" : nil
        self.change.replyTo = try Self.text(members, .replyTo)
        self.change.shownName = try Self.text(members, .shownName)
        self.change.satelliteGroup = try Self.text(members, .satelliteGroup)
        self.change.trackingURL = try Self.text(members, .trackingURL)
        self.change.readTracking = try members.decodeIfPresent(Bool.self, forKey: .readTracking)
        self.change.clickTracking = try members.decodeIfPresent(Bool.self, forKey: .clickTracking)
        self.change.testing = try members.decodeIfPresent(Bool.self, forKey: .testing)
        self.change.autoescape = try members.decodeIfPresent(Bool.self, forKey: .autoescape)
        self.change.dontCloseIfEmpty = try members.decodeIfPresent(Bool.self, forKey: .dontCloseIfEmpty)
        self.change.scheduledStart = try Self.timestamp(members, .scheduledStart)
        self.change.scheduledEnd = try Self.timestamp(members, .scheduledEnd)
        if members.contains(.scheduledDuration) {
            let minutes = try members.decodeIfPresent(Int.self, forKey: .scheduledDuration)
            self.change.scheduledDurationMinutes = minutes.map { .set($0) } ?? .clear
        }
        if let given = try members.decodeIfPresent(String.self, forKey: .uncertainPolicy) {
            guard let policy = UncertainPolicy(rawValue: given) else {
                let names = UncertainPolicy.allCases.map(\.rawValue).joined(separator: ", ")
                throw BodyReading.bad("`uncertain_policy` is one of \(names)")
            }
            self.change.uncertainPolicy = policy
        }
        if members.contains(.dkim) {
            self.change.dkim = try (members.decodeIfPresent([DKIM].self, forKey: .dkim) ?? []).map {
                DKIMSettingDraft(
                    domain: $0.domain,
                    selector: $0.selector,
                    privateKey: $0.privateKey,
                    identity: $0.identity,
                    enabled: $0.enabled ?? true
                )
            }
        }
    }

    private static func text(
        _ members: KeyedDecodingContainer<Name>,
        _ name: Name
    ) throws -> PropertyChange<String>? {
        guard members.contains(name) else { return nil }
        let text = try members.decodeIfPresent(String.self, forKey: name) ?? ""
        return text.isEmpty ? .clear : .set(text)
    }

    /// A timestamp in RFC 3339; without a zone it is UTC.
    private static func timestamp(
        _ members: KeyedDecodingContainer<Name>,
        _ name: Name
    ) throws -> PropertyChange<Timestamp>? {
        guard members.contains(name) else { return nil }
        guard let text = try members.decodeIfPresent(String.self, forKey: name), !text.isEmpty else { return .clear }
        guard let timestamp = Timestamp(rfc3339: text) else {
            throw BodyReading.bad("`\(name.rawValue)` is a date and time such as 2026-12-01T09:00:00Z, not '\(text)'")
        }
        return .set(timestamp)
    }
}

/// Helpers that the request bodies of the operators' API share.
enum BodyReading {
    /// A member of any name.
    struct Member: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Refuses a member that nothing would read: a misspelt one must not be ignored.
    static func refuseUnknown(_ decoder: any Decoder, known: [String]) throws {
        let members = try decoder.container(keyedBy: Member.self).allKeys.map(\.stringValue).sorted()
        guard let unknown = members.first(where: { !known.contains($0) }) else { return }
        throw Self.bad("`\(unknown)` is unknown; known are \(known.sorted().joined(separator: ", "))")
    }

    /// A body that is JSON of the wrong form.
    static func bad(_ reason: String) -> APIRefusal {
        APIRefusal(.badRequest, "bad_body", "the body cannot be read: \(reason)")
    }
}
