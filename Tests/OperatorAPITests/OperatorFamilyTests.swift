// SPDX-License-Identifier: Apache-2.0

import APIServing
import Foundation
import HTTPTypes
import MailingModel
import MasterCore
import OperatorAPI
import TestAPI
import Testing

@Suite("The operators' API")
struct OperatorFamilyTests {
    private static let mailing = #"{"mail_from": "news@example.org", "subject": "Hello", "html": "<p>Hi</p>"}"#

    private func run(
        _ transport: APITransport = .controlSocket,
        limit: Int = 1 << 20,
        _ body: @Sendable (TestAPI) async throws -> Void
    ) async throws {
        try await TestAPI.run(
            { [OperatorFamily(master: $0, transport: transport, maximumBodyBytes: limit)] },
            body
        )
    }

    private static func code(_ response: String) throws -> String? {
        let json = try JSONSerialization.jsonObject(with: Data(response.utf8)) as? [String: [String: String]]
        return json?["error"]?["code"]
    }

    @Test("over the network every route asks for a key, over the socket none does")
    func keys() async throws {
        for route in OperatorFamily.routes {
            let path = route.path.replacing("{id}", with: "1").replacing("{serial}", with: "west-1")
            try await self.run(.network) { api in
                #expect(try await api.send("\(route.method.rawValue) \(path)").status == .unauthorized)
                let known = try await api.send("\(route.method.rawValue) \(path)", authorization: api.basic)
                #expect(known.status != .unauthorized)
                let tenant = try await api.makeTenant(AccountID(rawValue: 1), "tenant")
                let foreign = TestAPI.basic("admin", tenant.key.secret)
                #expect(
                    try await api.send("\(route.method.rawValue) \(path)", authorization: foreign).status
                        == .unauthorized
                )
            }
            try await self.run { api in
                let open = try await api.send("\(route.method.rawValue) \(path)")
                #expect(open.status != .unauthorized)
            }
        }
    }

    @Test("every path refuses the methods that it does not have, and names those that it has")
    func methods() async throws {
        try await self.run { api in
            for path in Set(OperatorFamily.routes.map(\.path)) {
                let methods = OperatorFamily.routes.filter { $0.path == path }.map(\.method)
                for method in [HTTPRequest.Method.get, .post, .put, .patch, .delete] where !methods.contains(method) {
                    let refused = try await api.send("\(method.rawValue) \(path.filter { !"{}".contains($0) })")
                    #expect(refused.status == .methodNotAllowed)
                    #expect(refused.headers[.allow]?.split(separator: ", ").count == methods.count)
                }
            }
            #expect(try await api.send("GET /telstar/v1/nothing").status == .notFound)
        }
    }

    @Test("a mailing is created with its properties, changed, shown and deleted")
    func mailing() async throws {
        try await self.run { api in
            let created = try await api.send(
                "POST /telstar/v1/mailings",
                body: Self.mailing.dropLast()
                    + #", "reply_to": "r@example.org", "scheduled_start": "2026-12-01T10:00:00+01:00"}"#
            ).json
            #expect(created["reply_to"] as? String == "r@example.org")
            #expect(created["scheduled_start"] as? String == "2026-12-01T09:00:00Z")
            let changed = try await api.send(
                "PATCH /telstar/v1/mailings/1",
                body: #"{"reply_to": null, "subject": "Bye"}"#
            )
            let shown = try changed.json
            #expect(shown["reply_to"] == nil && shown["subject"] as? String == "Bye")
            let listed = try await api.send("GET /telstar/v1/mailings").json["mailings"] as? [[String: Any]]
            #expect(listed?.count == 1)
            #expect(try await api.send("DELETE /telstar/v1/mailings/1").json["deleted"] as? Int == 1)
            let gone = try await api.send("GET /telstar/v1/mailings/1")
            let code = try Self.code(gone.text)
            #expect(gone.status == .notFound && code == "unknown_mailing")
        }
    }

    @Test(
        "a mailing that would lack what was asked of it is not made",
        arguments: [
            #"{"mail_from": "news@example.org"}"#, #"{"no": 1}"#, "[]", "", "{",
            #"{"mail_from": "news@example.org", "subject": "s", "html": "h", "satellite_groups": "x"}"#,
            #"{"mail_from": "news@example.org", "subject": "s", "html": "h", "scheduled_start": "tomorrow"}"#,
            #"{"mail_from": "news@example.org", "subject": "s", "html": "h", "tracking_url": "no URL"}"#,
        ]
    )
    func refused(body: String) async throws {
        try await self.run { api in
            let refused = try await api.send("POST /telstar/v1/mailings", body: body)
            #expect(refused.status == .badRequest)
            #expect(try await api.master.operator.everyAccount.mailings().isEmpty)
        }
    }

    @Test("satellites are found by their serial, percent-encoded, and groups can be taken away")
    func satellites() async throws {
        try await self.run { api in
            let added = try await api.send(
                "POST /telstar/v1/satellites",
                body: #"{"serial": "wést-1", "shared_key": "0123456789abcdef", "group": "eu", "weight": 2}"#
            )
            #expect(added.status == .ok)
            let view = try added.json
            #expect(view["group"] as? String == "eu" && view["connected"] as? Bool == false)
            let changed = try await api.send("PATCH /telstar/v1/satellites/w%C3%A9st-1", body: #"{"group": null}"#)
            let cleared = try changed.json
            #expect(cleared["group"] == nil && cleared["weight"] as? Int == 2)
            let again = try await api.send("POST /telstar/v1/satellites", body: #"{"serial": "wést-1"}"#)
            #expect(again.status == .conflict)
            #expect(try await api.send("DELETE /telstar/v1/satellites/east").status == .notFound)
            #expect(try await api.send("DELETE /telstar/v1/satellites/w%C3%A9st-1").status == .ok)
        }
    }

    @Test("a key's secret is shown when it is made, and at no other time")
    func secrets() async throws {
        try await self.run { api in
            let made = try await api.send("POST /telstar/v1/keys", body: #"{"name": "n"}"#).json
            let secret = try #require(made["key"] as? String)
            let list = try await api.send("GET /telstar/v1/keys").text
            #expect(list.contains("\"n\"") && !list.contains(secret))
            let id = try #require(made["id"] as? String)
            #expect(made["account"] as? String == "root" && (made["number"] as? Int ?? 0) > 0)
            #expect(try await api.send("DELETE /telstar/v1/keys/\(id)").json["revoked"] as? String == id)
        }
    }

    @Test("a body beyond the limit is refused, and a backup over the network")
    func limits() async throws {
        try await self.run(limit: 50) { api in
            let refused = try await api.send("POST /telstar/v1/mailings", body: Self.mailing)
            #expect(refused.status == .contentTooLarge)
        }
        try await self.run(.network) { api in
            let refused = try await api.send(
                "POST /telstar/v1/backup",
                authorization: api.basic,
                body: #"{"path": "/tmp/x"}"#
            )
            #expect(refused.status == .forbidden)
        }
    }
}
