// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Logging
import MasterCore
import NIOCore

/// Sends each request to the API that owns the first segments of its path; an API renders its own refusals.
struct APIResponder: Sendable {
    private let master: Master
    private let cloudMailing: CloudMailingAPI
    private let control: ControlAPI
    private let bulk: BulkAPI

    init(master: Master, transport: APITransport, maximumBodyBytes: Int, logger: Logger) {
        self.master = master
        self.cloudMailing = CloudMailingAPI(master: master, maximumBodyBytes: maximumBodyBytes, logger: logger)
        self.control = ControlAPI(
            master: master,
            transport: transport,
            maximumBodyBytes: maximumBodyBytes,
            logger: logger
        )
        self.bulk = BulkAPI(master: master, transport: transport, logger: logger)
    }

    func respond(to request: Request, on channel: any Channel) async throws -> Response {
        guard self.master.isLoaded else {
            // No caller can be authenticated yet, and a 401 would be a lie.
            return Response(
                status: .serviceUnavailable,
                headers: [.contentType: "text/plain; charset=utf-8", .retryAfter: "1"],
                body: .init(byteBuffer: ByteBuffer(string: "the master is starting; try again shortly\n"))
            )
        }
        var response = try await self.answer(request, on: channel)
        if response.status == .serviceUnavailable, response.headers[.retryAfter] == nil {
            response.headers[.retryAfter] = "5"
        }
        return response
    }

    private func answer(_ request: Request, on channel: any Channel) async throws -> Response {
        let segments = request.uri.path.split(separator: "/", omittingEmptySubsequences: true)
        switch segments.first {
        // Python's client posts to /RPC2 when it is given a base URL without a path.
        case "CloudMailing", "RPC2": return try await self.cloudMailing.respond(to: request)
        case "telstar" where segments.dropFirst().first == "v1":
            return try await self.control.respond(to: request, path: segments.dropFirst(2).map(String.init))
        case "api":
            return try await self.bulk.respond(
                to: request,
                path: segments.dropFirst().map(String.init),
                on: channel
            )
        default:
            return Response(
                status: .notFound,
                headers: [.contentType: "text/plain; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: "nothing is served at this path\n"))
            )
        }
    }
}
