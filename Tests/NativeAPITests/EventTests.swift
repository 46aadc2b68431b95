// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Logging
import MailingModel
import MasterCore
import RecordFormat
import TestAPI
import Testing

@testable import NativeAPI

@Suite("Events under /api/events")
struct EventTests {
    private static func run(_ body: @Sendable (TestAPI) async throws -> Void) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await TestAPI.run({ [NativeFamily(master: $0, transport: .network, logger: logger)] }, body)
    }

    private static func items(_ answer: APIAnswer) throws -> [[String: Any]] {
        try #require(try answer.json["items"] as? [[String: Any]])
    }

    @Test("pages in order of commit, each with the cursor to go on from, and an empty one at the head")
    func pages() async throws {
        try await Self.run { api in
            let tenants = [AccountID(rawValue: 1), AccountID(rawValue: 2)]
            let first = try await api.makeTenant(tenants[0], "first")
            _ = try await api.makeTenant(tenants[1], "second")
            _ = try await api.makeTenant(tenants[0], "third")
            var (cursor, seen) = ("", [String]())
            for _ in 0..<10 {
                let answer = try await api.send(
                    "GET /api/events?limit=1&cursor=\(cursor)",
                    authorization: first.bearer
                )
                #expect(answer.status == .ok)
                cursor = try #require(try answer.json["cursor"] as? String)
                let items = try Self.items(answer)
                guard let item = items.first else { break }
                #expect(items.count == 1 && item["kind"] as? String == "expired")
                #expect(item["id"] as? String == (item["position"] as? Int).map { "evt_\($0)" })
                #expect((item["at"] as? String)?.hasSuffix("Z") == true && item["mailing"] as? Int != nil)
                seen.append(try #require(item["email"] as? String))
            }
            #expect(seen == ["late@first.example", "late@third.example"])
            let head = try await api.send("GET /api/events?cursor=\(cursor)", authorization: first.bearer)
            #expect(try Self.items(head).isEmpty && head.json["cursor"] as? String == cursor)
        }
    }

    @Test("kinds are chosen; one that has no events yet gives none")
    func kinds() async throws {
        try await Self.run { api in
            let tenant = try await api.makeTenant(AccountID(rawValue: 1), "tenant")
            for (kinds, count) in [("expired", 1), ("delivered,expired", 1), ("delivered", 0), ("opened,clicked", 0)] {
                let answer = try await api.send("GET /api/events?kinds=\(kinds)", authorization: tenant.bearer)
                #expect(try Self.items(answer).count == count, "\(kinds)")
            }
        }
    }

    @Test(
        "what is unknown is a problem",
        arguments: [
            ("kinds=sent", 400, "bad_kind"), ("kinds=", 400, "bad_kind"), ("limit=0", 400, "bad_limit"),
            ("limit=1001", 400, "bad_limit"), ("limit=x", 400, "bad_limit"), ("cursor=x", 410, "bad_cursor"),
        ]
    )
    func refused(query: String, status: Int, code: String) async throws {
        try await Self.run { api in
            let answer = try await api.send("GET /api/events?\(query)", authorization: api.bearer)
            #expect(answer.status.code == status)
            #expect(try answer.json["code"] as? String == code)
        }
    }

    @Test("an event names the reply, what it means, and who gave it")
    func reply() throws {
        let report = RecipientReport(
            recipient: RecipientID(mailing: MailingID(rawValue: 3), bucket: Bucket(rawValue: 1), ordinal: 4),
            trackingID: "t",
            address: "a@example.org",
            domain: "example.org",
            state: .failed,
            trace: AttemptTrace(
                stage: .recipient,
                replyCode: 550,
                enhancedStatus: "5.1.1",
                text: "no such user",
                mxHost: "mx.example.org"
            ),
            tryCount: 2,
            created: Timestamp(seconds: 0),
            modified: Timestamp(seconds: 86_400)
        )
        let text = String(decoding: EventRecord(FeedEntry(position: 7, report: report)).json.line, as: UTF8.self)
        #expect(
            text == """
                {"position":7,"id":"evt_7","kind":"failed","at":"\(report.modified.rfc3339)","mailing":3,"recipient":"t",\
                "email":"a@example.org","reply":{"code":550,"enhanced":"5.1.1","text":"no such user"},\
                "category":"permanent","mx":"mx.example.org","attempts":2}

                """
        )
    }

    @Test("every state of a recipient is an event of some kind, and is found by it")
    func states() {
        for state in RecipientState.allCases {
            #expect(EventKind.states(of: [EventKind(state)]).contains(state))
        }
        #expect(EventKind.states(of: [.opened, .bounced]).isEmpty)
    }
}
