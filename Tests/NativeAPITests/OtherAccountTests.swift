// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Hummingbird
import Logging
import MailingModel
import MasterCore
import NIOCore
import TestAPI
import Testing

@testable import NativeAPI

@Suite("What belongs to another account does not exist under /api")
struct OtherAccountTests {
    /// Who asks for the first tenant's things: itself, another account, or the root account.
    private static let askers = ["first", "other", "root"]

    @Test("every route, by the table that serves them", arguments: NativeFamily.routes.map(\.name), Self.askers)
    func routes(name: String, asker: String) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await TestAPI.run({ [NativeFamily(master: $0, transport: .network, logger: logger)] }) { api in
            let first = try await api.makeTenant(AccountID(rawValue: 1), "first")
            let other = try await api.makeTenant(AccountID(rawValue: 2), "other")
            let key = asker == "root" ? api.bearer : asker == "first" ? first.bearer : other.bearer
            let isOwn = asker == "first"
            let before = try await first.state()
            #expect(before.contains("late@first.example") && !before.contains("other"))
            switch name {
            case "POST /api/mailings/ID/recipients":
                let answer = try await api.send(
                    "POST /api/mailings/\(first.mailing)/recipients",
                    authorization: key,
                    [("Content-Type", "text/csv")],
                    body: "email\na@example.org\n"
                )
                #expect(answer.status == (isOwn ? .ok : .notFound))
                #expect(try isOwn || answer.json["code"] as? String == "unknown_mailing")
            case "GET /api/reports":
                let all = try await api.send("GET /api/reports", authorization: key)
                #expect(all.status == .ok && all.text.contains("late@first.example") == isOwn)
                let named = try await api.send("GET /api/reports?mailing=\(first.ended)", authorization: key)
                #expect(named.status == .ok && named.text.contains("late@first.example") == isOwn)
            case "GET /api/events":
                let events = try await api.send("GET /api/events", authorization: key)
                #expect(events.status == .ok && events.text.contains("late@first.example") == isOwn)
            case "GET /api/reports/stream":
                let text = try await Self.streamed(api, asker == "root" ? .root : AccountID(rawValue: isOwn ? 1 : 2))
                #expect(text.contains("late@first.example") == isOwn)
            default: Issue.record("\(name) is served and not checked")
            }
            let after = try await first.state()
            #expect(isOwn || after == before)
        }
    }

    /// What a stream sends; its key is revoked as soon as it has sent where its reader is in the feed.
    private static func streamed(_ api: TestAPI, _ account: AccountID) async throws -> String {
        let key = try await api.master.operator.createKey(name: "stream", account: account).record
        var filter = RecipientFilter()
        filter.states = RecipientState.allCases
        let stream = ReportStream(
            caller: Caller(master: api.master, key: key),
            filter: filter,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let text = StreamText()
        let writer = RevokingWriter(text: text) { try await api.master.operator.revokeKey(key.publicID) }
        try await stream.response(after: nil).body.write(writer)
        return await text.text
    }
}

/// What a stream has sent.
private actor StreamText {
    private(set) var text = ""

    /// Adds some; returns whether it is the first that holds an id.
    func append(_ some: String) -> Bool {
        let isFirst = !self.text.contains("id: ")
        self.text += some
        return isFirst && self.text.contains("id: ")
    }
}

/// Takes a stream, and ends it once it has sent an id.
private struct RevokingWriter: ResponseBodyWriter {
    let text: StreamText
    let revoke: @Sendable () async throws -> Void

    mutating func write(_ buffer: ByteBuffer) async throws {
        if await self.text.append(String(buffer: buffer)) { try await self.revoke() }
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
