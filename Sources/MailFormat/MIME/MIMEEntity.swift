// SPDX-License-Identifier: Apache-2.0

/// A message or one of its parts: a header and a body that is either content or further parts.
///
/// A parsed entity that nobody has changed is written byte for byte as it was found, and so is every unchanged part
/// of one that was changed.
///
/// - Note: RFC 2045 and RFC 2046 §5.1.
public struct MIMEEntity: Sendable {
    /// What follows the header.
    public enum Body: Sendable, Hashable {
        /// Content in its transfer encoding, as found.
        case leaf([UInt8])
        /// Parts between boundaries, with the text before the first and after the last one.
        case multipart(boundary: String, parts: [MIMEEntity], preamble: [UInt8], epilogue: [UInt8])
    }

    /// The fields in their order.
    public var headers: [HeaderField] {
        didSet { self.original = nil }
    }

    /// The content or the parts.
    public var body: Body {
        didSet { self.original = nil }
    }

    /// The bytes that this entity was parsed from, until it is changed.
    private var original: ArraySlice<UInt8>?

    /// Creates an entity of its parts.
    public init(headers: [HeaderField], body: Body) {
        self.init(headers: headers, body: body, original: nil)
    }

    /// Parses a message.
    ///
    /// There is no message that is not one: what does not look like a field is skipped, a multipart without its
    /// boundary is content, and a missing last boundary is the end.
    ///
    /// - Throws: `MIMEError` only if a limit is exceeded.
    public init(parsing bytes: [UInt8], limits: MIMELimits = MIMELimits()) throws(MIMEError) {
        guard bytes.count <= limits.bytes else { throw .tooLarge(limit: limits.bytes) }
        var parser = MIMEParser(limits: limits)
        self = try parser.entity(bytes[...], depth: 0)
    }

    init(headers: [HeaderField], body: Body, original: ArraySlice<UInt8>?) {
        self.headers = headers
        self.body = body
        self.original = original
    }

    /// The first field of a name in whatever case.
    public func header(_ name: String) -> HeaderField? {
        self.headers.first { $0.isNamed(name) }
    }

    /// The content type; `text/plain` where there is none or none that can be read.
    public var contentType: ContentType {
        self.header("Content-Type").flatMap { ContentType(parsing: $0.unfolded) } ?? .plainText
    }

    /// The disposition with its parameters, such as `attachment` with `filename`.
    public var contentDisposition: ContentDisposition? {
        self.header("Content-Disposition").flatMap { ContentDisposition(parsing: $0.unfolded) }
    }

    /// The transfer encoding's name in lower case; `7bit` where there is none.
    public var transferEncoding: String {
        guard let field = self.header("Content-Transfer-Encoding") else { return BodyEncoding.sevenBit.rawValue }
        let word = field.unfolded.prefix { ASCIIText.isToken($0) }
        return ASCIIText.lowercased(String(decoding: word, as: UTF8.self))
    }

    /// The parts of a multipart; none for content.
    public var parts: [MIMEEntity] {
        guard case .multipart(_, let parts, _, _) = self.body else { return [] }
        return parts
    }

    /// The charset that the entity names for its text, or else the first of its parts that names a known one.
    public var declaredCharset: Charset? {
        if let label = self.contentType.parameter("charset") { return Charset(label: label) }
        for part in self.parts {
            if let charset = part.declaredCharset { return charset }
        }
        return nil
    }

    /// Where a message that somebody hands over begins: behind a byte order mark and empty lines, which editors and
    /// programs put before the first field and which would hide every field.
    public static func start(of bytes: [UInt8]) -> Int {
        var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        while true {
            let line = bytes[start...].prefix { $0 != 0x0A }
            guard line.endIndex < bytes.endIndex, line.allSatisfy({ ASCIIText.isSpace($0) || $0 == 0x0D }) else {
                return start
            }
            start = line.endIndex + 1
        }
    }

    /// Content without its transfer encoding; empty for a multipart.
    public func decodedBody() -> [UInt8] {
        guard case .leaf(let bytes) = self.body else { return [] }
        return switch self.transferEncoding {
        case BodyEncoding.base64.rawValue: Base64.decode(bytes)
        case BodyEncoding.quotedPrintable.rawValue: QuotedPrintable.decode(bytes)
        default: bytes
        }
    }

    /// The entity's bytes.
    public func serialised() -> [UInt8] {
        if let original { return Array(original) }
        var output: [UInt8] = []
        self.append(to: &output)
        return output
    }

    /// Appends the entity's bytes.
    public func append(to output: inout [UInt8]) {
        if let original {
            output.append(contentsOf: original)
            return
        }
        for field in self.headers { field.append(to: &output) }
        output.append(contentsOf: Self.lineEnd)
        switch self.body {
        case .leaf(let bytes): output.append(contentsOf: bytes)
        case .multipart(let boundary, let parts, let preamble, let epilogue):
            output.append(contentsOf: preamble)
            var needsLineEnd = !preamble.isEmpty
            let delimiter = [0x2D, 0x2D] + Array(boundary.utf8)
            for part in parts {
                if needsLineEnd { output.append(contentsOf: Self.lineEnd) }
                output.append(contentsOf: delimiter)
                output.append(contentsOf: Self.lineEnd)
                part.append(to: &output)
                needsLineEnd = true
            }
            if needsLineEnd { output.append(contentsOf: Self.lineEnd) }
            output.append(contentsOf: delimiter)
            output.append(contentsOf: [0x2D, 0x2D, 0x0D, 0x0A])
            output.append(contentsOf: epilogue)
        }
    }

    private static let lineEnd: [UInt8] = [0x0D, 0x0A]
}

extension MIMEEntity: Hashable {
    /// Compares headers and bodies; where they came from does not matter.
    public static func == (left: MIMEEntity, right: MIMEEntity) -> Bool {
        left.headers == right.headers && left.body == right.body
    }

    /// Hashes what equality compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.headers)
        hasher.combine(self.body)
    }
}
