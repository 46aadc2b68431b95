// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Hummingbird
import Logging
import MailingModel
import MasterCore
import MasterStore
import NIOCore

/// The operators' own API under `/telstar/v1`: JSON in and out, for the command line and for scripts.
struct ControlAPI: Sendable {
    private let master: Master
    private let transport: APITransport
    private let maximumBodyBytes: Int
    private let logger: Logger

    init(master: Master, transport: APITransport, maximumBodyBytes: Int, logger: Logger) {
        self.master = master
        self.transport = transport
        self.maximumBodyBytes = maximumBodyBytes
        self.logger = logger
    }

    func respond(to request: Request, path: [String]) async throws -> Response {
        do {
            try self.authenticate(request)
            let json = try await self.answer(request, path: path)
            return Self.json(.ok, json)
        } catch let refusal as ControlRefusal {
            return try Self.json(refusal.status, JSONEncoder().encode(refusal.body))
        } catch let error as MasterError {
            let refusal = ControlRefusal(error)
            return try Self.json(refusal.status, JSONEncoder().encode(refusal.body))
        }
    }

    private func authenticate(_ request: Request) throws {
        if case .controlSocket = self.transport { return }
        guard let credentials = BasicCredentials(request.headers),
            self.master.authenticate(secret: credentials.password) != nil
        else { throw ControlRefusal(.unauthorized, "unauthorized", "the API key is wrong or missing") }
    }

    private func answer(_ request: Request, path: [String]) async throws -> Data {
        try APIRoute.check(request.method, ["telstar", "v1"] + path)
        switch (request.method, path.first ?? "", path.count) {
        case (.get, "status", 1): return try StatusDocument.encode(try await self.master.status())
        case (.get, "feed", 1): return try await self.feed(request)
        case (.post, "backup", 1): return try await self.backup(request)
        case (.post, "confirm-store", 1):
            try await self.master.confirmStore()
            return try Self.encode(["confirmed": true])
        case (_, "keys", _): return try await self.keys(request, Array(path.dropFirst()))
        case (_, "satellites", _):
            return try await self.satellites(request, path.dropFirst().map { $0.removingPercentEncoding ?? $0 })
        case (_, "mailings", _): return try await self.mailings(request, Array(path.dropFirst()))
        default: throw ControlRefusal(.notFound, "not_found", "nothing is served at this path")
        }
    }

    private func body<Body: Decodable>(_ request: Request, as: Body.Type) async throws -> Body {
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: self.maximumBodyBytes)
        } catch is NIOTooManyBytesError {
            throw ControlRefusal(
                .contentTooLarge,
                "too_large",
                "the body has more than \(self.maximumBodyBytes) bytes"
            )
        }
        // The key may have been revoked while the body came.
        try self.authenticate(request)
        do {
            return try JSONDecoder().decode(Body.self, from: Data(buffer.readableBytesView))
        } catch let refusal as ControlRefusal {
            throw refusal
        } catch {
            throw ControlRefusal(.badRequest, "bad_body", "the body cannot be read: \(ControlRefusal.reason(error))")
        }
    }

    private static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }

    private static func json(_ status: HTTPResponse.Status, _ data: Data) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(bytes: data + [0x0A]))
        )
    }
}

// MARK: - Mailings and the feed

extension ControlAPI {
    private func mailings(_ request: Request, _ path: [String]) async throws -> Data {
        if path.isEmpty {
            switch request.method {
            case .get:
                struct Answer: Encodable { var mailings: [ControlMailing] }
                return try Self.encode(Answer(mailings: try await self.master.mailings().map { ControlMailing($0) }))
            case .post:
                let draft = try await self.body(request, as: ControlMailingDraft.self)
                let mailing = try await self.master.createMailing(draft.draft)
                guard draft.change != MailingChange() else { return try Self.encode(ControlMailing(mailing)) }
                do {
                    let changed = try await self.master.setProperties(of: mailing.id, to: draft.change)
                    return try Self.encode(ControlMailing(changed.mailing, warnings: changed.warnings))
                } catch {
                    // A mailing that lacks what was asked of it would only surprise its maker.
                    try await self.master.deleteMailing(mailing.id)
                    throw error
                }
            default: throw ControlRefusal.methodNotAllowed
            }
        }
        guard let number = Int32(path[0]) else {
            throw ControlRefusal(.notFound, "not_found", "a mailing id is a number")
        }
        let id = MailingID(rawValue: number)
        switch (request.method, path.count > 1 ? path[1] : "") {
        case (.get, ""): return try Self.encode(ControlMailing(try await self.master.mailing(id)))
        case (.patch, ""):
            let change = try await self.body(request, as: ControlMailingChange.self).change
            let changed = try await self.master.setProperties(of: id, to: change)
            return try Self.encode(ControlMailing(changed.mailing, warnings: changed.warnings))
        case (.delete, ""):
            try await self.master.deleteMailing(id)
            return try Self.encode(["deleted": number])
        case (.post, "start"):
            _ = try await self.master.startMailing(id)
            let started = try await self.master.mailing(id)
            return try Self.encode(ControlMailing(started, warnings: started.startWarnings))
        case (.post, "pause"):
            _ = try await self.master.pauseMailing(id)
            return try Self.encode(ControlMailing(try await self.master.mailing(id)))
        case (.post, "close"):
            return try Self.encode(ControlMailing(try await self.master.closeMailing(id)))
        case (.post, "resolve"):
            let body = try await self.body(request, as: [String: String].self)
            guard let resolution = body["as"].flatMap(UncertainResolution.init) else {
                throw ControlRefusal(.badRequest, "bad_body", "`as` is one of delivered, failed, resend")
            }
            return try Self.encode(["changed": try await self.master.resolveUncertain(id, as: resolution)])
        case (.post, "recipients"), (.post, "test"):
            let batch = try await self.body(request, as: [ControlRecipient].self)
            let results = try await self.master.addRecipients(
                batch.map(\.submission),
                to: id,
                test: path[1] == "test"
            )
            struct Answer: Encodable { var recipients: [ControlSubmissionAnswer] }
            return try Self.encode(
                Answer(recipients: zip(batch, results).map { ControlSubmissionAnswer($0.email, $1) })
            )
        default: throw ControlRefusal.methodNotAllowed
        }
    }

    private func feed(_ request: Request) async throws -> Data {
        var filter = RecipientFilter()
        let query = request.uri.queryParameters
        let mailings = query.getAll("mailing", as: Int32.self)
        if !mailings.isEmpty { filter.mailings = mailings.map { MailingID(rawValue: $0) } }
        let names = query.getAll("status")
        if !names.isEmpty {
            filter.states = try names.map { name in
                guard let state = RecipientState.allCases.first(where: { "\($0)" == name }) else {
                    throw ControlRefusal(.badRequest, "bad_status", "`\(name)` is not a state of a recipient")
                }
                return state
            }
        }
        let page = try await self.master.feed(
            after: query.get("cursor"),
            filter: filter,
            limit: query.get("limit", as: Int.self) ?? 1000
        )
        struct Answer: Encodable {
            var cursor: String
            var reports: [ControlReport]
        }
        return try Self.encode(Answer(cursor: page.cursor, reports: page.entries.map { ControlReport($0.report) }))
    }

    private func backup(_ request: Request) async throws -> Data {
        let body = try await self.body(request, as: [String: String].self)
        guard let path = body["path"], path.hasPrefix("/") else {
            throw ControlRefusal(.badRequest, "bad_body", "`path` has to be an absolute path")
        }
        guard case .controlSocket = self.transport else {
            throw ControlRefusal(.forbidden, "forbidden", "a backup is asked for over the control socket only")
        }
        // The store's own message for these would name neither the file nor the directory.
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent().path
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory), isDirectory.boolValue else {
            throw ControlRefusal(
                .badRequest,
                "bad_path",
                "the copy \(path) cannot be made: there is no directory \(directory)"
            )
        }
        guard !FileManager.default.fileExists(atPath: path) else {
            throw ControlRefusal(
                .conflict,
                "file_exists",
                "the copy \(path) cannot be made: a file of that name is there"
            )
        }
        do {
            try await self.master.backup(to: path)
        } catch let error as MasterError {
            throw MasterError(error.code, "the copy \(path) cannot be made: \(error.message)")
        }
        return try Self.encode(["path": path])
    }
}

// MARK: - Keys and satellites

extension ControlAPI {
    private func keys(_ request: Request, _ path: [String]) async throws -> Data {
        switch (request.method, path.first) {
        case (.get, nil):
            struct Answer: Encodable { var keys: [ControlKey] }
            return try Self.encode(Answer(keys: try await self.master.apiKeys().map { ControlKey($0) }))
        case (.post, nil):
            struct Body: Decodable {
                var name: String
                var autoescape: Bool?
            }
            let body = try await self.body(request, as: Body.self)
            let created = try await self.master.createKey(name: body.name, autoescape: body.autoescape)
            return try Self.encode(ControlKey(created.record, secret: created.secret))
        case (.delete, let id?):
            try await self.master.revokeKey(id)
            return try Self.encode(["revoked": id])
        default: throw ControlRefusal.methodNotAllowed
        }
    }

    private func satellites(_ request: Request, _ path: [String]) async throws -> Data {
        switch (request.method, path.first) {
        case (.get, nil):
            let connected = Set(try await self.master.status().satellites.filter(\.connected).map(\.id))
            struct Answer: Encodable { var satellites: [ControlSatellite] }
            return try Self.encode(
                Answer(
                    satellites: try await self.master.satellites().map {
                        ControlSatellite($0, connected: connected.contains($0.id.rawValue))
                    }
                )
            )
        case (.post, nil):
            let draft = try await self.body(request, as: ControlSatelliteDraft.self)
            return try Self.encode(
                ControlSatellite(try await self.master.addSatellite(try draft.draft()), connected: false)
            )
        case (.patch, let serial?):
            let record = try await self.satellite(serial)
            let change = try await self.body(request, as: ControlSatelliteChange.self)
            let changed = try await self.master.setSatellite(record.id, to: change.change)
            let isConnected = try await self.master.status().satellites.contains {
                $0.id == changed.id.rawValue && $0.connected
            }
            return try Self.encode(ControlSatellite(changed, connected: isConnected))
        case (.delete, let serial?):
            let record = try await self.satellite(serial)
            let force = request.uri.queryParameters.get("force") == "true"
            try await self.master.removeSatellite(record.id, force: force)
            return try Self.encode(["removed": record.serial])
        default: throw ControlRefusal.methodNotAllowed
        }
    }

    private func satellite(_ serial: String) async throws -> SatelliteRecord {
        guard let record = try await self.master.satellites().first(where: { $0.hasSerial(serial) }) else {
            throw ControlRefusal(.notFound, "not_found", "there is no satellite \(serial)")
        }
        return record
    }
}
