// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Listening
import MasterCore
import NIOCore

/// Finds the API that a request belongs to and who is calling it, has that API render every refusal, and logs the request.
struct AccessMiddleware: RouterMiddleware {
    typealias Context = APIContext

    let master: Master
    let families: [any APIFamily]
    let log: RequestLog

    @concurrent
    func handle(
        _ request: Request,
        context: APIContext,
        next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        let began = ContinuousClock.now
        let id = RequestLog.id(of: request, context)
        var context = context
        var response = try await self.answer(request, id, &context, next)
        response.headers[.requestID] = id
        if response.status == .serviceUnavailable, response.headers[.retryAfter] == nil {
            response.headers[.retryAfter] = "5"
        }
        self.log.answered(request, id, context, response, in: .now - began)
        return response
    }

    /// The answer to a request, of the API that it belongs to; sets the context's caller.
    @concurrent
    private func answer(
        _ request: Request,
        _ id: String,
        _ context: inout APIContext,
        _ next: @concurrent (Request, APIContext) async throws -> Response
    ) async throws -> Response {
        guard self.master.isLoaded else {
            // No caller can be authenticated yet, and a 401 would be a lie.
            return Self.text(.serviceUnavailable, "the master is starting; try again shortly\n", [.retryAfter: "1"])
        }
        guard let family = self.families.first(where: { $0.owns(request.uri.path) }) else {
            return Self.text(.notFound, "nothing is served at this path\n")
        }
        do {
            context.caller = try self.authenticate(request, context, family)
            context.caller?.channel = context.channel
            context.caller?.requestID = id
            return try await Self.routed(request, context, family, next)
        } catch {
            if let refusal = family.response(to: error, of: request) {
                if let cause = (error as? any LoggedError)?.cause { self.log.failed(request, id, context, cause) }
                return refusal
            }
            self.log.failed(request, id, context, "\(error)")
            return family.failure(request: id)
        }
    }

    /// Who is calling; whoever has failed too often hears 429, and when to try again.
    private func authenticate(_ request: Request, _ context: APIContext, _ family: any APIFamily) throws -> Caller? {
        do {
            return try family.authenticate(request)
        } catch let refusal as APIRefusal where refusal.status == .unauthorized {
            // Without credentials, or with a right key that is not for this API, nothing was guessed.
            guard let credentials = Credentials(request.headers), credentials.key(of: self.master) == nil else {
                throw refusal
            }
            let address = context.channel.remoteAddress.flatMap(ConnectionLedger.origin)
            let known = credentials.knownID(in: self.master)
            let pause = self.master.failedAttempts.failed(address: address, credential: known)
            throw pause.map(APIRefusal.tooManyAttempts) ?? refusal
        }
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
