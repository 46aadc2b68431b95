// SPDX-License-Identifier: Apache-2.0

/// A content type with its parameters.
///
/// - Note: RFC 2045 §5.1, with parameters as RFC 2231 has them.
public struct ContentType: Hashable, Sendable {
    /// The top-level type in lower case, such as `text`.
    public let type: String
    /// The subtype in lower case, such as `html`.
    public let subtype: String
    /// Names in lower case and decoded texts, in the order found.
    public let parameters: [ContentParameter]

    /// What an entity is that does not say.
    public static let plainText = ContentType(type: "text", subtype: "plain")

    /// Creates a content type of its parts.
    public init(type: String, subtype: String, parameters: [ContentParameter] = []) {
        self.type = type
        self.subtype = subtype
        self.parameters = parameters
    }

    /// Reads an unfolded field body; `nil` if it does not begin with a type and a subtype.
    public init?(parsing line: [UInt8]) {
        var scanner = ParameterScanner(line)
        guard let type = scanner.token(), scanner.skip(0x2F), let subtype = scanner.token() else { return nil }
        self.type = ASCIIText.lowercased(type)
        self.subtype = ASCIIText.lowercased(subtype)
        self.parameters = scanner.parameters()
    }

    /// Whether the entity consists of parts.
    public var isMultipart: Bool { self.type == "multipart" }

    /// Type and subtype with a slash between them.
    public var essence: String { "\(self.type)/\(self.subtype)" }

    /// The text of a parameter by its name in lower case.
    public func parameter(_ name: String) -> String? {
        self.parameters.first { $0.name == name }?.text
    }
}

/// How a part is meant to be shown.
///
/// - Note: RFC 2183.
public struct ContentDisposition: Hashable, Sendable {
    /// The kind in lower case, such as `inline` or `attachment`.
    public let kind: String
    /// Names in lower case and decoded texts, in the order found.
    public let parameters: [ContentParameter]

    /// Reads an unfolded field body; `nil` if it does not begin with a word.
    public init?(parsing line: [UInt8]) {
        var scanner = ParameterScanner(line)
        guard let kind = scanner.token() else { return nil }
        self.kind = ASCIIText.lowercased(kind)
        self.parameters = scanner.parameters()
    }

    /// The file name given, as text that may hold anything.
    public var filename: String? { self.parameters.first { $0.name == "filename" }?.text }
}

/// A named text of a structured field.
public struct ContentParameter: Hashable, Sendable {
    /// The name in lower case without numbering.
    public let name: String
    /// The decoded text.
    public let text: String

    /// Creates a parameter.
    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }
}
