// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Hummingbird
import Logging
import MailingModel
import MasterCore
import NIOCore
import RecordFormat

/// The feed from a cursor to the head as the request finds it, a page at a time.
struct ReportExport: Sendable {
    /// How the reports are written.
    enum Format: Sendable {
        /// One object a line, and a last line with the next cursor.
        case ndjson
        /// A header and one record each.
        case csv(CSVWriter)

        /// - Throws: ``APIRefusal`` if the format has no such name.
        init(_ name: String, escapesFormulas: Bool) throws {
            switch name {
            case "ndjson": self = .ndjson
            case "csv": self = .csv(CSVWriter(escapesFormulas: escapesFormulas))
            default: throw APIRefusal(.badRequest, "bad_format", "`format` is `ndjson` or `csv`")
            }
        }

        fileprivate var contentType: String {
            switch self {
            case .ndjson: "application/x-ndjson"
            case .csv: "text/csv; charset=utf-8; header=present"
            }
        }
    }

    private static let page = 1_000
    private static let nextCursor = HTTPField.Name("Next-Cursor")

    let caller: Caller
    let filter: RecipientFilter
    let format: Format
    let logger: Logger

    /// The answer; its head names the cursor to go on from.
    ///
    /// - Parameters:
    ///   - cursor: Where to begin; `nil` and empty are the beginning.
    ///   - limit: Reports at most, in one page; `nil` for all up to the head.
    /// - Returns: The answer, its first page read.
    /// - Throws: ``MasterError`` for a bad cursor.
    func response(after cursor: String?, limit: Int?) async throws -> Response {
        let head = try await self.operations.newest()
        let first = try await self.operations.feed(after: cursor, filter: self.filter, limit: limit ?? Self.page)
        let next = limit == nil ? head.cursor : first.cursor
        var headers: HTTPFields = [.contentType: self.format.contentType]
        if let name = Self.nextCursor { headers[name] = next }
        return Response(
            status: .ok,
            headers: headers,
            body: self.caller.body(logging: self.logger) { writer in
                var page = first
                var count = 0
                if let header = self.header { try await writer.write(ByteBuffer(bytes: header)) }
                while !page.entries.isEmpty {
                    // An answer that is cut cannot be taken for a whole one.
                    guard self.caller.mayGoOn else { throw Caller.revoked }
                    let entries =
                        limit == nil ? page.entries.prefix { $0.position <= head.position } : page.entries[...]
                    count += entries.count
                    if !entries.isEmpty { try await writer.write(ByteBuffer(bytes: self.text(of: entries))) }
                    guard limit == nil, entries.count == page.entries.count else { break }
                    page = try await self.operations.feed(after: page.cursor, filter: self.filter, limit: Self.page)
                }
                if case .ndjson = self.format {
                    let end: JSONValue = .object([
                        .init("cursor", .string(next)), .init("reports", .integer(Int64(count))),
                    ])
                    try await writer.write(ByteBuffer(bytes: end.line))
                }
                try await writer.finish(nil)
            }
        )
    }

    private var operations: AccountOperations { self.caller.operations }

    private var header: [UInt8]? {
        guard case .csv(let csv) = self.format else { return nil }
        var text: [UInt8] = []
        csv.write(ReportRecord.columns, to: &text)
        return text
    }

    private func text(of entries: ArraySlice<FeedEntry>) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(entries.count * 400)
        for entry in entries {
            let record = ReportRecord(entry.report)
            switch self.format {
            case .ndjson:
                record.json.write(to: &text)
                text.append(0x0A)
            case .csv(let csv): csv.write(record.fields, to: &text)
            }
        }
        return text
    }
}
