// SPDX-License-Identifier: Apache-2.0

/// Why the journal could not do what was asked.
public struct JournalError: Error, Hashable, CustomStringConvertible {
    /// The kind of failure; more may be added.
    public struct Code: Hashable, Sendable {
        private enum Value: Hashable {
            case inUse
            case noSpace
            case full
            case inputOutput
            case broken
        }
        private let value: Value

        /// Another process has the directory open.
        public static let inUse = Code(value: .inUse)
        /// The file system has no room; nothing accepted before is in danger.
        public static let noSpace = Code(value: .noSpace)
        /// The journal has reached its own bound; nothing accepted before is in danger.
        public static let full = Code(value: .full)
        /// The operating system failed a call.
        public static let inputOutput = Code(value: .inputOutput)
        /// An earlier write or sync failed: nothing may be sent any more, the process must stop.
        public static let broken = Code(value: .broken)
    }

    /// The kind of failure.
    public let code: Code
    /// What failed, on what.
    public let description: String

    /// Composes an error.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
