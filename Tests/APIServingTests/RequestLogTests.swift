// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Hummingbird
import InMemoryLogging
import Logging
import MasterCore
import TestAPI
import Testing

@Suite("Ids of requests, and the access log")
struct RequestLogTests {
    private struct Unexpected: Error, CustomStringConvertible {
        var description: String { "the disk is made of cheese" }
    }

    /// An API with one route that works and one that fails for a reason that it does not know.
    private struct Family: APIFamily {
        static let roots = ["/one"]
        static let routes: [APIRoute<Family>] = [
            APIRoute(.get, "/one/works") { _, _, _ in
                Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: "fine")))
            },
            APIRoute(.get, "/one/fails") { _, _, _ in throw Unexpected() },
            APIRoute(.get, "/one/stored") { _, _, _ in
                throw MasterError(.storeFailed, "the store failed", cause: "writing /var/lib/telstar: disk I/O error")
            },
        ]

        let master: Master

        func authenticate(_ request: Request) throws -> Caller? { Caller(master: self.master, key: nil) }
        func response(to error: any Error, of request: Request) -> Response? { APIRefusal(thrown: error)?.response }
        func failure(request id: String) -> Response { APIRefusal.failure(request: id).response }
    }

    private static let idName = "X-Request-ID"

    private static func run(
        isComplete: Bool,
        _ body: @escaping @Sendable (TestAPI, InMemoryLogHandler) async throws -> Void
    ) async throws {
        let memory = InMemoryLogHandler()
        let log = RequestLog(Logger(label: "test") { _ in memory }, isComplete: isComplete)
        try await TestAPI.run(log: log, { [Family(master: $0)] }) { try await body($0, memory) }
    }

    private static func id(_ answer: APIAnswer) throws -> String {
        try #require(HTTPField.Name(self.idName).flatMap { answer.headers[$0] })
    }

    @Test("a request gets a line with its id, path, status and length, and never with its query")
    func line() async throws {
        try await Self.run(isComplete: true) { api, memory in
            let answer = try await api.send("GET /one/works?key=secret")
            let id = try Self.id(answer)
            let line = try #require(memory.entries.first)
            #expect(memory.entries.count == 1 && line.level == .info)
            let expected = ["request": id, "method": "GET", "path": "/one/works", "status": "200", "bytes": "4"]
            for (name, value) in expected { #expect(line.metadata[name] == "\(value)", "\(name)") }
            #expect(line.metadata["ms"] != nil)
            #expect(!"\(line.metadata)".contains("secret"))
        }
    }

    @Test("so does one that is refused")
    func refused() async throws {
        try await Self.run(isComplete: true) { api, memory in
            for (line, status) in [("GET /one/nothing", 404), ("POST /one/works", 405), ("GET /other", 404)] {
                let answer = try await api.send(line)
                #expect(answer.status.code == status)
                #expect(memory.entries.last?.metadata["status"] == "\(status)")
                #expect(memory.entries.last?.metadata["request"] == "\(try Self.id(answer))")
            }
        }
    }

    @Test("without the access log only what fails here is logged, under the id that its caller was given")
    func failure() async throws {
        try await Self.run(isComplete: false) { api, memory in
            _ = try await api.send("GET /one/works")
            _ = try await api.send("GET /one/nothing")
            #expect(memory.entries.isEmpty)
            let answer = try await api.send("GET /one/fails")
            #expect(answer.status == .internalServerError)
            let id = try Self.id(answer)
            let reason = try #require(try answer.json["error"] as? [String: Any])
            #expect(reason["code"] as? String == "internal")
            let message = try #require(reason["message"] as? String)
            #expect(message.contains(id) && !message.contains("cheese"))
            let line = try #require(memory.entries.first)
            #expect(line.level == .error && line.metadata["request"] == "\(id)")
            #expect("\(line.metadata["reason"] ?? "")".contains("cheese"))
        }
    }

    @Test("what the store says of a failure stands in the log under the request's id, and not in the answer")
    func storeFailure() async throws {
        try await Self.run(isComplete: false) { api, memory in
            let answer = try await api.send("GET /one/stored")
            #expect(answer.status == .serviceUnavailable)
            let reason = try #require(try answer.json["error"] as? [String: Any])
            #expect(reason["message"] as? String == "the store failed")
            let line = try #require(memory.entries.first)
            let id = try Self.id(answer)
            #expect(line.level == .error && line.metadata["request"] == "\(id)")
            #expect("\(line.metadata["reason"] ?? "")".contains("disk I/O error"))
        }
    }

    @Test(
        "a caller's own id is taken over if it is one short word of ASCII",
        arguments: [
            ("order-17.a_B", true), (String(repeating: "x", count: 64), true),
            (String(repeating: "x", count: 65), false),
            ("two words", false), ("", false), ("line\tend", false), ("é", false), ("a\"b", false),
        ]
    )
    func ownID(own: String, isTaken: Bool) async throws {
        try await Self.run(isComplete: true) { api, memory in
            let answer = try await api.send("GET /one/works", [(Self.idName, own)])
            let id = try Self.id(answer)
            #expect((id == own) == isTaken)
            #expect(memory.entries.last?.metadata["request"] == "\(id)")
        }
    }

    @Test("two requests have different ids")
    func different() async throws {
        try await Self.run(isComplete: false) { api, _ in
            let first = try Self.id(try await api.send("GET /one/works"))
            let second = try Self.id(try await api.send("GET /one/works"))
            #expect(first != second)
        }
    }
}
