// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import Hummingbird

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
