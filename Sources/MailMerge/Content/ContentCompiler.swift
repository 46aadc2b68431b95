// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailingModel

/// Builds the ``Skeleton`` of a mailing's body.
struct ContentCompiler {
    private let content: MailingContent
    private let site: TrackingSite?
    /// Distinguishes contents; in boundaries, which quoted-printable and base64 text cannot imitate because of the `=`.
    private let mark: String
    private(set) var names: NameTable
    private(set) var skeleton = Skeleton()
    /// The header fields of a finished message that stay.
    private(set) var kept: [UInt8] = []

    init(_ content: MailingContent, site: TrackingSite?, names: NameTable) {
        self.content = content
        self.site = site
        self.names = names
        self.mark = Self.mark(of: content)
    }

    /// The boundary that joins a message with its attachments.
    var attachmentBoundary: String { "=_a\(self.mark)" }

    mutating func compile() throws(ContentError) {
        switch self.content.body {
        case .alternative(let html, let plain): try self.compile(html: html, plain: plain)
        case .mime(let bytes):
            let entity: MIMEEntity
            do {
                entity = try MIMEEntity(parsing: bytes)
            } catch {
                throw ContentError(part: "message", message: error.description)
            }
            self.keepFields(of: entity)
            try self.compile(entity, isRoot: true, isRead: true)
        }
        self.keepOnePixel()
        self.skeleton.boundaries.append(Array("--\(self.attachmentBoundary)".utf8))
    }

    // MARK: HTML and plain text

    private mutating func compile(html: String, plain: String?) throws(ContentError) {
        let isBlank = html.utf8.allSatisfy { Spaces.contains($0) }
        let plainText = plain.flatMap { $0.utf8.allSatisfy { Spaces.contains($0) } ? nil : Array($0.utf8) }
        if isBlank {
            self.skeleton.pieces = [.leaf(try self.text(plainText ?? [], subtype: "plain"))]
            return
        }
        let markup = Array(html.utf8)
        let boundary = "=_b\(self.mark)"
        self.skeleton.fields = Array("Content-Type: multipart/alternative; boundary=\"\(boundary)\"\r\n".utf8)
        self.skeleton.boundaries.append(Array("--\(boundary)".utf8))
        let made: [UInt8]
        if let plainText {
            made = plainText
        } else {
            do {
                made = try PlainTextMaker.plainText(of: TemplateSource(UnsubscribeMarks.restored(markup)))
            } catch {
                throw ContentError(part: "text/html", error)
            }
        }
        let htmlLeaf = try self.text(markup, subtype: "html")
        self.skeleton.pieces = [
            .bytes(Array("--\(boundary)\r\n".utf8)), .leaf(try self.text(made, subtype: "plain")),
            .bytes(Array("\r\n--\(boundary)\r\n".utf8)), .leaf(htmlLeaf),
            .bytes(Array("\r\n--\(boundary)--\r\n".utf8)),
        ]
    }

    private mutating func text(_ bytes: [UInt8], subtype: String) throws(ContentError) -> Skeleton.Leaf {
        let fields = Array("Content-Type: text/\(subtype); charset=utf-8\r\n".utf8)
        return try self.leaf(bytes, isHTML: subtype == "html", name: "text/\(subtype)", fields: fields)
    }

    private mutating func leaf(
        _ bytes: [UInt8],
        isHTML: Bool,
        name: String,
        fields: [UInt8]
    ) throws(ContentError) -> Skeleton.Leaf {
        let source = TemplateSource(UnsubscribeMarks.restored(bytes))
        var writer: LinkWriter?
        var ranges: [Lexer.LinkRange] = []
        do {
            if isHTML, self.site != nil, self.content.clickTracking {
                var links = LinkWriter(usesBase64: self.content.urlEncoding == .base64)
                for range in try LinkFinder.links(in: source) {
                    let index = links.add(templateAddress: source.bytes[range])
                    ranges.append(Lexer.LinkRange(range: range, index: index))
                }
                if !ranges.isEmpty { writer = links }
            }
            let program = try TemplateParser.compile(source, links: ranges, names: &self.names)
            return Skeleton.Leaf(
                program: program,
                mode: Renderer.Mode(escapes: isHTML && self.content.autoescape, links: writer),
                name: name,
                size: source.bytes.count,
                needsEncoding: program.statements.contains {
                    guard case .text(let text) = $0 else { return false }
                    return Self.hasLongLine(text)
                },
                endsWithNewline: source.endedWithNewline,
                hasPixel: isHTML && self.site != nil && self.content.readTracking,
                fields: fields
            )
        } catch {
            throw ContentError(part: name, error)
        }
    }

    /// Leaves the pixel in the last HTML part alone: of several alternatives, readers show the last one that they can.
    private mutating func keepOnePixel() {
        var hasPixel = false
        for index in self.skeleton.pieces.indices.reversed() {
            guard case .leaf(var leaf) = self.skeleton.pieces[index], leaf.hasPixel else { continue }
            leaf.hasPixel = !hasPixel
            hasPixel = true
            self.skeleton.pieces[index] = .leaf(leaf)
        }
    }

    // MARK: Finished messages

    /// Fields that are made anew or that speak of an earlier transport, in lower case.
    private static let removed: Set<String> = [
        "subject", "received", "to", "from", "user-agent", "date", "message-id", "list-unsubscribe",
        "list-unsubscribe-post", "dkim-signature", "authentication-results", "received-spf", "x-received",
        "delivered-to", "feedback-id", "precedence", "return-path", "mime-version", "bcc",
    ]

    private mutating func keepFields(of entity: MIMEEntity) {
        let charset = entity.declaredCharset
        for field in entity.headers {
            let name = field.name.lowercased()
            if Self.removed.contains(name) || name.hasPrefix("content-") { continue }
            if name == "reply-to", self.content.replyTo != nil { continue }
            Self.append(field, charset: charset, to: &self.kept)
        }
    }

    /// The longest line of a message without its CRLF, RFC 5322 §2.1.1.
    private static let lineLimit = 998
    /// Fields that hold mailboxes, in lower case.
    private static let addressFields: Set<String> = ["reply-to", "sender", "cc", "resent-from", "resent-sender"]

    /// Appends a field as found, made safe: line ends stay where white space follows them, ASCII stays ASCII, and a line
    /// that is too long is folded.
    private static func append(_ field: HeaderField, charset: Charset? = nil, to output: inout [UInt8]) {
        guard HeaderField.isValidName(field.name) else { return }
        if field.value.contains(where: { $0 >= 0x80 }) {
            return Self.appendInASCII(field, charset: charset, to: &output)
        }
        if field.value.split(separator: 0x0A).contains(where: { $0.count + field.name.utf8.count > Self.lineLimit }) {
            return HeaderEncoder.appendStructured(name: field.name, text: field.unfolded, to: &output)
        }
        var lines: [UInt8] = []
        LineEnds.appendCanonical(field.value, to: &lines)
        var value: [UInt8] = []
        for (index, byte) in lines.enumerated() where byte != 0 {
            if byte == 0x0D || byte == 0x0A {
                let after = index + (byte == 0x0D ? 2 : 1)
                let continues = after < lines.count && (lines[after] == 0x20 || lines[after] == 0x09)
                value.append(continues ? byte : 0x20)
            } else {
                value.append(byte)
            }
        }
        HeaderField(name: field.name, value: value).append(to: &output)
    }

    /// Appends a field that was found with raw bytes beyond ASCII, in the form that it should have had.
    private static func appendInASCII(_ field: HeaderField, charset: Charset?, to output: inout [UInt8]) {
        var value: String?
        var parameters: [ContentParameter] = []
        if field.isNamed("Content-Type"), let type = ContentType(parsing: field.unfolded) {
            (value, parameters) = (type.essence, type.parameters)
        } else if field.isNamed("Content-Disposition"), let disposition = ContentDisposition(parsing: field.unfolded) {
            (value, parameters) = (disposition.kind, disposition.parameters)
        }
        if let value {
            let written = parameters.map { (name: $0.name, text: $0.text) }
            HeaderEncoder.appendParameterised(name: field.name, value: value, parameters: written, to: &output)
        } else if field.name.lowercased().hasPrefix("content-") {
            HeaderEncoder.appendStructured(name: field.name, text: field.unfolded, to: &output)
        } else if Self.addressFields.contains(field.name.lowercased()),
            // What is no list of mailboxes is written as the text that it is.
            let mailboxes = try? Mailbox.list(parsing: field.unfolded, undeclared: charset)
        {
            HeaderEncoder.appendMailboxes(name: field.name, mailboxes, to: &output)
        } else {
            HeaderEncoder.appendUnstructured(name: field.name, text: field.text(undeclared: charset), to: &output)
        }
    }

    /// Compiles an entity: the text that is read is a template, everything else is carried as it is.
    ///
    /// Read are the text of the message itself, every alternative, and the first part of any other multipart, unless it
    /// is an attachment.
    private mutating func compile(_ entity: MIMEEntity, isRoot: Bool, isRead: Bool) throws(ContentError) {
        let type = entity.contentType
        guard case .multipart(var boundary, let parts, let preamble, let epilogue) = entity.body,
            !Self.isSealed(entity, type)
        else { return try self.compileLeaf(entity, type, isRoot: isRoot, isRead: isRead) }
        var fields: [UInt8]
        if boundary.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) {
            fields = Self.contentFields(of: entity, isRoot: isRoot)
        } else {
            boundary = "=_c\(self.mark)\(self.skeleton.boundaries.count)"
            fields = Self.contentFields(of: entity, isRoot: isRoot, replacing: ("boundary", boundary), of: type)
        }
        if isRoot {
            self.skeleton.fields = fields
        } else {
            self.add(fields + [0x0D, 0x0A])
        }
        self.skeleton.boundaries.append(Array("--\(boundary)".utf8))
        let delimiter = Array("--\(boundary)".utf8)
        var needsLineEnd = false
        if !preamble.isEmpty {
            self.add(Self.transportSafe(preamble))
            needsLineEnd = true
        }
        for (index, part) in parts.enumerated() {
            self.add((needsLineEnd ? [0x0D, 0x0A] : []) + delimiter + [0x0D, 0x0A])
            let isPartRead = isRead && (index == 0 || type.subtype == "alternative")
            let isAttachment = part.contentDisposition?.kind == "attachment"
            try self.compile(part, isRoot: false, isRead: isPartRead && !isAttachment)
            needsLineEnd = true
        }
        let last = (needsLineEnd ? [0x0D, 0x0A] : []) + delimiter + Array("--\r\n".utf8) + Self.transportSafe(epilogue)
        if isRoot, type.subtype == "mixed" {
            self.skeleton.closing = last
            self.skeleton.mixedBoundary = boundary
        } else {
            self.add(last)
        }
    }

    /// Whether a multipart is covered by a signature or encrypted, and can travel unchanged.
    private static func isSealed(_ entity: MIMEEntity, _ type: ContentType) -> Bool {
        guard type.subtype == "signed" || type.subtype == "encrypted" else { return false }
        return Self.isTransportSafe(entity.serialised())
    }

    private mutating func compileLeaf(
        _ entity: MIMEEntity,
        _ type: ContentType,
        isRoot: Bool,
        isRead: Bool
    ) throws(ContentError) {
        var fields = Self.contentFields(of: entity, isRoot: isRoot)
        if isRead, type.type == "text", case .leaf = entity.body {
            let text = try Self.text(of: entity, type)
            fields = Self.contentFields(of: entity, isRoot: isRoot, replacing: ("charset", "utf-8"), of: type)
            let leaf = try self.leaf(
                Array(text.utf8),
                isHTML: type.subtype == "html" || type.subtype == "xhtml",
                name: type.essence,
                fields: fields
            )
            self.skeleton.pieces.append(.leaf(leaf))
            return
        }
        // Everything else is carried as it is, but in a form that needs no 8-bit transport.
        var body: [UInt8] = []
        switch entity.body {
        case .leaf(let bytes):
            var canonical: [UInt8] = []
            LineEnds.appendCanonical(bytes, to: &canonical)
            if Self.isTransportSafe(canonical), entity.transferEncoding != "binary" {
                body = canonical
                Self.appendTransferEncoding(of: entity, to: &fields)
            } else {
                Base64.encode(entity.decodedBody(), into: &body)
                fields.append(contentsOf: "Content-Transfer-Encoding: base64\r\n".utf8)
            }
        case .multipart:
            var whole: [UInt8] = []
            LineEnds.appendCanonical(MIMEEntity(headers: [], body: entity.body).serialised(), to: &whole)
            body = Array(whole.drop { $0 == 0x0D || $0 == 0x0A })
            Self.appendTransferEncoding(of: entity, to: &fields)
        }
        if isRoot {
            self.skeleton.fields = fields
            self.add(body)
        } else {
            self.add(fields + [0x0D, 0x0A] + body)
        }
    }

    private static func text(of entity: MIMEEntity, _ type: ContentType) throws(ContentError) -> String {
        let bytes = entity.decodedBody()
        guard let label = type.parameter("charset"), !label.isEmpty else { return Charset.decodeUndeclared(bytes) }
        guard let charset = Charset(label: label) else {
            throw ContentError(part: type.essence, message: "the charset \(label) is not known")
        }
        return charset.decode(bytes)
    }

    private static func appendTransferEncoding(of entity: MIMEEntity, to fields: inout [UInt8]) {
        if let field = entity.header("Content-Transfer-Encoding") { Self.append(field, to: &fields) }
    }

    /// The fields that go with an entity's content, without the transfer encoding.
    ///
    /// With a replacement, `Content-Type` is written anew, that parameter first.
    private static func contentFields(
        of entity: MIMEEntity,
        isRoot: Bool,
        replacing replacement: (name: String, text: String)? = nil,
        of type: ContentType? = nil
    ) -> [UInt8] {
        var fields: [UInt8] = []
        if let type, let replacement {
            var parameters = [replacement]
            for parameter in type.parameters
            where ![replacement.name, "format", "delsp"].contains(parameter.name) {
                parameters.append((parameter.name, parameter.text))
            }
            HeaderEncoder.appendParameterised(
                name: "Content-Type",
                value: type.essence,
                parameters: parameters,
                to: &fields
            )
        }
        for field in entity.headers {
            let name = field.name.lowercased()
            if name == "content-transfer-encoding" || name == "content-length" || name == "mime-version" { continue }
            if type != nil, name == "content-type" || name == "content-md5" { continue }
            if isRoot, !name.hasPrefix("content-") { continue }
            Self.append(field, to: &fields)
        }
        return fields
    }

    private mutating func add(_ bytes: [UInt8]) {
        if case .bytes(let last)? = self.skeleton.pieces.last {
            self.skeleton.pieces[self.skeleton.pieces.count - 1] = .bytes(last + bytes)
        } else {
            self.skeleton.pieces.append(.bytes(bytes))
        }
    }

    /// A preamble or epilogue, which no reader shows, or nothing if it cannot travel.
    private static func transportSafe(_ bytes: [UInt8]) -> [UInt8] {
        var canonical: [UInt8] = []
        LineEnds.appendCanonical(bytes, to: &canonical)
        return Self.isTransportSafe(canonical) ? canonical : []
    }

    private static func isTransportSafe(_ bytes: [UInt8]) -> Bool {
        var column = 0
        for byte in bytes {
            if byte == 0x0A {
                column = 0
            } else {
                column += 1
                if byte >= 0x80 || byte == 0 || column > 990 { return false }
            }
        }
        return true
    }

    /// Whether a text cannot be 7bit whatever stands around it.
    private static func hasLongLine(_ text: [UInt8]) -> Bool {
        var column = 0
        for byte in text {
            column = byte == 0x0A ? 0 : column + 1
            if column > 76 || byte >= 0x7F { return true }
        }
        return false
    }

    /// 96 bits of a stable hash over the content.
    private static func mark(of content: MailingContent) -> String {
        var first: UInt64 = 0xCBF2_9CE4_8422_2325
        var second: UInt64 = 0x9E37_79B9_7F4A_7C15
        func mix(_ bytes: some Sequence<UInt8>) {
            for byte in bytes {
                first = (first ^ UInt64(byte)) &* 0x100_0000_01B3
                second = (second ^ UInt64(byte)) &* 0xFF51_AFD7_ED55_8CCD
                second ^= second >> 29
            }
            first = (first ^ 0xFF) &* 0x100_0000_01B3
        }
        mix("\(content.mailing)".utf8)
        mix(content.subject.utf8)
        switch content.body {
        case .alternative(let html, let plain):
            mix(html.utf8)
            mix((plain ?? "").utf8)
        case .mime(let bytes): mix(bytes)
        }
        func hexadecimal(_ value: UInt64, _ width: Int) -> String {
            let digits = String(value, radix: 16)
            return String((String(repeating: "0", count: 16) + digits).suffix(width))
        }
        return hexadecimal(first, 16) + hexadecimal(second, 8)
    }
}
