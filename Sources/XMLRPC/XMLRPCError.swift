// SPDX-License-Identifier: Apache-2.0

/// Why a document was not read, or a value cannot be written.
public struct XMLRPCError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case notWellFormed, documentType, unsupportedEncoding, invalidText, unexpectedElement, badValue
            case tooLarge, tooDeep, tooManyNodes, incomplete, notRepresentable
        }

        private let kind: Kind

        /// The bytes are not XML.
        public static let notWellFormed = Self(kind: .notWellFormed)
        /// The document has a document type declaration, which is refused because entities may be defined in it.
        public static let documentType = Self(kind: .documentType)
        /// The document is in a character encoding that is not read.
        public static let unsupportedEncoding = Self(kind: .unsupportedEncoding)
        /// Text holds bytes that its encoding does not have.
        public static let invalidText = Self(kind: .invalidText)
        /// The XML is not an XML-RPC document: an element, or text, where the protocol has none.
        public static let unexpectedElement = Self(kind: .unexpectedElement)
        /// The content of an element is not of its type.
        public static let badValue = Self(kind: .badValue)
        /// The document, or one text in it, has more bytes than allowed.
        public static let tooLarge = Self(kind: .tooLarge)
        /// Arrays and structs are nested deeper than allowed.
        public static let tooDeep = Self(kind: .tooDeep)
        /// The document has more elements than allowed.
        public static let tooManyNodes = Self(kind: .tooManyNodes)
        /// The document ends too early.
        public static let incomplete = Self(kind: .incomplete)
        /// A value has no form in XML-RPC (writing only).
        public static let notRepresentable = Self(kind: .notRepresentable)

        /// The code's name.
        public var description: String { self.kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// What is wrong, in one line without a final full stop.
    public let message: String
    /// Bytes read before the failure was seen; `nil` when writing.
    public internal(set) var offset: Int?

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message and the position, in one line.
    public var description: String {
        guard let offset = self.offset else { return self.message }
        return "\(self.message) (at byte \(offset))"
    }
}

/// What a document may cost to read; whatever exceeds a limit is refused before memory is used for it.
public struct XMLRPCLimits: Hashable, Sendable {
    /// The whole document, in bytes.
    public var documentBytes: Int
    /// One text (a string, a name, encoded base64), in bytes.
    public var textBytes: Int
    /// Arrays and structs within each other.
    public var depth: Int
    /// Elements in the document.
    public var nodes: Int

    /// Composes limits.
    ///
    /// The default size, 16 MiB, admits add_recipients calls and messages with attachments as real clients send them.
    public init(
        documentBytes: Int = 16 * 1024 * 1024,
        textBytes: Int = 16 * 1024 * 1024,
        depth: Int = 64,
        nodes: Int = 2_000_000
    ) {
        self.documentBytes = documentBytes
        self.textBytes = textBytes
        self.depth = depth
        self.nodes = nodes
    }
}
