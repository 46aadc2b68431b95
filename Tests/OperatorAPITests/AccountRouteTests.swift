// SPDX-License-Identifier: Apache-2.0

import APIServing
import Foundation
import HTTPTypes
import MasterCore
import OperatorAPI
import TestAPI
import Testing

@Suite("The operators' API of accounts")
struct AccountRouteTests {
    private func run(_ body: @Sendable (TestAPI) async throws -> Void) async throws {
        try await TestAPI.run(
            { [OperatorFamily(master: $0, transport: .controlSocket, maximumBodyBytes: 1 << 20)] },
            body
        )
    }

    private static func code(_ answer: APIAnswer) throws -> String? {
        try (answer.json["error"] as? [String: String])?["code"]
    }

    private static func members(_ body: String) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any] ?? [:]
    }

    private static let bodies: [(kind: String, body: String)] = [
        ("credential", #"{"name": "7", "api": "sendclean", "secret": "sesame", "smtp_user": "u", "group": "eu"}"#),
        ("credential", #"{"name": "7", "api": "sendcloud", "track_opens": true, "subscription_tracking": false}"#),
        ("key", #"{"name": "shop"}"#),
        ("template", #"{"name": "t", "api": "sendclean", "subject": "Hi", "html": "<p></p>", "plain": "Hi"}"#),
        ("seed-list", #"{"name": "s", "addresses": ["a@example.com", "b@example.com"]}"#),
        ("url-domain", #"{"name": "track.example.com"}"#), ("bounce-email", #"{"name": "b@example.com"}"#),
        ("unsubscribe-page", #"{"name": "p", "language": "de", "html": "<p></p>"}"#),
        ("virtual-mta", #"{"name": "v", "group": "eu"}"#),
        ("database-connection", #"{"name": "d", "url": "postgresql://u:sesame@h/d"}"#),
    ]

    @Test("an account is created, shown, listed and removed")
    func accounts() async throws {
        try await self.run { api in
            let made = try await api.send("POST /telstar/v1/accounts", body: #"{"name": "Zoë & Co/KG"}"#).json
            #expect(made["id"] as? Int == 1 && made["name"] as? String == "Zoë & Co/KG")
            let path = "/telstar/v1/accounts/zo%C3%AB%20%26%20co%2Fkg"
            let shown = try await api.send("GET \(path)").json
            #expect(shown["name"] as? String == "Zoë & Co/KG" && (shown["items"] as? [Any])?.isEmpty == true)
            let list = try await api.send("GET /telstar/v1/accounts").json["accounts"] as? [[String: Any]]
            #expect(list?.compactMap { $0["id"] as? Int } == [0, 1] && list?[0]["name"] as? String == "root")
            let again = try await api.send("POST /telstar/v1/accounts", body: #"{"name": "ZOË & CO/KG"}"#)
            #expect(try again.status == .conflict && Self.code(again) == "account_exists")
            #expect(try await api.send("DELETE \(path)").json["id"] as? Int == 1)
            let gone = try await api.send("GET \(path)")
            #expect(try gone.status == .notFound && Self.code(gone) == "unknown_account")
            let root = try await api.send("DELETE /telstar/v1/accounts/root")
            #expect(try root.status == .conflict && Self.code(root) == "account_busy")
        }
    }

    @Test("an item of every kind is added with an integer or, for a bounce address, a text as id, listed and removed")
    func items() async throws {
        try await self.run { api in
            _ = try await api.send("POST /telstar/v1/accounts", body: #"{"name": "acme"}"#)
            for (kind, body) in Self.bodies {
                let added = try await api.send("POST /telstar/v1/accounts/acme/\(kind)", body: body)
                #expect(added.status == .ok, "\(kind): \(added.text)")
                let (view, members) = (try added.json, try Self.members(body))
                for (name, value) in members where !["secret", "html", "plain", "url"].contains(name) {
                    #expect("\(view[name] ?? "none")" == "\(value)", "\(kind) \(name)")
                }
                if kind == "bounce-email" {
                    #expect((view["id"] as? String)?.hasSuffix("@1") == true)
                } else {
                    #expect((view["id"] as? Int ?? 0) > 0)
                }
                let isMade = kind == "key" || members["api"] as? String == "sendcloud"
                #expect((view["secret"] != nil) == isMade)
                #expect(!added.text.contains("sesame"))
                let again = try await api.send("POST /telstar/v1/accounts/acme/\(kind)", body: body)
                #expect(try again.status == .conflict && Self.code(again) == "name_taken")
            }
            let all = try await api.send("GET /telstar/v1/accounts/acme")
            let items = try all.json["items"] as? [[String: Any]] ?? []
            #expect(items.compactMap { $0["kind"] as? String } == Self.bodies.map(\.kind))
            #expect(!all.text.contains("sesame") && !all.text.contains("secret"))
            for (kind, body) in Self.bodies {
                let listed = try await api.send("GET /telstar/v1/accounts/acme/\(kind)").json["items"] as? [Any]
                #expect(listed?.isEmpty == false)
                let members = try Self.members(body)
                let name = try #require(members["name"] as? String)
                let query = kind == "credential" ? "?api=\(members["api"] ?? "")" : ""
                let removed = try await api.send("DELETE /telstar/v1/accounts/acme/\(kind)/\(name)\(query)")
                #expect(try removed.json["name"] as? String == name)
                let gone = try await api.send("DELETE /telstar/v1/accounts/acme/\(kind)/\(name)\(query)")
                #expect(try gone.status == .notFound && Self.code(gone) == "unknown_item")
            }
            #expect(try await (api.send("GET /telstar/v1/accounts/acme").json["items"] as? [Any])?.isEmpty == true)
        }
    }

    @Test(
        "an item that is not as its kind needs it is refused, and nothing is added",
        arguments: [
            ("credential", #"{"name": "7"}"#, "bad_property"), ("credential", #"{"api": "sendclean"}"#, "bad_body"),
            ("credential", #"{"name": "7", "api": "smtp"}"#, "bad_property"),
            ("credential", #"{"name": "7", "api": "sendclean", "html": "x"}"#, "bad_property"),
            ("credential", #"{"name": "7", "api": "sendclean", "track_opens": "yes"}"#, "bad_body"),
            ("credential", #"{"name": "7", "api": "sendclean", "password": "x"}"#, "bad_body"),
            ("credential", #"{"name": "7", "api": "sendcloud", "unsubscribe_page": 7}"#, "unknown_item"),
            ("seed-list", #"{"name": "s"}"#, "bad_property"), ("template", #"{"name": "t"}"#, "bad_property"),
            ("key", #"{"name": "k", "secret": "x"}"#, "bad_property"), ("url-domain", "[]", "bad_body"),
            ("mailing", #"{"name": "k"}"#, "unknown_kind"),
        ]
    )
    func refused(kind: String, body: String, code: String) async throws {
        try await self.run { api in
            _ = try await api.send("POST /telstar/v1/accounts", body: #"{"name": "acme"}"#)
            let refused = try await api.send("POST /telstar/v1/accounts/acme/\(kind)", body: body)
            #expect(try Self.code(refused) == code)
            #expect(try await api.master.operator.items(ofAccount: "acme").isEmpty)
            let unknown = try await api.send("POST /telstar/v1/accounts/nobody/key", body: #"{"name": "k"}"#)
            #expect(try unknown.status == .notFound && Self.code(unknown) == "unknown_account")
        }
    }

    @Test("a key of an account is shown among all keys, with its account and number, and revoked by the number")
    func keys() async throws {
        try await self.run { api in
            _ = try await api.send("POST /telstar/v1/accounts", body: #"{"name": "acme"}"#)
            let made = try await api.send("POST /telstar/v1/accounts/acme/key", body: #"{"name": "shop"}"#).json
            let (id, secret) = (try #require(made["id"] as? Int), try #require(made["secret"] as? String))
            #expect(api.master.authenticate(secret: secret) != nil)
            let keys = try await api.send("GET /telstar/v1/keys").json["keys"] as? [[String: Any]] ?? []
            #expect(keys.compactMap { $0["account"] as? String } == ["root", "acme"])
            #expect(keys.last?["number"] as? Int == id && keys.last?["id"] as? String == made["public_id"] as? String)
            #expect(try await api.send("DELETE /telstar/v1/keys/\(id)").status == .ok)
            #expect(api.master.authenticate(secret: secret) == nil)
        }
    }
}
