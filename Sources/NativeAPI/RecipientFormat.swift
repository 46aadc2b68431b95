// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import RecordFormat

/// How the recipients of an import are written, as its media type says.
enum RecipientFormat: Sendable, Hashable {
    /// `text/csv`, RFC 4180 §3: the parameters `charset` and `header`, the latter `present` or `absent`.
    case csv(encoding: TextEncoding?, hasHeader: Bool?)
    /// `application/x-ndjson`: one object a line.
    case ndjson

    /// Reads a `Content-Type` header field.
    ///
    /// - Throws: ``APIRefusal`` 415 for any other type, 400 for a parameter's value that is not known.
    init(_ contentType: String?) throws {
        let parts = (contentType ?? "").split(separator: ";").map { CSVDialect.trimmed(String($0)) }
        let parameters = Dictionary(parts.dropFirst().map(Self.parameter)) { first, _ in first }
        switch parts.first?.lowercased() {
        case "application/x-ndjson", "application/ndjson", "application/jsonl": self = .ndjson
        case "text/csv":
            var encoding: TextEncoding?
            if let charset = parameters["charset"] {
                encoding = TextEncoding(charset: charset)
                guard encoding != nil else {
                    throw APIRefusal(
                        .unsupportedMediaType,
                        "bad_charset",
                        "the charset `\(charset)` is not supported; use utf-8, utf-16le, utf-16be or windows-1252"
                    )
                }
            }
            switch parameters["header"]?.lowercased() {
            case nil: self = .csv(encoding: encoding, hasHeader: nil)
            case "present": self = .csv(encoding: encoding, hasHeader: true)
            case "absent": self = .csv(encoding: encoding, hasHeader: false)
            default: throw APIRefusal(.badRequest, "bad_header", "`header` is `present` or `absent`")
            }
        default:
            throw APIRefusal(
                .unsupportedMediaType,
                "bad_content_type",
                "recipients are sent as text/csv or application/x-ndjson"
            )
        }
    }

    private static func parameter(_ text: Substring) -> (name: String, value: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return (parts[0].lowercased(), "") }
        return (parts[0].lowercased(), parts[1].filter { $0 != "\"" })
    }
}
