// SPDX-License-Identifier: Apache-2.0

import APIServing
import Hummingbird
import Logging
import MailingModel
import MasterCore
import NIOCore
import RecordFormat
import ServiceLifecycle

/// The feed as server-sent events (WHATWG HTML, "Server-sent events"), for as long as its reader stays and
/// its reader's key is in force.
///
/// Every event's id is the cursor after it, so that a reader that comes back goes on where it was.
struct ReportStream: Sendable {
    private static let page = 1_000
    /// The longest silence on the stream, so that both ends notice a dead connection.
    private static let heartbeat = Duration.seconds(15)

    let caller: Caller
    let filter: RecipientFilter
    let logger: Logger

    private var operations: AccountOperations { self.caller.operations }

    /// The answer; it ends when the reader leaves, its key is revoked, or the master stops.
    ///
    /// - Parameter cursor: Where to begin; `nil` and empty are the beginning, `newest` is the head.
    /// - Returns: The answer, its first page read.
    /// - Throws: ``MasterError`` for a bad cursor.
    func response(after cursor: String?) async throws -> Response {
        let cursor = cursor == "newest" ? try await self.operations.newest().cursor : cursor
        let seen = self.operations.feedVersion
        let first = try await self.operations.feed(after: cursor, filter: self.filter, limit: Self.page)
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
            body: self.caller.body(logging: self.logger) { writer in
                try await writer.write(ByteBuffer(string: "retry: 2000\n\n"))
                var (page, seen, sentCursor) = (first, seen, cursor ?? "")
                // A revocation counts as a change of the feed, so that those who wait for events see it at once.
                while self.caller.mayGoOn {
                    let text = self.text(of: page, cursor: &sentCursor)
                    if !text.isEmpty { try await writer.write(ByteBuffer(bytes: text)) }
                    if page.entries.isEmpty {
                        let waited = try await self.waitForEvents(past: seen)
                        guard self.caller.mayGoOn else { break }
                        if !waited { try await writer.write(ByteBuffer(string: ": nothing new\n\n")) }
                    }
                    // Looked at before the feed is read, so that what comes in between is not slept through.
                    seen = self.operations.feedVersion
                    page = try await self.operations.feed(after: page.cursor, filter: self.filter, limit: Self.page)
                }
                try await writer.write(ByteBuffer(string: ": the API key was revoked\n\n"))
                try await writer.finish(nil)
            }
        )
    }

    /// Waits for events for at most ``heartbeat``; returns whether there may be any.
    private func waitForEvents(past seen: FeedVersion) async throws -> Bool {
        try await cancelWhenGracefulShutdown {
            let isNew = await self.operations.waitForEvents(past: seen, atMost: Self.heartbeat)
            try Task.checkCancellation()
            return isNew
        }
    }

    private func text(of page: FeedAnswer, cursor sentCursor: inout String) -> [UInt8] {
        var text: [UInt8] = []
        for entry in page.entries {
            sentCursor = self.operations.cursor(of: entry)
            text += Array("id: \(sentCursor)\nevent: report\ndata: ".utf8)
            ReportRecord(entry.report).json.write(to: &text)
            text += [0x0A, 0x0A]
        }
        // An id without data moves the reader's position past events that it did not ask for.
        if page.cursor != sentCursor {
            sentCursor = page.cursor
            text += Array("id: \(sentCursor)\n\n".utf8)
        }
        return text
    }
}
