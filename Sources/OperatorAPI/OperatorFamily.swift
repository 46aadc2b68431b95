// SPDX-License-Identifier: Apache-2.0

package import APIServing
import Foundation
import HTTPTypes
package import Hummingbird
import MailingModel
package import MasterCore
import NIOCore

/// The operators' own API under `/telstar/v1`: JSON in and out, for the command line and for scripts.
package struct OperatorFamily: APIFamily {
    package static let roots = ["/telstar/v1"]
    package static let routes: [APIRoute<OperatorFamily>] =
        [
            APIRoute(.get, "/telstar/v1/status") { family, _, _ in
                Self.json(try StatusDocument.encode(try await family.master.status()))
            },
            APIRoute(.get, "/telstar/v1/feed") { family, request, _ in try await family.feed(request) },
            APIRoute(.post, "/telstar/v1/backup") { try await $0.backup($1, $2) },
            APIRoute(.post, "/telstar/v1/confirm-store") { family, _, _ in
                try await family.master.operator.confirmStore()
                return try Self.json(["confirmed": true])
            },
        ] + Self.keyRoutes + Self.accountRoutes + Self.satelliteRoutes + Self.mailingRoutes

    let master: Master
    private let transport: APITransport
    private let maximumBodyBytes: Int

    /// Composes the API; it answers when its routes are served.
    ///
    /// - Parameters:
    ///   - master: Answers the calls.
    ///   - transport: How its requests come in.
    ///   - maximumBodyBytes: The greatest body of a request.
    package init(master: Master, transport: APITransport, maximumBodyBytes: Int) {
        self.master = master
        self.transport = transport
        self.maximumBodyBytes = maximumBodyBytes
    }

    /// The mailings of every account.
    private var mailings: AccountOperations { self.master.operator.everyAccount }

    package func authenticate(_ request: Request) throws -> Caller? {
        guard self.transport == .network else { return Caller(master: self.master, key: nil) }
        // To a key of another account this API does not exist, no more than to a wrong one.
        guard let key = Credentials(request.headers)?.key(of: self.master, user: nil) else {
            throw APIRefusal.unauthorized
        }
        let caller = Caller(master: self.master, key: key)
        guard caller.isOperator else { throw APIRefusal.unauthorized }
        return caller
    }

    package func failure(request id: String) -> Response { APIRefusal.failure(request: id).response }

    package func response(to error: any Error, of request: Request) -> Response? {
        // Who may open the socket may read the log as well.
        if self.transport == .controlSocket, let error = error as? MasterError {
            return APIRefusal(error, message: "\(error)").response
        }
        return APIRefusal(thrown: error)?.response
    }

    func body<Body: Decodable>(_ request: Request, _ context: APIContext, as: Body.Type) async throws -> Body {
        let tooLarge = APIRefusal(
            .contentTooLarge,
            "too_large",
            "the body has more than \(self.maximumBodyBytes) bytes"
        )
        // Before the first byte, so that a client that waits for 100 Continue does not send it.
        if let length = request.declaredLength, length > self.maximumBodyBytes {
            throw tooLarge
        }
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: self.maximumBodyBytes)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
        // The key may have been revoked while the body came.
        guard try context.authenticated().mayGoOn else { throw APIRefusal.unauthorized }
        do {
            return try JSONDecoder().decode(Body.self, from: Data(buffer.readableBytesView))
        } catch let refusal as APIRefusal {
            throw refusal
        } catch {
            throw APIRefusal(.badRequest, "bad_body", "the body cannot be read: \(APIRefusal.reason(error))")
        }
    }

    static func json(_ value: some Encodable) throws -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Self.json(try encoder.encode(value))
    }

    private static func json(_ data: Data) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: data + [0x0A]))
        )
    }
}

// MARK: - Mailings and the feed

extension OperatorFamily {
    private static let mailingRoutes: [APIRoute<OperatorFamily>] = [
        APIRoute(.get, "/telstar/v1/mailings") { family, _, _ in
            try Self.json(MailingsView(mailings: try await family.mailings.mailings().map { MailingView($0) }))
        },
        APIRoute(.post, "/telstar/v1/mailings") { try await $0.createMailing($1, $2) },
        APIRoute(.get, "/telstar/v1/mailings/{id}") { family, _, context in
            try Self.json(MailingView(try await family.mailings.mailing(try Self.mailing(context))))
        },
        APIRoute(.patch, "/telstar/v1/mailings/{id}") { family, request, context in
            let id = try Self.mailing(context)
            let change = try await family.body(request, context, as: MailingBody.self).change
            let changed = try await family.mailings.setProperties(of: id, to: change)
            return try Self.json(MailingView(changed.mailing, warnings: changed.warnings))
        },
        APIRoute(.delete, "/telstar/v1/mailings/{id}") { family, _, context in
            let id = try Self.mailing(context)
            try await family.mailings.deleteMailing(id)
            return try Self.json(["deleted": id.rawValue])
        },
        APIRoute(.post, "/telstar/v1/mailings/{id}/start") { family, _, context in
            let id = try Self.mailing(context)
            _ = try await family.mailings.startMailing(id)
            let started = try await family.mailings.mailing(id)
            return try Self.json(MailingView(started, warnings: started.startWarnings))
        },
        APIRoute(.post, "/telstar/v1/mailings/{id}/pause") { family, _, context in
            let id = try Self.mailing(context)
            _ = try await family.mailings.pauseMailing(id)
            return try Self.json(MailingView(try await family.mailings.mailing(id)))
        },
        APIRoute(.post, "/telstar/v1/mailings/{id}/close") { family, _, context in
            try Self.json(MailingView(try await family.mailings.closeMailing(try Self.mailing(context))))
        },
        APIRoute(.post, "/telstar/v1/mailings/{id}/resolve") { family, request, context in
            let id = try Self.mailing(context)
            let wanted = try await family.body(request, context, as: [String: String].self)
            guard let resolution = wanted["as"].flatMap(UncertainResolution.init) else {
                throw APIRefusal(.badRequest, "bad_body", "`as` is one of delivered, failed, resend")
            }
            return try Self.json(["changed": try await family.mailings.resolveUncertain(id, as: resolution)])
        },
        APIRoute(.post, "/telstar/v1/mailings/{id}/recipients") { try await $0.addRecipients($1, $2, test: false) },
        APIRoute(.post, "/telstar/v1/mailings/{id}/test") { try await $0.addRecipients($1, $2, test: true) },
    ]

    private static func mailing(_ context: APIContext) throws -> MailingID {
        guard let number = context.parameters.get("id").flatMap({ Int32($0) }) else {
            throw APIRefusal(.notFound, "not_found", "a mailing id is a number")
        }
        return MailingID(rawValue: number)
    }

    private func createMailing(_ request: Request, _ context: APIContext) async throws -> Response {
        let draft = try await self.body(request, context, as: MailingDraftBody.self)
        let mailing = try await self.mailings.createMailing(draft.draft)
        guard draft.change != MailingChange() else { return try Self.json(MailingView(mailing)) }
        do {
            let changed = try await self.mailings.setProperties(of: mailing.id, to: draft.change)
            return try Self.json(MailingView(changed.mailing, warnings: changed.warnings))
        } catch {
            // A mailing that lacks what was asked of it would only surprise its maker.
            try await self.mailings.deleteMailing(mailing.id)
            throw error
        }
    }

    private func addRecipients(_ request: Request, _ context: APIContext, test: Bool) async throws -> Response {
        let id = try Self.mailing(context)
        let batch = try await self.body(request, context, as: [RecipientBody].self)
        let results = try await self.mailings.addRecipients(batch.map(\.submission), to: id, test: test)
        return try Self.json(
            RecipientAnswers(recipients: zip(batch, results).map { RecipientAnswer($0.email, $1) })
        )
    }

    private func feed(_ request: Request) async throws -> Response {
        var filter = RecipientFilter()
        let query = request.uri.queryParameters
        let mailings = query.getAll("mailing", as: Int32.self)
        if !mailings.isEmpty { filter.mailings = mailings.map { MailingID(rawValue: $0) } }
        let names = query.getAll("status")
        if !names.isEmpty {
            filter.states = try names.map { name in
                guard let state = RecipientState.allCases.first(where: { "\($0)" == name }) else {
                    throw APIRefusal(.badRequest, "bad_status", "`\(name)` is not a state of a recipient")
                }
                return state
            }
        }
        let page = try await self.mailings.feed(
            after: query.get("cursor"),
            filter: filter,
            limit: query.get("limit", as: Int.self) ?? 1000
        )
        return try Self.json(FeedView(cursor: page.cursor, reports: page.entries.map { ReportView($0.report) }))
    }

    private func backup(_ request: Request, _ context: APIContext) async throws -> Response {
        let wanted = try await self.body(request, context, as: [String: String].self)
        guard let path = wanted["path"], path.hasPrefix("/") else {
            throw APIRefusal(.badRequest, "bad_body", "`path` has to be an absolute path")
        }
        guard self.transport == .controlSocket else {
            throw APIRefusal(.forbidden, "forbidden", "a backup is asked for over the control socket only")
        }
        // The store's own messages for these would name neither the file nor the directory.
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory), isDirectory.boolValue else {
            throw APIRefusal(
                .badRequest,
                "bad_path",
                "the copy \(path) cannot be made: there is no directory \(directory)"
            )
        }
        guard !FileManager.default.fileExists(atPath: path) else {
            throw APIRefusal(
                .conflict,
                "file_exists",
                "the copy \(path) cannot be made: a file of that name is there"
            )
        }
        do {
            try await self.master.operator.backup(to: path)
        } catch let error as MasterError {
            throw MasterError(error.code, "the copy \(path) cannot be made: \(error.message)", cause: error.cause)
        }
        return try Self.json(["path": path])
    }
}

// MARK: - Keys and satellites

extension OperatorFamily {
    private static let keyRoutes: [APIRoute<OperatorFamily>] = [
        APIRoute(.get, "/telstar/v1/keys") { family, _, _ in
            let (keys, accounts) = (
                try await family.master.operator.apiKeys(), try await family.master.operator.accounts()
            )
            return try Self.json(KeysView(keys, of: accounts))
        },
        APIRoute(.post, "/telstar/v1/keys") { family, request, context in
            struct Body: Decodable {
                var name: String
                var autoescape: Bool?
            }
            let wanted = try await family.body(request, context, as: Body.self)
            let created = try await family.master.operator.createKey(
                name: wanted.name,
                account: .root,
                autoescape: wanted.autoescape
            )
            return try Self.json(KeyView(created.record, secret: created.secret))
        },
        APIRoute(.delete, "/telstar/v1/keys/{id}") { family, _, context in
            let id = context.parameters.get("id") ?? ""
            try await family.master.operator.revokeKey(id)
            return try Self.json(["revoked": id])
        },
    ]

    private static let satelliteRoutes: [APIRoute<OperatorFamily>] = [
        APIRoute(.get, "/telstar/v1/satellites") { family, _, _ in
            let connected = try await family.connected()
            return try Self.json(
                SatellitesView(
                    satellites: try await family.master.operator.satellites().map {
                        SatelliteView($0, connected: connected.contains($0.id.rawValue))
                    }
                )
            )
        },
        APIRoute(.post, "/telstar/v1/satellites") { family, request, context in
            let draft = try await family.body(request, context, as: SatelliteDraftBody.self).draft()
            return try Self.json(SatelliteView(try await family.master.operator.addSatellite(draft), connected: false))
        },
        APIRoute(.patch, "/telstar/v1/satellites/{serial}") { family, request, context in
            let record = try await family.satellite(context)
            let change = try await family.body(request, context, as: SatelliteBody.self).change
            let changed = try await family.master.operator.setSatellite(record.id, to: change)
            let isConnected = try await family.connected().contains(changed.id.rawValue)
            return try Self.json(SatelliteView(changed, connected: isConnected))
        },
        APIRoute(.delete, "/telstar/v1/satellites/{serial}") { family, request, context in
            let record = try await family.satellite(context)
            let force = request.uri.queryParameters.get("force") == "true"
            try await family.master.operator.removeSatellite(record.id, force: force)
            return try Self.json(["removed": record.serial])
        },
    ]

    private func connected() async throws -> Set<Int32> {
        Set(try await self.master.status().satellites.filter(\.connected).map(\.id))
    }

    private func satellite(_ context: APIContext) async throws -> SatelliteRecord {
        let parameter = context.parameters.get("serial") ?? ""
        let serial = parameter.removingPercentEncoding ?? parameter
        guard let record = try await self.master.operator.satellites().first(where: { $0.hasSerial(serial) }) else {
            throw APIRefusal(.notFound, "not_found", "there is no satellite \(serial)")
        }
        return record
    }
}
