// SPDX-License-Identifier: Apache-2.0

package import APIServing
import HTTPTypes
package import Hummingbird
package import Logging
import MailingModel
package import MasterCore
import NIOCore
import RecordFormat

/// Recipients in and reports out, in bulk, under `/api`: whatever the size of a body, it is read and written in pieces.
package struct NativeFamily: APIFamily {
    package static let roots = ["/api"]
    package static let routes: [APIRoute<NativeFamily>] = [
        APIRoute(.post, "/api/mailings/{id}/recipients") { family, request, context in
            let mailing = context.parameters.get("id") ?? ""
            return try await family.addRecipients(request, mailing: mailing, for: try context.authenticated())
        },
        APIRoute(.get, "/api/reports") { family, request, context in
            try await family.reports(request, for: try context.authenticated())
        },
        APIRoute(.get, "/api/events") { family, request, context in
            try await family.events(request, for: try context.authenticated())
        },
        APIRoute(.get, "/api/reports/stream") { family, request, context in
            try await family.stream(request, for: try context.authenticated())
        },
    ]

    private let master: Master
    private let transport: APITransport
    private let logger: Logger

    /// Composes the API; it answers when its routes are served.
    ///
    /// - Parameters:
    ///   - master: Answers the calls.
    ///   - transport: How its requests come in.
    ///   - logger: Logs imports that end early.
    package init(master: Master, transport: APITransport, logger: Logger) {
        self.master = master
        self.transport = transport
        self.logger = logger
    }

    package func authenticate(_ request: Request) throws -> Caller? {
        guard self.transport == .network else { return Caller(master: self.master, key: nil) }
        let key = Credentials(request.headers)?.key(of: self.master, user: "admin", allowsBearer: true)
        guard let key else { throw APIRefusal.unauthorized }
        return Caller(master: self.master, key: key)
    }

    package func failure(request id: String) -> Response { APIRefusal.failure(request: id).problem() }

    package func response(to error: any Error, of request: Request) -> Response? {
        APIRefusal(thrown: error)?.problem()
    }

    // MARK: Recipients

    private func addRecipients(
        _ request: Request,
        mailing: String,
        for caller: Caller
    ) async throws -> Response {
        guard let number = Int32(mailing) else {
            throw APIRefusal(.notFound, "unknown_mailing", "a mailing id is a number")
        }
        let id = MailingID(rawValue: number)
        let format = try RecipientFormat(request.headers[.contentType])
        let key = try Self.idempotencyKey(request)
        // What can be refused before the body is read keeps its status however the answer is written.
        try await caller.operations.checkTakesRecipients(id)
        let work = RecipientImport(
            operations: caller.operations,
            mailing: id,
            key: key,
            format: format,
            skipsDuplicates: try Self.truth(request, "skip_duplicates"),
            mayGoOn: { caller.mayGoOn }
        )
        let length = request.declaredLength
        if Self.accepts(request, "application/x-ndjson") {
            let logger = self.logger
            return Response(
                status: .ok,
                headers: [.contentType: "application/x-ndjson"],
                body: .init { writer in
                    var lines = ImportLines()
                    let answer = caller.begin()
                    defer { answer.end() }
                    let summary = await work.run(request.body, length: length) { progress in
                        let text = lines.text(of: progress)
                        if !text.isEmpty { try await writer.write(ByteBuffer(bytes: text)) }
                    }
                    summary.log(of: id, logger)
                    try await writer.write(ByteBuffer(bytes: summary.json(of: id, withErrors: false).line))
                    try await writer.finish(nil)
                }
            )
        }
        let answer = caller.begin()
        defer { answer.end() }
        let summary = await work.run(request.body, length: length) { _ in }
        summary.log(of: id, self.logger)
        guard let failure = summary.failure else { return Self.json(summary.json(of: id)) }
        return failure.problem(with: summary.problemMembers(of: id))
    }

    /// The value of a boolean query parameter; `false` if it is absent.
    private static func truth(_ request: Request, _ name: String) throws -> Bool {
        switch request.uri.queryParameters.get(name) {
        case nil, "false": return false
        case "true": return true
        default: throw APIRefusal(.badRequest, "bad_parameter", "`\(name)` is `true` or `false`")
        }
    }

    private static let idempotencyKeyName = HTTPField.Name("Idempotency-Key")

    private static func idempotencyKey(_ request: Request) throws -> String? {
        guard let name = self.idempotencyKeyName, let key = request.headers[name] else { return nil }
        guard (1...200).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw APIRefusal(.badRequest, "bad_key", "an Idempotency-Key has 1 to 200 visible ASCII characters")
        }
        return key
    }

    static func accepts(_ request: Request, _ type: String) -> Bool {
        (request.headers[.accept] ?? "").lowercased().split(separator: ",").contains {
            $0.split(separator: ";").first?.trimmingPrefix(while: { $0 == " " }) == type[...]
        }
    }

    // MARK: Reports

    private func reports(_ request: Request, for caller: Caller) async throws -> Response {
        let query = request.uri.queryParameters
        let filter = try Self.filter(query)
        let format = try ReportExport.Format(
            query.get("format") ?? "ndjson",
            escapesFormulas: query.get("escape_formulas") != "false"
        )
        var limit: Int?
        if let text = query.get("limit") {
            guard let number = Int(text), number > 0 else {
                throw APIRefusal(.badRequest, "bad_limit", "`limit` is a number, 1 or more")
            }
            limit = number
        }
        let export = ReportExport(caller: caller, filter: filter, format: format, logger: self.logger)
        return try await export.response(after: query.get("cursor"), limit: limit)
    }

    private func stream(_ request: Request, for caller: Caller) async throws -> Response {
        let query = request.uri.queryParameters
        let filter = try Self.filter(query)
        let resumed = HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] }
        return try await ReportStream(caller: caller, filter: filter, logger: self.logger)
            .response(after: resumed ?? query.get("cursor"))
    }

    // MARK: Events

    private static let eventPage = (standard: 100, largest: 1_000)

    private func events(_ request: Request, for caller: Caller) async throws -> Response {
        let query = request.uri.queryParameters
        let kinds = try EventKind.list(query.get("kinds"))
        let limit = try Self.limit(query, standard: Self.eventPage.standard, largest: Self.eventPage.largest)
        var filter = RecipientFilter()
        let states = EventKind.states(of: kinds)
        filter.states = states
        var page = try await caller.operations.feed(
            after: query.get("cursor"),
            // Of kinds that do not happen there is nothing to look for, but the cursor has to be a good one.
            filter: states.isEmpty ? RecipientFilter() : filter,
            limit: states.isEmpty ? 1 : limit
        )
        if states.isEmpty { page = FeedAnswer(entries: [], cursor: try await caller.operations.newest().cursor) }
        return Self.json(
            .object([
                .init("items", .array(page.entries.map { EventRecord($0).json })),
                .init("cursor", .string(page.cursor)),
            ])
        )
    }

    /// The parameter `limit` of a list.
    private static func limit(_ query: Parameters, standard: Int, largest: Int) throws -> Int {
        guard let text = query.get("limit") else { return standard }
        guard let number = Int(text), (1...largest).contains(number) else {
            throw APIRefusal(.badRequest, "bad_limit", "`limit` is a number from 1 to \(largest)")
        }
        return number
    }

    /// The recipients whose events are asked for: every state but READY unless `status` says otherwise.
    private static func filter(_ query: Parameters) throws -> RecipientFilter {
        var filter = RecipientFilter()
        let mailings = query.getAll("mailing")
        if !mailings.isEmpty {
            filter.mailings = try mailings.map { text in
                guard let number = Int32(text) else {
                    throw APIRefusal(.badRequest, "bad_mailing", "`mailing` is the number of a mailing")
                }
                return MailingID(rawValue: number)
            }
        }
        let names = query.getAll("status")
        filter.states =
            try names.isEmpty
            ? RecipientState.allCases.filter { $0 != .waiting }
            : names.flatMap { name in
                let states = ReportRecord.states(named: name)
                // A status that the original had, and that nothing here ever has.
                guard !states.isEmpty || name == "IN PROGRESS" else {
                    throw APIRefusal(.badRequest, "bad_status", "`\(name)` is not a status of a recipient")
                }
                return states
            }
        return filter
    }

    // MARK: Answers

    private static func json(_ value: JSONValue) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: value.line))
        )
    }
}
