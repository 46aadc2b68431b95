// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MasterCore

/// A refusal of the control API.
struct ControlRefusal: Error, Sendable {
    /// What travels: `{"error": {"code": …, "message": …}}`.
    struct Body: Encodable, Sendable {
        struct Reason: Encodable, Sendable {
            var code: String
            var message: String
        }
        var error: Reason
    }

    static let methodNotAllowed = ControlRefusal(
        .methodNotAllowed,
        "method_not_allowed",
        "this path does not accept this HTTP method"
    )

    var status: HTTPResponse.Status
    var code: String
    var message: String

    var body: Body { Body(error: .init(code: self.code, message: self.message)) }

    init(_ status: HTTPResponse.Status, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// The refusal for what the master refused.
    init(_ error: MasterError) {
        let (status, code): (HTTPResponse.Status, String) =
            switch error.code {
            case .unknownMailing: (.notFound, "unknown_mailing")
            case .unknownSatellite: (.notFound, "unknown_satellite")
            case .unknownKey: (.notFound, "unknown_key")
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
        self.init(status, code, error.message)
    }

    /// A decoding error in one line: where and what.
    static func reason(_ error: any Error) -> String {
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
