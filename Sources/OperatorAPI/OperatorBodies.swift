// SPDX-License-Identifier: Apache-2.0

import APIServing
import Foundation
import HTTPTypes
import MailingModel
import MasterCore
import ZeroMQ

/// What a mailing is created from: its sender, subject and HTML, and any other property.
struct MailingDraftBody: Decodable {
    let draft: MailingDraft
    /// The properties beside these.
    let change: MailingChange

    init(from decoder: any Decoder) throws {
        var change = try MailingBody(from: decoder).change
        guard let from = change.mailFrom else { throw BodyReading.bad("`mail_from` is missing") }
        guard let subject = change.subject else { throw BodyReading.bad("`subject` is missing") }
        guard let html = change.html else { throw BodyReading.bad("`html` is missing") }
        self.draft = MailingDraft(
            content: .alternative(html: html, plain: change.plain),
            mailFrom: from,
            senderName: change.senderName ?? "",
            subject: subject,
            autoescape: change.autoescape
        )
        (change.mailFrom, change.senderName, change.subject, change.html, change.plain) = (nil, nil, nil, nil, nil)
        change.autoescape = nil
        self.change = change
    }
}

/// A recipient as the operators' API takes it: `email`, `tracking_id`, and merge fields.
struct RecipientBody: Decodable {
    var email: String
    var trackingID: String?
    var fields: MergeFields

    private struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        self.email = try container.decode(String.self, forKey: Name(stringValue: "email"))
        self.trackingID = try container.decodeIfPresent(String.self, forKey: Name(stringValue: "tracking_id"))
        self.fields = MergeFields(
            try container.allKeys.filter { $0.stringValue != "tracking_id" }.sorted { $0.stringValue < $1.stringValue }
                .map {
                    .init(name: $0.stringValue, value: try container.decode(MergeValueBody.self, forKey: $0).value)
                }
        )
    }

    var submission: RecipientSubmission {
        RecipientSubmission(address: self.email, trackingID: self.trackingID, fields: self.fields)
    }
}

/// A merge field's value in JSON.
private struct MergeValueBody: Decodable {
    var value: MergeValue

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self.value = .null
        } else if let text = try? container.decode(String.self) {
            self.value = .text(text)
        } else if let truth = try? container.decode(Bool.self) {
            self.value = .bool(truth)
        } else if let number = try? container.decode(Int64.self) {
            self.value = .integer(number)
        } else if let number = try? container.decode(Double.self) {
            self.value = .double(number)
        } else if let items = try? container.decode([MergeValueBody].self) {
            self.value = .list(items.map(\.value))
        } else {
            let members = try container.decode([String: MergeValueBody].self)
            self.value = .map(
                MergeFields(members.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: $0.value.value) })
            )
        }
    }
}

/// A satellite to be allowed; takes the members of a change, and needs a serial.
struct SatelliteDraftBody: Decodable {
    private var change: SatelliteChange

    init(from decoder: any Decoder) throws {
        self.change = try SatelliteBody(from: decoder).change
        guard self.change.serial != nil else {
            throw APIRefusal(.badRequest, "bad_body", "the body cannot be read: `serial` is missing")
        }
    }

    func draft() throws -> SatelliteDraft {
        var draft = SatelliteDraft(serial: self.change.serial ?? "")
        draft.publicKey = self.change.publicKeys?.first
        if case .set(let key) = self.change.sharedKey { draft.sharedKey = key }
        if case .set(let group) = self.change.group { draft.group = group }
        draft.weight = self.change.weight ?? draft.weight
        draft.enabled = self.change.enabled ?? draft.enabled
        draft.affinity = self.change.affinity ?? draft.affinity
        return draft
    }
}

/// Changes to a satellite: what is absent stays, what is `null` goes back to its default.
struct SatelliteBody: Decodable {
    private(set) var change = SatelliteChange()

    private enum Name: String, CaseIterable, CodingKey {
        case serial, enabled, group, weight, affinity
        case publicKey = "public_key"
        case sharedKey = "shared_key"
    }

    private struct AnyName: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Affinity: Decodable {
        var include: [String]?
        var exclude: [String]?
    }

    init(from decoder: any Decoder) throws {
        let known = Set(Name.allCases.map(\.rawValue))
        for name in try decoder.container(keyedBy: AnyName.self).allKeys where !known.contains(name.stringValue) {
            throw APIRefusal(
                .badRequest,
                "bad_property",
                "`\(name.stringValue)` is not a property of a satellite; these are: \(known.sorted().joined(separator: ", "))"
            )
        }
        let body = try decoder.container(keyedBy: Name.self)
        if body.contains(.serial) { self.change.serial = try body.decode(String.self, forKey: .serial) }
        if body.contains(.enabled) {
            self.change.enabled = try body.decodeIfPresent(Bool.self, forKey: .enabled) ?? true
        }
        if body.contains(.weight) { self.change.weight = try body.decodeIfPresent(Int.self, forKey: .weight) ?? 1 }
        self.change.group = try Self.text(body, .group)
        self.change.sharedKey = try Self.text(body, .sharedKey)
        if body.contains(.affinity) {
            let affinity = try body.decodeIfPresent(Affinity.self, forKey: .affinity)
            self.change.affinity = DomainAffinity(include: affinity?.include ?? [], exclude: affinity?.exclude ?? [])
        }
        switch try Self.text(body, .publicKey) {
        case .set(let text): self.change.publicKeys = [try Self.key(text)]
        case .clear: self.change.publicKeys = []
        case nil: break
        }
    }

    private static func text(
        _ body: KeyedDecodingContainer<Name>,
        _ name: Name
    ) throws -> PropertyChange<String>? {
        guard body.contains(name) else { return nil }
        guard let text = try body.decodeIfPresent(String.self, forKey: name), !text.isEmpty else { return .clear }
        return .set(text)
    }

    private static func key(_ text: String) throws -> [UInt8] {
        do {
            return try Z85.decode(key: text)
        } catch {
            throw APIRefusal(.badRequest, "bad_property", "`public_key` is not a CURVE key in Z85: 40 characters")
        }
    }
}
