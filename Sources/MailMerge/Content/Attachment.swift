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

    /// The longest name, in bytes.
    public static let filenameLimit = 255
    /// The longest Content-ID, in bytes: its field is one line.
    public static let contentIDLimit = 250

    /// Validates an attachment before anybody's message depends on it.
    ///
    /// - Throws: ``ContentError`` for what could be written only by changing it, or would not be understood by receivers.
    public func check() throws(ContentError) {
        func refusal(_ reason: String) -> ContentError { ContentError(part: "attachment", message: reason) }
        for case let text? in [self.filename, self.contentType, self.charset, self.contentID]
        where text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
            throw refusal("an attachment's name, type or id holds a control character")
        }
        if let filename = self.filename, !(1...Self.filenameLimit).contains(filename.utf8.count) {
            throw refusal("an attachment's name has 1 to \(Self.filenameLimit) bytes")
        }
        guard let type = ContentType(parsing: Array(self.contentType.utf8)),
            let essence = self.contentType.split(separator: ";", maxSplits: 1).first,
            String(decoding: TextFilters.trimmed(Array(essence.utf8)[...], nil), as: UTF8.self).lowercased()
                == type.essence
        else { throw refusal("an attachment's content type is not of the form type/subtype") }
        if type.type == "text", let label = self.charset ?? type.parameter("charset"), Charset(label: label) == nil {
            throw refusal("an attachment's charset '\(label.prefix(40))' is not known")
        }
        if let contentID = self.contentID {
            let bare = Self.bare(contentID)
            guard (1...Self.contentIDLimit).contains(bare.count),
                bare.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3C && $0 != 0x3E })
            else {
                throw refusal(
                    "an attachment's content id has 1 to \(Self.contentIDLimit) visible ASCII characters other than < and >"
                )
            }
        }
    }

    /// A Content-ID without the angle brackets around it.
    private static func bare(_ contentID: String) -> ArraySlice<UInt8> {
        let bytes = Array(contentID.utf8)
        return bytes.count >= 2 && bytes.first == 0x3C && bytes.last == 0x3E ? bytes.dropFirst().dropLast() : bytes[...]
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
    /// - Throws: ``MergeEncodingError`` for bytes that are no attachment.
    public init(decoding encoded: [UInt8]) throws(MergeEncodingError) {
        let fields = try MergeFields(decoding: encoded)
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
