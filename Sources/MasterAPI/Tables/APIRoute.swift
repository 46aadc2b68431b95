// SPDX-License-Identifier: Apache-2.0

import HTTPTypes

/// An HTTP method and a path that the API answers.
///
/// A request is compared with ``all`` before anything looks at it, so that nothing is served that is not listed, and the
/// documents can be compared with the list.
struct APIRoute: Sendable {
    /// GET, POST, PATCH or DELETE.
    let method: HTTPRequest.Method
    /// The path's segments; one that stands for a value is in capitals.
    let segments: [String]

    private init(_ method: HTTPRequest.Method, _ path: String) {
        self.method = method
        self.segments = path.split(separator: "/").map(String.init)
    }

    /// The path, with capitals for values.
    var path: String { "/" + self.segments.joined(separator: "/") }

    /// Every method and path of the API.
    static let all: [APIRoute] = [
        APIRoute(.get, "/CloudMailing"),
        APIRoute(.post, "/CloudMailing"),
        APIRoute(.get, "/RPC2"),
        APIRoute(.post, "/RPC2"),
        APIRoute(.post, "/api/mailings/ID/recipients"),
        APIRoute(.get, "/api/reports"),
        APIRoute(.get, "/api/reports/stream"),
        APIRoute(.get, "/telstar/v1/status"),
        APIRoute(.get, "/telstar/v1/feed"),
        APIRoute(.post, "/telstar/v1/backup"),
        APIRoute(.post, "/telstar/v1/confirm-store"),
        APIRoute(.get, "/telstar/v1/keys"),
        APIRoute(.post, "/telstar/v1/keys"),
        APIRoute(.delete, "/telstar/v1/keys/ID"),
        APIRoute(.get, "/telstar/v1/satellites"),
        APIRoute(.post, "/telstar/v1/satellites"),
        APIRoute(.patch, "/telstar/v1/satellites/SERIAL"),
        APIRoute(.delete, "/telstar/v1/satellites/SERIAL"),
        APIRoute(.get, "/telstar/v1/mailings"),
        APIRoute(.post, "/telstar/v1/mailings"),
        APIRoute(.get, "/telstar/v1/mailings/ID"),
        APIRoute(.patch, "/telstar/v1/mailings/ID"),
        APIRoute(.delete, "/telstar/v1/mailings/ID"),
        APIRoute(.post, "/telstar/v1/mailings/ID/start"),
        APIRoute(.post, "/telstar/v1/mailings/ID/pause"),
        APIRoute(.post, "/telstar/v1/mailings/ID/close"),
        APIRoute(.post, "/telstar/v1/mailings/ID/resolve"),
        APIRoute(.post, "/telstar/v1/mailings/ID/recipients"),
        APIRoute(.post, "/telstar/v1/mailings/ID/test"),
    ]

    /// Refuses a request that no route answers.
    ///
    /// - Throws: ``ControlRefusal`` 404 for an unknown path, 405 for a known one with another method.
    static func check(_ method: HTTPRequest.Method, _ segments: [String]) throws(ControlRefusal) {
        let routes = Self.all.filter { $0.matches(segments) }
        guard !routes.isEmpty else {
            throw ControlRefusal(.notFound, "not_found", "nothing is served at this path")
        }
        guard routes.contains(where: { $0.method == method }) else { throw ControlRefusal.methodNotAllowed }
    }

    private func matches(_ segments: [String]) -> Bool {
        self.segments.count == segments.count
            && zip(self.segments, segments).allSatisfy { $0 == $1 || ($0.isValue && !$1.isEmpty) }
    }
}

extension String {
    /// Whether a segment of a route stands for a value.
    fileprivate var isValue: Bool { self.allSatisfy(\.isUppercase) }
}
