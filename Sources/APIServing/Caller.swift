// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPServing
package import HTTPTypes
package import Hummingbird
package import Logging
package import MailingModel
package import MasterCore
package import NIOCore
import Synchronization

/// How a request came in.
package enum APITransport: Hashable, Sendable {
    /// Over the network: a key is required.
    case network
    /// Over the operator's Unix socket, whose file's rights are the authentication.
    case controlSocket
}

/// Who makes a request; a long answer ends with the key of who asked for it.
package struct Caller: Sendable {
    /// How long an answer has to end by itself once its key is revoked; then its connection is closed.
    private static let patience = TimeAmount.seconds(5)

    /// What a caller gets whose key was revoked in the meantime.
    package static let revoked = APIRefusal(.unauthorized, "unauthorized", "the API key was revoked")

    /// Answers the calls.
    package let master: Master
    /// The key; `nil` for the operator's socket, which has none.
    package let key: APIKeyRecord?
    /// What the caller may do with mailings, recipients and events: those of the key's account, of every account over the
    /// operator's socket.
    package let operations: AccountOperations
    /// The connection; set before a route sees the caller.
    var channel: (any Channel)?
    /// The request's id in the log; set before a route sees the caller.
    package internal(set) var requestID = ""

    /// A caller who was authenticated.
    package init(master: Master, key: APIKeyRecord?) {
        self.master = master
        self.key = key
        self.operations =
            key.map { master.account(Principal(account: $0.account, credential: $0.publicID)) }
            ?? master.operator.everyAccount
    }

    /// Whether the caller may run the cluster, and not only send for an account.
    package var isOperator: Bool { self.key.map { $0.account == .root } ?? true }

    /// Whether the caller is still authorised; to be checked before every piece of a long answer.
    package var mayGoOn: Bool { self.key.map { self.master.isInForce(key: $0.publicID) } ?? true }

    /// Begins an answer, whose connection is closed if it does not end soon after its key was revoked: it may wait for a
    /// reader that takes nothing, or for bytes that do not come.
    ///
    /// - Returns: To be ended with the answer.
    package func begin() -> LongAnswer { LongAnswer(self, patience: Self.patience) }

    /// The body of a long answer, which ends with the key of who asked for it.
    ///
    /// - Parameters:
    ///   - logger: Logs what ends the answer before its end, under the request's id: its caller sees a cut only.
    ///   - write: Writes the answer.
    /// - Returns: The body.
    package func body(
        logging logger: Logger,
        _ write: @escaping @concurrent @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> ResponseBody {
        ResponseBody { writer in
            let answer = self.begin()
            defer { answer.end() }
            do {
                try await write(&writer)
            } catch let error as MasterError {
                logger.error(
                    "an answer ended before its end",
                    metadata: ["request": "\(self.requestID)", "reason": "\(error)"]
                )
                throw error
            }
        }
    }
}

/// An answer in progress.
package final class LongAnswer: Sendable {
    private let state = Mutex<(isOver: Bool, watch: AccessWatch?)>((false, nil))

    fileprivate init(_ caller: Caller, patience: TimeAmount) {
        guard let key = caller.key, let channel = caller.channel else { return }
        let watch = caller.master.watch(key: key.publicID) {
            channel.eventLoop.scheduleTask(in: patience) {
                if !self.state.withLock({ $0.isOver }) { channel.close(promise: nil) }
            }
        }
        self.state.withLock { $0.watch = watch }
    }

    /// The answer has ended, and its connection may serve other requests.
    package func end() {
        let watch = self.state.withLock { state in
            state.isOver = true
            return state.watch.take()
        }
        watch?.end()
    }
}

/// A request's context: its connection and who is calling.
package struct APIContext: ConnectionRequestContext {
    package var coreContext: CoreRequestContextStorage
    /// The connection.
    package let channel: any Channel
    /// Who is calling; `nil` on routes that anybody may call.
    package internal(set) var caller: Caller?

    package init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
    }

    /// Who is calling, on a route that is not for anybody.
    ///
    /// - Throws: ``APIRefusal`` 401 if nobody was authenticated.
    package func authenticated() throws -> Caller {
        guard let caller = self.caller else { throw APIRefusal.unauthorized }
        return caller
    }
}

/// The credentials of a request's `Authorization` header field.
package enum Credentials: Hashable, Sendable {
    /// User and password, RFC 7617 §2.
    case basic(user: String, password: String)
    /// A token, RFC 6750 §2.1.
    case bearer(String)

    /// Reads the field; `nil` if there is none, or one of another scheme.
    package init?(_ fields: HTTPFields) {
        guard let field = fields[.authorization] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2 else { return nil }
        switch parts[0].lowercased() {
        case "basic":
            guard let bytes = Data(base64Encoded: parts[1].trimmingCharacters(in: .whitespaces)) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let colon = text.firstIndex(of: ":") else { return nil }
            self = .basic(user: String(text[..<colon]), password: String(text[text.index(after: colon)...]))
        case "bearer": self = .bearer(String(parts[1].drop { $0 == " " }))
        default: return nil
        }
    }

    /// The public id of the key in force that they name, whether their secret is right or not.
    func knownID(in master: Master) -> String? {
        switch self {
        case .basic(_, let secret), .bearer(let secret): master.knownKey(named: secret)
        }
    }

    /// The API key in force whose secret they hold, whatever user they name.
    func key(of master: Master) -> APIKeyRecord? {
        switch self {
        case .basic(_, let secret), .bearer(let secret): master.authenticate(secret: secret)
        }
    }

    /// The API key that they are, if it is in force.
    ///
    /// - Parameters:
    ///   - master: Knows the keys.
    ///   - user: The user that Basic credentials have to name; `nil` for any.
    ///   - allowsBearer: Whether the key may be a token.
    /// - Returns: The key's record; `nil` if they are no key, or a revoked one.
    package func key(of master: Master, user: String?, allowsBearer: Bool = false) -> APIKeyRecord? {
        switch self {
        case .basic(let name, let password):
            user == nil || user == name ? master.authenticate(secret: password) : nil
        case .bearer(let token): allowsBearer ? master.authenticate(secret: token) : nil
        }
    }
}
