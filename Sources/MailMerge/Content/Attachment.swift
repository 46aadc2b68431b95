// SPDX-License-Identifier: Apache-2.0

import MailFormat
public import MailingModel

/// A file that one recipient's message carries.
public struct Attachment: Sendable, Hashable {
    /// The name to save it under; control characters and path separators are replaced when it is written.
    public var filename: String?
    /// `type/subtype`, perhaps with parameters; `application/octet-stream` is written for what cannot be read.
    public var contentType: String
    /// The charset of a text.
    public var charset: String?
    /// The identifier by which HTML refers to it (`cid:…`), with or without angle brackets.
    public var contentID: String?
    /// The content.
    public var bytes: [UInt8]

    /// Composes an attachment.
    public init(
        filename: String? = nil,
        contentType: String = "application/octet-stream",
        charset: String? = nil,
        contentID: String? = nil,
        bytes: [UInt8]
    ) {
        self.filename = filename
        self.contentType = contentType
        self.charset = charset
        self.contentID = contentID
        self.bytes = bytes
    }

    /// The stored form, which names the blob by its hash: merge fields of fixed names.
    public func encoded() -> [UInt8] {
        var fields = MergeFields()
        if let filename = self.filename { fields["filename"] = .text(filename) }
        fields["content_type"] = .text(self.contentType)
        if let charset = self.charset { fields["charset"] = .text(charset) }
        if let contentID = self.contentID { fields["content_id"] = .text(contentID) }
        fields["content"] = .bytes(self.bytes)
        return fields.encoded()
    }

    /// Restores an attachment from ``encoded()``.
    ///
    /// - Throws: ``MergeEncodingError`` for octets that are no attachment.
    public init(decoding octets: [UInt8]) throws(MergeEncodingError) {
        let fields = try MergeFields(decoding: octets)
        guard case .bytes(let bytes)? = fields["content"], let contentType = Self.text(fields["content_type"]) else {
            throw MergeEncodingError(offset: 0, reason: "an attachment without content")
        }
        self.init(
            filename: Self.text(fields["filename"]),
            contentType: contentType,
            charset: Self.text(fields["charset"]),
            contentID: Self.text(fields["content_id"]),
            bytes: bytes
        )
    }

    private static func text(_ value: MergeValue?) -> String? {
        if case .text(let text)? = value { return text }
        return nil
    }

    /// Appends the part: header fields, blank line and content in base64, which no boundary can occur in.
    func append(to output: inout [UInt8]) {
        let type = ContentType(parsing: Array(self.contentType.utf8)) ?? ContentType(type: "", subtype: "")
        let isKnown = !type.type.isEmpty && type.type != "multipart" && type.type != "message"
        var parameters: [(name: String, text: String)] = []
        if isKnown {
            for parameter in type.parameters where parameter.name != "name" && parameter.name != "charset" {
                parameters.append((parameter.name, parameter.text))
            }
        }
        if let charset = self.charset ?? type.parameter("charset"), type.type == "text" {
            parameters.append(("charset", charset))
        }
        let name = self.filename.map { Self.safeName($0) }
        if let name { parameters.append(("name", name)) }
        HeaderEncoder.appendParameterised(
            name: "Content-Type",
            value: isKnown ? type.essence : "application/octet-stream",
            parameters: parameters,
            to: &output
        )
        output.append(contentsOf: "Content-Transfer-Encoding: base64\r\n".utf8)
        HeaderEncoder.appendParameterised(
            name: "Content-Disposition",
            value: self.contentID == nil ? "attachment" : "inline",
            parameters: name.map { [("filename", $0)] } ?? [],
            to: &output
        )
        if let contentID = self.contentID {
            let bare = Array(contentID.utf8).filter { $0 > 0x20 && $0 < 0x7F && $0 != 0x3C && $0 != 0x3E }
            HeaderEncoder.appendStructured(name: "Content-ID", text: [0x3C] + bare + [0x3E], to: &output)
        }
        output.append(contentsOf: "\r\n".utf8)
        Base64.encode(self.bytes, into: &output)
    }

    private static func safeName(_ name: String) -> String {
        var safe = String.UnicodeScalarView()
        for scalar in name.unicodeScalars {
            let isPath = scalar == "/" || scalar == "\\"
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: safe.append("_")
            default: safe.append(isPath ? "_" : scalar)
            }
        }
        return String(safe)
    }
}
