// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Logging
import MailingModel
import MasterCore
import MasterStore
import NIOCore
import RecordFormat

/// Recipients in and reports out, in bulk, under `/api`: whatever the size of a body, it is read and written in pieces.
struct BulkAPI: Sendable {
    private let master: Master
    private let transport: APITransport
    private let logger: Logger

    init(master: Master, transport: APITransport, logger: Logger) {
        self.master = master
        self.transport = transport
        self.logger = logger
    }

    func respond(to request: Request, path: [String], on channel: any Channel) async throws -> Response {
        do {
            let key = try self.authenticate(request)
            try APIRoute.check(request.method, ["api"] + path)
            let caller = Caller(master: self.master, key: key, channel: channel)
            switch (request.method, path.count, path.first, path.last) {
            case (.post, 3, "mailings", "recipients"):
                return try await self.addRecipients(request, mailing: path[1], for: caller)
            case (.get, 1, "reports", _): return try await self.reports(request, for: caller)
            case (.get, 2, "reports", "stream"): return try await self.stream(request, for: caller)
            case (_, 3, "mailings", "recipients"), (_, 1, "reports", _), (_, 2, "reports", "stream"):
                throw ControlRefusal.methodNotAllowed
            default: throw ControlRefusal(.notFound, "not_found", "nothing is served at this path")
            }
        } catch let refusal as ControlRefusal {
            return Self.refused(refusal)
        } catch let error as MasterError {
            return Self.refused(ControlRefusal(error))
        }
    }

    /// The public id of the caller's key; `nil` for the operator's socket.
    private func authenticate(_ request: Request) throws -> String? {
        if case .controlSocket = self.transport { return nil }
        if let credentials = BasicCredentials(request.headers), credentials.user == "admin",
            let key = self.master.authenticate(secret: credentials.password)
        {
            return key.publicID
        }
        if let secret = Self.bearerToken(request.headers), let key = self.master.authenticate(secret: secret) {
            return key.publicID
        }
        throw ControlRefusal(.unauthorized, "unauthorized", "the API key is wrong or missing")
    }

    /// The token of `Authorization: Bearer`, RFC 6750 §2.1.
    private static func bearerToken(_ fields: HTTPFields) -> String? {
        guard let field = fields[.authorization] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1].drop { $0 == " " })
    }

    // MARK: Recipients

    private func addRecipients(
        _ request: Request,
        mailing: String,
        for caller: Caller
    ) async throws -> Response {
        guard let number = Int32(mailing) else {
            throw ControlRefusal(.notFound, "unknown_mailing", "a mailing id is a number")
        }
        let id = MailingID(rawValue: number)
        let format = try RecipientFormat(request.headers[.contentType])
        let key = try Self.idempotencyKey(request)
        // What can be refused before the body is read keeps its status however the answer is written.
        try await self.master.checkTakesRecipients(id)
        let work = RecipientImport(
            master: self.master,
            mailing: id,
            key: key,
            format: format,
            skipsDuplicates: try Self.truth(request, "skip_duplicates"),
            mayGoOn: { caller.mayGoOn }
        )
        let length = request.headers[.contentLength].flatMap { Int($0) }
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
                    if let failure = summary.failure {
                        logger.notice(
                            "an import ended before its end",
                            metadata: ["mailing": "\(id)", "line": "\(summary.lines)", "error": "\(failure.message)"]
                        )
                    }
                    try await writer.write(ByteBuffer(bytes: summary.json(of: id, withErrors: false).line))
                    try await writer.finish(nil)
                }
            )
        }
        let answer = caller.begin()
        defer { answer.end() }
        let summary = await work.run(request.body, length: length) { _ in }
        return Self.json(summary.failure?.status ?? .ok, summary.json(of: id))
    }

    /// The value of a boolean query parameter; `false` if it is absent.
    private static func truth(_ request: Request, _ name: String) throws -> Bool {
        switch request.uri.queryParameters.get(name) {
        case nil, "false": return false
        case "true": return true
        default: throw ControlRefusal(.badRequest, "bad_parameter", "`\(name)` is `true` or `false`")
        }
    }

    private static let idempotencyKeyName = HTTPField.Name("Idempotency-Key")

    private static func idempotencyKey(_ request: Request) throws -> String? {
        guard let name = self.idempotencyKeyName, let key = request.headers[name] else { return nil }
        guard (1...200).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ControlRefusal(.badRequest, "bad_key", "an Idempotency-Key has 1 to 200 visible ASCII characters")
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
                throw ControlRefusal(.badRequest, "bad_limit", "`limit` is a number, 1 or more")
            }
            limit = number
        }
        let export = ReportExport(caller: caller, filter: filter, format: format)
        return try await export.response(after: query.get("cursor"), limit: limit)
    }

    private func stream(_ request: Request, for caller: Caller) async throws -> Response {
        let query = request.uri.queryParameters
        let filter = try Self.filter(query)
        let resumed = HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] }
        return try await ReportStream(caller: caller, filter: filter)
            .response(after: resumed ?? query.get("cursor"))
    }

    /// The recipients whose events are asked for: every state but READY unless `status` says otherwise.
    private static func filter(_ query: Parameters) throws -> RecipientFilter {
        var filter = RecipientFilter()
        let mailings = query.getAll("mailing")
        if !mailings.isEmpty {
            filter.mailings = try mailings.map { text in
                guard let number = Int32(text) else {
                    throw ControlRefusal(.badRequest, "bad_mailing", "`mailing` is the number of a mailing")
                }
                return MailingID(rawValue: number)
            }
        }
        let names = query.getAll("status")
        filter.states =
            try names.isEmpty
            ? RecipientState.allCases.filter { $0 != .waiting }
            : names.flatMap { name in
                // API callers say FINISHED, operators say delivered.
                let own = RecipientState.allCases.first { "\($0)" == name }
                guard let states = CloudMailingMapping.recipientStates(name) ?? own.map({ [$0] }) else {
                    throw ControlRefusal(.badRequest, "bad_status", "`\(name)` is not a status of a recipient")
                }
                return states
            }
        return filter
    }

    // MARK: Answers

    private static func refused(_ refusal: ControlRefusal) -> Response {
        var response = self.json(refusal.status, refusal.json)
        if refusal.status == .unauthorized {
            response.headers[.wwwAuthenticate] = "Basic realm=\"Telstar\", Bearer realm=\"Telstar\""
        }
        return response
    }

    private static func json(_ status: HTTPResponse.Status, _ value: JSONValue) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: value.line))
        )
    }
}

extension ControlRefusal {
    /// `{"error": {"code": …, "message": …}}`.
    var json: JSONValue { .object([.init("error", self.reason)]) }

    /// The value of the `error` member.
    var reason: JSONValue {
        .object([.init("code", .string(self.code)), .init("message", .string(self.message))])
    }
}
