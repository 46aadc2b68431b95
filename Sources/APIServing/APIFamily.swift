// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
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

/// An HTTP method and a path that an API answers, and how.
///
/// What is served, what is refused with 405 and what the documents are compared with is the same list.
package struct APIRoute<Family: Sendable>: Sendable {
    /// Answers a request of the route.
    package typealias Respond = @Sendable (Family, Request, APIContext) async throws -> Response

    /// GET, POST, PATCH or DELETE.
    package let method: HTTPRequest.Method
    /// The path; a segment in braces stands for a value, such as `/api/mailings/{id}/recipients`.
    package let path: String
    /// Whether anybody may make the request.
    let isPublic: Bool
    let respond: Respond

    /// Composes a route.
    ///
    /// - Parameters:
    ///   - method: GET, POST, PATCH or DELETE.
    ///   - path: A segment in braces stands for a value, `**` at the end for anything.
    ///   - isPublic: Whether a request without an authenticated caller is answered.
    ///   - respond: Answers a request.
    package init(
        _ method: HTTPRequest.Method,
        _ path: String,
        isPublic: Bool = false,
        _ respond: @escaping Respond
    ) {
        self.method = method
        self.path = path
        self.isPublic = isPublic
        self.respond = respond
    }

    /// Method and path for documents, with capitals for values: `POST /api/mailings/ID/recipients`.
    package var name: String {
        let segments = self.segments.map { $0.hasPrefix("{") ? $0.dropFirst().dropLast().uppercased() : String($0) }
        return "\(self.method.rawValue) /\(segments.joined(separator: "/"))"
    }

    var segments: [Substring] { self.path.split(separator: "/") }

    func matches(_ segments: [Substring]) -> Bool {
        var (own, segments) = (self.segments, segments)
        if own.last == "**" {
            own.removeLast()
            segments = Array(segments.prefix(own.count))
        }
        return own.count == segments.count && zip(own, segments).allSatisfy { $0 == $1 || $0.hasPrefix("{") }
    }
}

/// A request that no route of its API answers.
package enum RouteRefusal: Error, Hashable, Sendable {
    /// There is no such path.
    case notFound
    /// The path is served for other methods, which are these.
    case methodNotAllowed([HTTPRequest.Method])
}
