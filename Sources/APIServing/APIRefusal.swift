// SPDX-License-Identifier: Apache-2.0

import Foundation
package import HTTPTypes
package import Hummingbird
package import MasterCore
import NIOCore

/// An error of which the log says more than its caller is told.
package protocol LoggedError: Error {
    /// What stands in the log under the request's id; `nil` if the caller is told everything.
    var cause: String? { get }
}

extension MasterError: LoggedError {}

/// A refusal of the APIs that are ours: what is wrong, for programs and for people.
///
/// The operators' API writes it as `{"error": {"code": …, "message": …}}`, the native one as a problem (RFC 9457).
package struct APIRefusal: Error, Sendable {
    /// No valid key was given.
    package static let unauthorized = APIRefusal(.unauthorized, "unauthorized", "the API key is wrong or missing")

    /// Too many wrong secrets came from the caller's address, or for its credential.
    static func tooManyAttempts(_ pause: Duration) -> APIRefusal {
        var refusal = APIRefusal(
            .tooManyRequests,
            "too_many_attempts",
            "too many attempts with a wrong secret; try again later"
        )
        refusal.retryAfter = pause
        return refusal
    }

    /// The HTTP status.
    package var status: HTTPResponse.Status
    /// The reason, for programs.
    package var code: String
    /// The reason, for people.
    package var message: String
    /// The methods that the path is served for, of a refusal with 405.
    package var allowed: [HTTPRequest.Method] = []
    /// When to try again; `nil` if the refusal does not say.
    package var retryAfter: Duration?

    /// Composes a refusal.
    package init(_ status: HTTPResponse.Status, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// The refusal of a request that no route answers.
    package init(_ refusal: RouteRefusal) {
        switch refusal {
        case .notFound: self.init(.notFound, "not_found", "nothing is served at this path")
        case .methodNotAllowed:
            self.init(.methodNotAllowed, "method_not_allowed", "this path does not accept this HTTP method")
        }
        if case .methodNotAllowed(let methods) = refusal { self.allowed = methods }
    }

    /// The refusal for an error of a route, of its authentication or of the router; `nil` for an error that is none.
    package init?(thrown error: any Error) {
        switch error {
        case let error as APIRefusal: self = error
        case let error as MasterError: self.init(error)
        case let error as RouteRefusal: self.init(error)
        default: return nil
        }
    }

    /// The refusal of a request that failed for a reason that is in the log, under the request's id.
    package static func failure(request id: String) -> APIRefusal {
        APIRefusal(.internalServerError, "internal", "the request failed inside the server, whose log names it: \(id)")
    }

    /// The header fields of the answer, but for its type: `Allow` of a 405, `WWW-Authenticate` of a 401, `Retry-After`.
    ///
    /// - Parameter challenge: How to authenticate; `nil` if the API does not say.
    /// - Returns: The fields.
    package func headers(challenge: String? = nil) -> HTTPFields {
        var headers = HTTPFields()
        if !self.allowed.isEmpty { headers[.allow] = self.allowed.map(\.rawValue).joined(separator: ", ") }
        if self.status == .unauthorized { headers[.wwwAuthenticate] = challenge }
        // Whole seconds, so that nobody comes back too early (RFC 9110 §10.2.3).
        if let pause = self.retryAfter {
            let seconds = max(1, Int((pause / .seconds(1)).rounded(.up)))
            headers[.retryAfter] = "\(seconds)"
            headers[.rateLimit] = "\"attempts\";r=0;t=\(seconds)"
        }
        return headers
    }

    /// The answer as `{"error": {"code": …, "message": …}}`.
    package var response: Response {
        struct Envelope: Encodable {
            struct Reason: Encodable {
                var code, message: String
            }
            var error: Reason
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let body = try? encoder.encode(Envelope(error: .init(code: self.code, message: self.message))) else {
            preconditionFailure("two texts are always encoded")
        }
        var headers = self.headers()
        headers[.contentType] = "application/json; charset=utf-8"
        return Response(
            status: self.status,
            headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: body + [0x0A]))
        )
    }

    /// The refusal for what the master refused.
    ///
    /// - Parameters:
    ///   - error: The master's.
    ///   - message: For people; by default the error's own, without the cause of a failure.
    package init(_ error: MasterError, message: String? = nil) {
        let (status, code): (HTTPResponse.Status, String) =
            switch error.code {
            case .unknownMailing: (.notFound, "unknown_mailing")
            case .unknownSatellite: (.notFound, "unknown_satellite")
            case .unknownKey: (.notFound, "unknown_key")
            case .unknownAccount: (.notFound, "unknown_account")
            case .unknownItem: (.notFound, "unknown_item")
            case .accountExists: (.conflict, "account_exists")
            case .accountBusy: (.conflict, "account_busy")
            case .nameTaken: (.conflict, "name_taken")
            case .itemInUse: (.conflict, "item_in_use")
            case .mailingFinished: (.conflict, "mailing_finished")
            case .badStatus: (.conflict, "bad_status")
            case .badProperty: (.badRequest, "bad_property")
            case .badContent: (.badRequest, "bad_content")
            case .tooMany: (.badRequest, "too_many")
            case .badCursor: (.gone, "bad_cursor")
            case .satelliteExists: (.conflict, "satellite_exists")
            case .publicKeyInUse: (.conflict, "public_key_in_use")
            case .satelliteBusy: (.conflict, "satellite_busy")
            case .busy: (.serviceUnavailable, "busy")
            case .storeFull: (.serviceUnavailable, "store_full")
            case .storeFailed: (.serviceUnavailable, "store_failed")
            case .safeMode: (.serviceUnavailable, "safe_mode")
            }
        self.init(status, code, message ?? error.message)
    }

    /// A decoding error in one line: where and what.
    package static func reason(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "it is not JSON" }
        func name(_ path: [any CodingKey]) -> String { path.map(\.stringValue).joined(separator: ".") }
        switch error {
        case .keyNotFound(let key, let context): return "`\(name(context.codingPath + [key]))` is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "`\(name(context.codingPath))` is of the wrong type"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty ? "it is not JSON" : "`\(name(context.codingPath))` is not valid"
        @unknown default: return "it is not JSON"
        }
    }
}

extension HTTPField.Name {
    /// What is left of a limit, and for how long (draft-ietf-httpapi-ratelimit-headers).
    package static var rateLimit: Self {
        guard let name = Self("RateLimit") else { preconditionFailure("a token") }
        return name
    }
}
