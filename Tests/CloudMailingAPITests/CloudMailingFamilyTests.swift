// SPDX-License-Identifier: Apache-2.0

import CloudMailingAPI
import HTTPTypes
import MasterCore
import TestAPI
import Testing

@Suite("CloudMailing over HTTP")
struct CloudMailingFamilyTests {
    private func run(limit: Int = 1 << 20, _ body: @Sendable (TestAPI) async throws -> Void) async throws {
        try await TestAPI.run({ [CloudMailingFamily(master: $0, maximumBodyBytes: limit)] }, body)
    }

    private static func call(_ method: String, _ parameters: String...) -> String {
        let values = parameters.map { "<param><value>\($0)</value></param>" }.joined()
        return
            "<?xml version=\"1.0\"?><methodCall><methodName>\(method)</methodName><params>\(values)</params></methodCall>"
    }

    private static func text(_ text: String) -> String { "<string>\(text)</string>" }

    @Test("a mailing is created, listed and deleted", arguments: ["/CloudMailing", "/RPC2"])
    func mailing(path: String) async throws {
        try await self.run { api in
            let create = Self.call(
                "create_mailing",
                Self.text("news@example.org"),
                Self.text("News"),
                Self.text("Hello"),
                Self.text("&lt;p&gt;Hi&lt;/p&gt;"),
                Self.text("Hi"),
                Self.text("utf-8")
            )
            let created = try await api.send("POST \(path)", authorization: api.basic, body: create)
            #expect(created.status == .ok && created.headers[.contentType] == "text/xml")
            #expect(created.text.contains("1</i") && !created.text.contains("<fault>"))
            let listed = try await api.send("POST \(path)", authorization: api.basic, body: Self.call("list_mailings"))
            #expect(listed.text.contains("news@example.org") && listed.text.contains("FILLING_RECIPIENTS"))
            let deleted = try await api.send(
                "POST \(path)",
                authorization: api.basic,
                body: Self.call("delete_mailing", "<int>1</int>")
            )
            #expect(!deleted.text.contains("<fault>"))
            #expect(try await api.master.operator.everyAccount.mailings().isEmpty)
        }
    }

    @Test(
        "without a valid key of the user admin a call is refused before its body is read",
        arguments: ["", "x", "root"]
    )
    func unauthorized(user: String) async throws {
        try await self.run { api in
            let authorization =
                user.isEmpty ? nil : TestAPI.basic(user == "root" ? "root" : "admin", user == "root" ? api.key : user)
            let refused = try await api.send("POST /CloudMailing", authorization: authorization, body: "no XML at all")
            #expect(refused.status == .unauthorized && refused.text.contains("<int>401</int>"))
            #expect(refused.headers[.wwwAuthenticate] == "Basic realm=\"CloudMailing\"")
        }
    }

    @Test("anybody may read what calls there are, and other methods are not implemented")
    func introduction() async throws {
        try await self.run { api in
            let page = try await api.send("GET /CloudMailing")
            #expect(page.status == .ok)
            for call in CloudMailingTables.calls { #expect(page.text.contains("<code>\(call)</code>")) }
            #expect(try await api.send("PUT /CloudMailing").status == .notImplemented)
            let deeper = try await api.send("POST //CloudMailing/deeper", authorization: api.basic, body: "")
            #expect(deeper.status == .ok && deeper.text.contains("<fault>"))
        }
    }

    @Test(
        "what cannot be understood is a fault under 200",
        arguments: ["", "no XML", "<methodCall>", "<methodCall><methodName>create_mailing</methodName></methodCall>"]
    )
    func malformed(body: String) async throws {
        try await self.run { api in
            let refused = try await api.send("POST /CloudMailing", authorization: api.basic, body: body)
            #expect(refused.status == .ok && refused.text.contains("<fault>"))
        }
    }

    @Test("every call of the table is dispatched, and no other is")
    func dispatch() async throws {
        try await self.run { api in
            func fault(_ method: String) async throws -> String {
                try await api.send("POST /CloudMailing", authorization: api.basic, body: Self.call(method)).text
            }
            let unknown = try await fault("no_such_call")
            #expect(unknown.contains("<int>8001</int>"))
            for call in CloudMailingTables.calls {
                let answer = try await fault(call)
                #expect(!answer.contains("<int>8001</int>"))
            }
        }
    }

    @Test("a body beyond the limit is refused")
    func tooLarge() async throws {
        try await self.run(limit: 1_000) { api in
            let body = Self.call("list_mailings", Self.text(String(repeating: "x", count: 2_000)))
            let refused = try await api.send("POST /CloudMailing", authorization: api.basic, body: body)
            #expect(refused.text.contains("<fault>"))
        }
    }
}
