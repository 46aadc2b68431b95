// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import MasterCore
import NIOCore

/// Finds the API that a request belongs to and who is calling it, and has that API render every refusal.
struct AccessMiddleware: RouterMiddleware {
    typealias Context = APIContext

    let master: Master
    let families: [any APIFamily]

    @concurrent
    func handle(
        _ request: Request,
        context: APIContext,
        next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        guard self.master.isLoaded else {
            // No caller can be authenticated yet, and a 401 would be a lie.
            return Self.text(.serviceUnavailable, "the master is starting; try again shortly\n", [.retryAfter: "1"])
        }
        guard let family = self.families.first(where: { $0.owns(request.uri.path) }) else {
            return Self.text(.notFound, "nothing is served at this path\n")
        }
        var response: Response
        do {
            var context = context
            context.caller = try family.authenticate(request)
            context.caller?.channel = context.channel
            response = try await Self.routed(request, context, family, next)
        } catch {
            response = try family.response(to: error, of: request)
        }
        if response.status == .serviceUnavailable, response.headers[.retryAfter] == nil {
            response.headers[.retryAfter] = "5"
        }
        return response
    }

    @concurrent
    private static func routed(
        _ request: Request,
        _ context: APIContext,
        _ family: any APIFamily,
        _ next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            // The router's; no route of ours throws one.
            throw family.refusal(of: request)
        }
    }

    private static func text(_ status: HTTPResponse.Status, _ text: String, _ more: HTTPFields = [:]) -> Response {
        var headers = more
        headers[.contentType] = "text/plain; charset=utf-8"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
