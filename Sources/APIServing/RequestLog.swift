// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
package import Logging
import MailingModel
import NIOCore

/// What a listener logs of its requests: those that fail here always, every one of them if the access log is switched on.
package struct RequestLog: Sendable {
    /// The longest id of a client's that is taken over.
    private static let longestID = 64
    /// Of a path so many characters are logged.
    private static let longestPath = 200

    private let logger: Logger
    private let isComplete: Bool

    /// - Parameters:
    ///   - logger: Takes the lines.
    ///   - isComplete: Whether every request gets a line.
    package init(_ logger: Logger, isComplete: Bool) {
        self.logger = logger
        self.isComplete = isComplete
    }

    /// The request's name in its answer and in the log: the client's own `X-Request-ID` if it is one word of ASCII, else a
    /// new one.
    static func id(of request: Request, _ context: APIContext) -> String {
        guard let own = request.headers[.requestID], !own.isEmpty, own.utf8.count <= Self.longestID,
            own.utf8.allSatisfy(Self.isAllowed)
        else { return "\(context.id)" }
        return own
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// Notes that a request was answered, in the time from its head to the head of the answer.
    func answered(_ request: Request, _ id: String, _ context: APIContext, _ response: Response, in time: Duration) {
        guard self.isComplete else { return }
        var metadata = Self.metadata(request, id, context)
        metadata["status"] = "\(response.status.code)"
        metadata["ms"] = "\((time / .milliseconds(1) * 10).rounded() / 10)"
        if let length = response.body.contentLength { metadata["bytes"] = "\(length)" }
        self.logger.info("request", metadata: metadata)
    }

    /// Notes that a request failed for a reason that its caller is not told; hardly worth a line if it was given up.
    func failed(_ request: Request, _ id: String, _ context: APIContext, _ reason: String) {
        var metadata = Self.metadata(request, id, context)
        metadata["reason"] = "\(reason)"
        self.logger.log(level: Task.isCancelled ? .debug : .error, "a request failed", metadata: metadata)
    }

    /// Never the query, which may hold a client's credentials.
    private static func metadata(_ request: Request, _ id: String, _ context: APIContext) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            "request": "\(id)", "method": "\(request.method.rawValue)",
            "path": "\(request.uri.path.prefix(self.longestPath))",
        ]
        if let key = context.caller?.key { metadata["key"] = "\(key.publicID)" }
        if let address = context.channel.remoteAddress?.ipAddress { metadata["address"] = "\(address)" }
        return metadata
    }
}

extension HTTPField.Name {
    /// Names a request in logs; by convention, in no standard.
    static var requestID: Self {
        guard let name = Self("X-Request-ID") else { preconditionFailure("a token") }
        return name
    }
}
