// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Hummingbird
import MasterCore
import TestAPI
import Testing

@Suite("Which API a request goes to, and what happens before it does")
struct RoutingTests {
    /// An API whose caller is whoever names the password, and which renders refusals in JSON.
    private struct Family: APIFamily {
        static let roots = ["/one", "/two/v1"]
        static let routes: [APIRoute<Family>] = [
            APIRoute(.get, "/one/{id}") { _, _, context in Self.answer(context.parameters.get("id") ?? "") },
            APIRoute(.get, "/one/fixed") { _, _, _ in Self.answer("fixed") },
            APIRoute(.post, "/one/{id}") { _, _, _ in throw APIRefusal(.serviceUnavailable, "busy", "later") },
        ]

        let master: Master

        func authenticate(_ request: Request) throws -> Caller? {
            guard request.headers[.authorization] == "open" else { throw APIRefusal.unauthorized }
            return Caller(master: self.master, key: nil)
        }

        func response(to error: any Error, of request: Request) -> Response? {
            guard let refusal = APIRefusal(thrown: error) else { return nil }
            return Response(status: refusal.status, headers: refusal.headers(challenge: "Test"))
        }

        func failure(request id: String) -> Response { APIRefusal.failure(request: id).response }

        private static func answer(_ text: String) -> Response {
            Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: text)))
        }
    }

    @Test(
        "the path chooses the API, the API the route; whoever is unknown hears of neither",
        arguments: [
            ("GET /one/7", "open", 200), ("GET /one/fixed", "open", 200), ("DELETE /one/7", "open", 405),
            ("GET //one//7/", "open", 200), ("GET /one", "open", 404), ("GET /one/7/8", "open", 404),
            ("GET /two/v1", "open", 404),
            ("GET /one/7", "closed", 401), ("GET /one/7/8", "closed", 401), ("DELETE /one/7", "closed", 401),
            ("GET /onefold", "open", 404), ("GET /two/v2", "closed", 404), ("GET /", "closed", 404),
        ]
    )
    func routed(line: String, authorization: String, status: Int) async throws {
        try await TestAPI.run({ [Family(master: $0)] }) { api in
            let response = try await api.send(line, authorization: authorization)
            #expect(response.status.code == status)
            #expect((response.headers[.wwwAuthenticate] == "Test") == (status == 401))
            #expect(response.headers[.allow] == (status == 405 ? "GET, POST" : nil))
        }
    }

    @Test("a value in a path is the route's, and a fixed segment wins over it")
    func parameters() async throws {
        try await TestAPI.run({ [Family(master: $0)] }) { api in
            let (value, fixed) = (
                try await api.send("GET /one/7", authorization: "open"),
                try await api.send("GET /one/fixed", authorization: "open")
            )
            #expect(value.text == "7" && fixed.text == "fixed")
        }
    }

    @Test("503 says when to try again, also before the master has read its store, when nobody can be authenticated")
    func retry() async throws {
        try await TestAPI.run({ [Family(master: $0)] }) { api in
            let busy = try await api.send("POST /one/7", authorization: "open")
            #expect(busy.status == .serviceUnavailable && busy.headers[.retryAfter] == "5")
        }
        try await TestAPI.run(isLoaded: false, { [Family(master: $0)] }) { api in
            let starting = try await api.send("GET /one/7", authorization: "closed")
            #expect(starting.status == .serviceUnavailable && starting.headers[.retryAfter] == "1")
        }
    }

    @Test("documents name a route by its method and path, with capitals for values")
    func names() { #expect(Family.routes.map(\.name) == ["GET /one/ID", "GET /one/fixed", "POST /one/ID"]) }
}
