// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import MailingModel
import RecordFormat

/// A kind of event of `GET /api/events`.
enum EventKind: String, CaseIterable, Sendable {
    case delivered, deferred, failed, uncertain, expired
    case bounced, complained, opened, clicked, unsubscribed, suppressed
    case reset

    /// The kind of a change of a recipient's delivery state.
    init(_ state: RecipientState) {
        switch state {
        case .delivered: self = .delivered
        case .deferred: self = .deferred
        case .failed, .unrenderable: self = .failed
        case .uncertain: self = .uncertain
        case .expired: self = .expired
        case .waiting: self = .reset
        }
    }

    /// The kinds of a list such as `delivered,failed`; all of them if there is no list.
    ///
    /// - Throws: ``APIRefusal`` that names one that is none.
    static func list(_ text: String?) throws -> Set<EventKind> {
        guard let text else { return Set(Self.allCases) }
        return try Set(
            text.split(separator: ",", omittingEmptySubsequences: false).map { name in
                guard let kind = EventKind(rawValue: String(name)) else {
                    let all = Self.allCases.map { "`\($0.rawValue)`" }.joined(separator: ", ")
                    throw APIRefusal(
                        .badRequest,
                        "bad_kind",
                        "`\(name.prefix(40))` is no kind of event; there are \(all)"
                    )
                }
                return kind
            }
        )
    }

    /// The delivery states whose events are of these kinds.
    static func states(of kinds: Set<EventKind>) -> [RecipientState] {
        RecipientState.allCases.filter { kinds.contains(EventKind($0)) }
    }
}

/// An event as JSON.
struct EventRecord {
    let json: JSONValue

    /// Renders an event of the feed; what is unknown is left out.
    init(_ entry: FeedEntry) {
        let report = entry.report
        var members: [JSONValue.Member] = [
            .init("position", .integer(entry.position)), .init("id", .string("evt_\(entry.position)")),
            .init("kind", .string(EventKind(report.state).rawValue)),
            .init("at", .string(report.modified.rfc3339)),
            .init("mailing", .integer(Int64(report.recipient.mailing.rawValue))),
            .init("recipient", .string(report.trackingID)), .init("email", .string(report.address)),
        ]
        if let trace = report.trace {
            if let code = trace.replyCode {
                var reply: [JSONValue.Member] = [.init("code", .integer(Int64(code)))]
                if let enhanced = trace.enhancedStatus { reply.append(.init("enhanced", .string(enhanced))) }
                reply.append(.init("text", .string(trace.text)))
                members.append(.init("reply", .object(reply)))
                members.append(.init("category", .string(Self.category(of: Int(code)))))
            } else {
                members.append(.init("reason", .string(trace.text)))
            }
            if let host = trace.mxHost { members.append(.init("mx", .string(host))) }
        }
        if let next = report.nextTry { members.append(.init("next_try", .string(next.rfc3339))) }
        members.append(.init("attempts", .integer(Int64(report.tryCount))))
        self.json = .object(members)
    }

    /// What a reply's first digit says (RFC 5321 §4.2.1).
    private static func category(of code: Int) -> String {
        switch code / 100 {
        case 2: "accepted"
        case 4: "temporary"
        default: "permanent"
        }
    }
}
