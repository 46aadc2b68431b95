// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Hummingbird
import NIOCore
import RecordFormat

extension APIRefusal {
    /// How a caller of the native API may authenticate.
    private static let challenge = "Basic realm=\"Telstar\", Bearer realm=\"Telstar\""

    /// The answer as a problem: `type`, `title`, `status`, `detail`, and `code`, which is the end of the type.
    ///
    /// Source: RFC 9457 §3.
    ///
    /// - Parameter members: More of the answer, such as what an import has added before it failed.
    /// - Returns: The answer, `application/problem+json`.
    func problem(with members: [JSONValue.Member] = []) -> Response {
        var headers = self.headers(challenge: Self.challenge)
        headers[.contentType] = "application/problem+json"
        let own: [JSONValue.Member] = [
            .init("type", .string("urn:telstar:problem:\(self.code)")), .init("title", .string(self.title)),
            .init("status", .integer(Int64(self.status.code))), .init("detail", .string(self.message)),
            .init("code", .string(self.code)),
        ]
        let body = JSONValue.object(own + members).line
        return Response(status: self.status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }

    /// The code as words; the same for every problem of the type.
    private var title: String {
        let words = self.code.replacing("_", with: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    /// The value of the `error` member of an import's summary.
    var reason: JSONValue {
        .object([.init("code", .string(self.code)), .init("message", .string(self.message))])
    }
}
