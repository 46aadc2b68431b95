// SPDX-License-Identifier: Apache-2.0

import APIServing
import Foundation
import HTTPTypes
import Logging
import MailingModel
import MasterCore
import RecordFormat
import TestAPI
import Testing

@testable import NativeAPI

@Suite("Bulk import and export")
struct NativeFamilyTests {
    private func run(_ body: @Sendable (TestAPI, MailingID) async throws -> Void) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await TestAPI.run({ [NativeFamily(master: $0, transport: .network, logger: logger)] }) { api in
            let draft = MailingDraft(
                content: .alternative(html: "<p>{{ name }}</p>", plain: nil),
                mailFrom: "news@example.org",
                senderName: "News",
                subject: "Hello"
            )
            try await body(api, try await api.master.operator.everyAccount.createMailing(draft).id)
        }
    }

    @Test("every route refuses a caller without a key, and takes it as a password or as a token")
    func keys() async throws {
        try await self.run { api, id in
            for route in NativeFamily.routes where !route.path.hasSuffix("stream") {
                let line = "\(route.method.rawValue) \(route.path.replacing("{id}", with: "\(id)"))"
                for authorization in [nil, "Bearer x", TestAPI.basic("admin", "x"), TestAPI.basic("other", api.key)] {
                    let refused = try await api.send(line, authorization: authorization)
                    #expect(
                        refused.status == .unauthorized && refused.headers[.wwwAuthenticate]?.contains("Bearer") == true
                    )
                    #expect(try refused.json["code"] as? String == "unauthorized")
                }
                for authorization in [api.basic, api.bearer] {
                    let taken = try await api.send(line, authorization: authorization)
                    #expect(taken.status != .unauthorized)
                }
            }
        }
    }

    @Test(
        "a refusal is a problem (RFC 9457)",
        arguments: [
            ("GET /api/nothing", 404, "not_found"), ("DELETE /api/reports", 405, "method_not_allowed"),
            ("GET /api/reports?limit=0", 400, "bad_limit"), ("GET /api/reports?cursor=x", 410, "bad_cursor"),
            ("POST /api/mailings/2000000000/recipients", 415, "bad_content_type"),
        ]
    )
    func problem(line: String, status: Int, code: String) async throws {
        try await self.run { api, _ in
            let answer = try await api.send(line, authorization: api.basic)
            #expect(answer.status.code == status)
            #expect(answer.headers[.contentType] == "application/problem+json")
            let problem = try answer.json
            #expect(problem["type"] as? String == "urn:telstar:problem:\(code)")
            #expect(problem["status"] as? Int == status && problem["code"] as? String == code)
            for name in ["title", "detail"] { #expect((problem[name] as? String)?.isEmpty == false, "\(name)") }
            #expect((answer.headers[.allow] == "GET") == (status == 405))
        }
    }

    @Test("recipients come as JSON lines: members are merge fields, lines that are none are refused by number")
    func lines() async throws {
        try await self.run { api, id in
            let body = """
                {"email": "a@example.org", "tracking_id": 7, "name": "A", "list": [1, true, null, {"x": 1.5}]}
                {"name": "B"}
                {"email": 5}
                {"email": "c@example.org", "attachments": [{"data": "aGk=", "filename": "a.txt"}]}
                {"email": "d@example.org", "attachments": [{"url": "http://x.example"}]}

                """
            let answer = try await api.send(
                "POST /api/mailings/\(id)/recipients",
                authorization: api.bearer,
                [("Content-Type", "application/x-ndjson")],
                body: body
            )
            let json = try answer.json
            #expect(answer.status == .ok && json["accepted"] as? Int == 2 && json["refused"] as? Int == 3)
            let errors = json["errors"] as? [[String: Any]] ?? []
            #expect(errors.map { $0["line"] as? Int } == [2, 3, 5])
            #expect(errors.map { $0["code"] as? String } == ["no_email", "bad_field", "bad_attachment"])
        }
    }

    @Test(
        "what cannot be an import is refused before it is read",
        arguments: [
            ("/api/mailings/x/recipients", "text/csv", 404), ("/api/mailings/99/recipients", "text/csv", 404),
            ("/api/mailings/1/recipients", "text/html", 415),
            ("/api/mailings/1/recipients", "text/csv; charset=koi8-r", 415),
            ("/api/mailings/1/recipients?skip_duplicates=maybe", "text/csv", 400),
        ]
    )
    func refused(path: String, type: String, status: Int) async throws {
        try await self.run { api, _ in
            let answer = try await api.send(
                "POST \(path)",
                authorization: api.bearer,
                [("Content-Type", type)],
                body: "email\na@example.org\n"
            )
            #expect(answer.status.code == status)
        }
    }

    @Test("the feed is exported as lines that end with the next cursor, or as CSV")
    func export() async throws {
        try await self.run { api, id in
            _ = try await api.master.operator.everyAccount.addRecipients(
                [RecipientSubmission(address: "a@example.org")],
                to: id
            )
            let lines = try await api.send("GET /api/reports?status=READY", authorization: api.bearer)
            #expect(lines.headers[.contentType] == "application/x-ndjson")
            let last = try #require(lines.text.split(separator: "\n").last)
            #expect(last.hasPrefix("{\"cursor\":"))
            let csv = try await api.send("GET /api/reports?format=csv", authorization: api.bearer)
            #expect(csv.text.hasPrefix(ReportRecord.columns.joined(separator: ",")))
            for query in ["format=xml", "limit=0", "mailing=x", "status=NO", "cursor=x"] {
                let refused = try await api.send("GET /api/reports?\(query)", authorization: api.bearer)
                #expect([400, 410].contains(refused.status.code))
            }
        }
    }
}

@Suite("A report as JSON and CSV")
struct ReportRecordTests {
    private func report(_ change: (inout RecipientReport) -> Void = { _ in }) -> RecipientReport {
        var report = RecipientReport(
            recipient: RecipientID(mailing: MailingID(rawValue: 3), bucket: Bucket(rawValue: 1), ordinal: 4),
            trackingID: "t",
            address: "A@example.org",
            domain: "example.org",
            state: .delivered,
            created: Timestamp(seconds: 0),
            modified: Timestamp(seconds: 86_400)
        )
        change(&report)
        return report
    }

    @Test("every state has a name, and is found by it and by its own")
    func states() {
        for state in RecipientState.allCases {
            #expect(ReportRecord.states(named: ReportRecord.status(of: state)).contains(state))
            #expect(ReportRecord.states(named: "\(state)") == [state])
        }
        #expect(ReportRecord.states(named: "finished").isEmpty)
    }

    @Test("what is unknown is left out of the object and empty in the CSV")
    func unknown() {
        let record = ReportRecord(self.report())
        guard case .object(let members) = record.json else {
            Issue.record("a report is no object")
            return
        }
        #expect(members.map(\.name) == Array(ReportRecord.columns.prefix(11)))
        #expect(record.fields.count == ReportRecord.columns.count && record.fields.suffix(8).allSatisfy(\.isEmpty))
        #expect(record.fields[9] == "1970-01-01T00:00:00Z" && record.fields[6] == "false")
    }

    @Test("every fact has its column")
    func complete() {
        let record = ReportRecord(
            self.report {
                $0.uncertain = true
                $0.trace = AttemptTrace(stage: .finalDot, replyCode: 250, enhancedStatus: "2.0.0", text: "Ok")
                $0.satellite = "west-1"
                $0.firstTry = Timestamp(seconds: 1)
                $0.nextTry = Timestamp(seconds: 2)
                $0.leasedAt = Timestamp(seconds: 3)
            }
        )
        guard case .object(let members) = record.json else {
            Issue.record("a report is no object")
            return
        }
        #expect(members.map(\.name) == ReportRecord.columns)
        #expect(record.fields.suffix(8).first == "true" && !record.fields.contains(""))
    }
}
