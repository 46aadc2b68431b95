// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Hummingbird

/// One of the APIs: its routes, who may call it, and how it refuses a call in its own protocol.
package protocol APIFamily: Sendable {
    /// Paths of which everything below belongs to this API, whether a route answers it or not: `/api`.
    static var roots: [String] { get }
    /// What it answers.
    static var routes: [APIRoute<Self>] { get }
    /// Finds who is calling.
    ///
    /// - Returns: `nil` for a request that anybody may make.
    /// - Throws: What ``response(to:of:)`` renders as 401.
    func authenticate(_ request: Request) throws -> Caller?
    /// The answer for an error: one of a route, of ``authenticate(_:)``, or a ``RouteRefusal``; `nil` for one that the API does
    /// not know.
    func response(to error: any Error, of request: Request) -> Response?
    /// The answer for an error that the API does not know, which stands in the log under the request's id.
    func failure(request id: String) -> Response
}

extension Request {
    /// The bytes of the body as the head declares them; `nil` if it does not.
    package var declaredLength: Int? { self.headers[.contentLength].flatMap { Int($0) } }
}

extension APIFamily {
    /// Whether a path belongs to this API.
    ///
    /// Empty segments count for nothing, as in the router.
    func owns(_ path: String) -> Bool {
        let segments = path.split(separator: "/")
        return Self.roots.contains { segments.starts(with: $0.split(separator: "/")) }
    }

    /// Adds its routes to a router.
    func register(on router: Router<APIContext>) {
        for route in Self.routes {
            router.on(RouterPath(route.path), method: route.method) { request, context in
                guard route.isPublic || context.caller != nil else { throw APIRefusal.unauthorized }
                return try await route.respond(self, request, context)
            }
        }
    }

    /// Why no route answers a request.
    func refusal(of request: Request) -> RouteRefusal {
        let segments = request.uri.path.split(separator: "/")
        let methods = Self.routes.filter { $0.matches(segments) }.map(\.method)
        return methods.isEmpty ? .notFound : .methodNotAllowed(methods)
    }
}
