// SPDX-License-Identifier: Apache-2.0

import CZeroMQ

/// What libzmq, or the use made of it, refused.
public struct ZeroMQError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of refusal.
    public struct Code: Sendable, Hashable {
        private enum Kind: Hashable { case invalidKey, unsupported, invalidEndpoint, addressInUse, closed, system }
        private let kind: Kind

        /// Not a CURVE key.
        public static let invalidKey = Code(kind: .invalidKey)
        /// libzmq was built without something that is needed.
        public static let unsupported = Code(kind: .unsupported)
        /// An endpoint that libzmq cannot read or resolve.
        public static let invalidEndpoint = Code(kind: .invalidEndpoint)
        /// Another socket has the address.
        public static let addressInUse = Code(kind: .addressInUse)
        /// The context or socket is closed.
        public static let closed = Code(kind: .closed)
        /// Anything else; see the text.
        public static let system = Code(kind: .system)
    }

    /// The kind of refusal.
    public let code: Code
    /// What was being done and why it failed.
    public let description: String

    /// Composes an error.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// The error that libzmq reported last on this thread.
    static func last(_ doing: String, as code: Code? = nil) -> ZeroMQError {
        let number = zmq_errno()
        let kind: Code =
            switch number {
            case EADDRINUSE: .addressInUse
            case EINVAL, EPROTONOSUPPORT, ENODEV, ENOENT: .invalidEndpoint
            case self.contextTerminated, ENOTSOCK: .closed
            default: .system
            }
        let reason = unsafe String(cString: zmq_strerror(number))
        return ZeroMQError(code ?? kind, "\(doing): \(reason)")
    }

    /// ETERM; `zmq.h` writes this as an expression, which Swift does not import.
    private static var contextTerminated: Int32 { 156_384_712 + 53 }
}
