// SPDX-License-Identifier: Apache-2.0

/// Why a sink cannot start or keep a message.
public struct SinkError: Error, Hashable, CustomStringConvertible {
    /// What kind of failure.
    public struct Code: Hashable, Sendable {
        private enum Value: Hashable { case address, file }
        private let value: Value

        /// An address is malformed or cannot be bound.
        public static let address = Code(value: .address)
        /// A file or directory cannot be made or written.
        public static let file = Code(value: .file)
    }

    /// What kind of failure.
    public let code: Code
    /// What failed, on what, and why.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
