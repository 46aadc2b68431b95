// SPDX-License-Identifier: Apache-2.0

import MailFormat
public import MailingModel

/// A content revision, ready to be rendered for any number of recipients.
///
/// Rendering is a function: the same revision and the same recipient give the same bytes on every machine, so that a
/// second attempt sends the message of the first. Nothing of it depends on the clock, on chance or on a locale.
public struct CompiledContent: Sendable {
    /// The most bytes of a rendered subject; what exceeds them is left out.
    public static let subjectByteLimit = 2_000
    /// The most bytes of a display name made of merge fields; what exceeds them is left out.
    static let displayNameByteLimit = 200

    private let mailing: MailingID
    private let site: TrackingSite?
    private let names: NameTable
    private let subject: Program
    private let subjectSize: Int
    private let skeleton: Skeleton
    private let attachmentBoundary: String
    /// Whether `List-Unsubscribe-Post` is written: only if the site is reached by HTTPS and a signature covers the field.
    private let hasOneClick: Bool
    /// What follows the `@` of a Message-ID: the sender's domain.
    private let messageIDDomain: [UInt8]
    /// `From`, and the kept fields of a finished message, written out.
    private let from: [UInt8]
    private let kept: [UInt8]
    private let slots: Slots

    /// The slots of the names that rendering itself knows.
    private struct Slots: Sendable {
        var unsubscribe: [Int]
        var trackingURL: Int
        var urlEncoding: Int
        var email: Int
        var firstName: Int
        var lastName: Int
    }

    /// What `_url_encoding` and `_tracking_url` are for every recipient.
    private let urlEncoding: Value

    /// Compiles a revision.
    ///
    /// - Throws: ``ContentError`` naming the part and the position in it.
    public init(_ content: MailingContent) throws(ContentError) {
        self.mailing = content.mailing
        self.site = TrackingSite(content.trackingURL)
        var names = NameTable()
        self.slots = Slots(
            unsubscribe: [names.intern(Array("unsubscribe".utf8)), names.intern(Array("UNSUBSCRIBE".utf8))],
            trackingURL: names.intern(Array("_tracking_url".utf8)),
            urlEncoding: names.intern(Array("_url_encoding".utf8)),
            email: names.intern(Array("email".utf8)),
            firstName: names.intern(Array("firstname".utf8)),
            lastName: names.intern(Array("lastname".utf8))
        )
        self.urlEncoding = .text(content.urlEncoding.rawValue)
        let subject = TemplateSource(content.subject.utf8)
        do {
            self.subject = try TemplateParser.compile(subject, names: &names)
        } catch {
            throw ContentError(part: "subject", error)
        }
        self.subjectSize = subject.bytes.count
        let sender = try Self.sender(content)
        self.from = Self.from(sender, name: content.senderName) + (try Self.replyTo(content))
        self.messageIDDomain = Self.messageIDDomain(of: sender)
        self.hasOneClick = self.site?.isSecure == true && content.dkim.contains(where: \.enabled)
        var compiler = ContentCompiler(content, site: self.site, names: names)
        try compiler.compile()
        self.skeleton = compiler.skeleton
        self.attachmentBoundary = compiler.attachmentBoundary
        self.kept = compiler.kept
        self.names = compiler.names
    }

    private static func sender(_ content: MailingContent) throws(ContentError) -> EmailAddress {
        do {
            return try EmailAddress(lenient: content.mailFrom)
        } catch {
            throw ContentError(part: "From", message: error.description)
        }
    }

    private static func from(_ sender: EmailAddress, name: String) -> [UInt8] {
        var field: [UInt8] = []
        HeaderEncoder.appendMailboxes(name: "From", [Mailbox(displayName: name, address: sender)], to: &field)
        return field
    }

    /// The sender's domain as a Message-ID has it: an address literal loses its brackets and colons.
    private static func messageIDDomain(of sender: EmailAddress) -> [UInt8] {
        sender.asciiDomain.utf8.filter { $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "]") }
            .map { $0 == UInt8(ascii: ":") ? UInt8(ascii: "-") : $0 }
    }

    private static func replyTo(_ content: MailingContent) throws(ContentError) -> [UInt8] {
        guard let text = content.replyTo else { return [] }
        do {
            var field: [UInt8] = []
            let mailbox = Mailbox(displayName: "", address: try EmailAddress(lenient: text))
            HeaderEncoder.appendMailboxes(name: "Reply-To", [mailbox], to: &field)
            return field
        } catch {
            throw ContentError(part: "Reply-To", message: error.description)
        }
    }

    /// The names that the content takes from the merge fields, those that rendering looks at itself included.
    public var fieldNames: [String] { self.names.names.map { String(decoding: $0, as: UTF8.self) } }

    /// Renders one recipient's message into `scratch`.
    ///
    /// - Parameters:
    ///   - recipient: Whose message it is.
    ///   - scratch: Its ``RenderScratch/header`` and ``RenderScratch/body`` are replaced.
    ///   - budget: What the templates may use together, beyond their own size.
    /// - Throws: ``RenderError`` if this recipient's message cannot be made; others are not concerned.
    public func render(
        _ recipient: RenderRecipient,
        scratch: inout RenderScratch,
        budget: RenderBudget = RenderBudget()
    ) throws(RenderError) {
        scratch.header.removeAll(keepingCapacity: true)
        scratch.body.removeAll(keepingCapacity: true)
        scratch.renderer.budget = budget
        try self.loadFields(of: recipient, into: &scratch.renderer)
        let subject = try self.renderSubject(&scratch.renderer)
        let contentFields = try self.renderBody(recipient, &scratch)
        try self.writeHeader(recipient, subject: subject, contentFields: contentFields, &scratch)
    }

    private func loadFields(of recipient: RenderRecipient, into renderer: inout Renderer) throws(RenderError) {
        renderer.fields.reset(count: self.names.count)
        let unsubscribe = Value.text(self.site?.address("u", recipient.trackingID) ?? [])
        for slot in self.slots.unsubscribe { renderer.fields.slots[slot] = .value(unsubscribe) }
        renderer.fields.slots[self.slots.trackingURL] = .value(.text(self.site?.base ?? []))
        renderer.fields.slots[self.slots.urlEncoding] = .value(self.urlEncoding)
        renderer.fields.slots[self.slots.email] = .value(.text(recipient.address.envelopeText))
        try renderer.fields.load(recipient.mergeFields, names: self.names)
    }

    private func renderSubject(_ renderer: inout Renderer) throws(RenderError) -> [UInt8] {
        let bytes = renderer.budget.bytes
        renderer.budget.bytes += self.subjectSize
        try Self.run(self.subject, Renderer.Mode(escapes: false, links: nil), "subject", &renderer)
        renderer.budget.bytes = bytes
        guard renderer.output.count > Self.subjectByteLimit else { return renderer.output }
        return Self.cut(renderer.output, Self.subjectByteLimit)
    }

    private static func cut(_ text: [UInt8], _ limit: Int) -> [UInt8] {
        var end = min(limit, text.count)
        while end > 0, end < text.count, text[end] & 0xC0 == 0x80 { end -= 1 }
        return Array(text[..<end])
    }

    private static func run(
        _ program: Program,
        _ mode: Renderer.Mode,
        _ part: String,
        _ renderer: inout Renderer
    ) throws(RenderError) {
        renderer.output.removeAll(keepingCapacity: true)
        do {
            try renderer.run(program, mode: mode)
        } catch {
            var error = error
            error.part = part
            throw error
        }
    }

    // MARK: Body

    /// Writes the body and returns the `Content-…` fields that go into the header.
    private func renderBody(_ recipient: RenderRecipient, _ scratch: inout RenderScratch) throws(RenderError) -> [UInt8]
    {
        var fields = self.skeleton.fields
        let isWrapped = !recipient.attachments.isEmpty && self.skeleton.mixedBoundary == nil
        if isWrapped {
            fields = Array("Content-Type: multipart/mixed; boundary=\"\(self.attachmentBoundary)\"\r\n".utf8)
            scratch.body.append(contentsOf: "--\(self.attachmentBoundary)\r\n".utf8)
            if !self.skeleton.fields.isEmpty {
                scratch.body.append(contentsOf: self.skeleton.fields)
                scratch.body.append(contentsOf: "\r\n".utf8)
            }
        }
        let isSingle = !isWrapped && self.skeleton.pieces.count == 1
        for piece in self.skeleton.pieces {
            switch piece {
            case .bytes(let bytes): scratch.body.append(contentsOf: bytes)
            case .leaf(let leaf):
                let leafFields = try self.render(leaf, recipient, &scratch, isWholeBody: isSingle)
                if isSingle { fields = leafFields }
            }
        }
        if !recipient.attachments.isEmpty {
            let boundary = self.skeleton.mixedBoundary ?? self.attachmentBoundary
            for attachment in recipient.attachments {
                scratch.body.append(contentsOf: "\r\n--\(boundary)\r\n".utf8)
                attachment.append(to: &scratch.body)
            }
            if isWrapped { scratch.body.append(contentsOf: "\r\n--\(boundary)--\r\n".utf8) }
        }
        scratch.body.append(contentsOf: self.skeleton.closing)
        if scratch.body.last != 0x0A { scratch.body.append(contentsOf: [0x0D, 0x0A]) }
        return fields
    }

    /// Writes a part; returns its fields instead of writing them if it is the whole body.
    private func render(
        _ leaf: Skeleton.Leaf,
        _ recipient: RenderRecipient,
        _ scratch: inout RenderScratch,
        isWholeBody: Bool
    ) throws(RenderError) -> [UInt8] {
        var mode = leaf.mode
        if mode.links != nil, let site = self.site { mode.links?.prefix = site.address("c", recipient.trackingID) }
        let bytes = scratch.renderer.budget.bytes
        scratch.renderer.budget.bytes += leaf.size
        try Self.run(leaf.program, mode, leaf.name, &scratch.renderer)
        scratch.renderer.budget.bytes = bytes - max(0, scratch.renderer.output.count - leaf.size)
        if leaf.endsWithNewline { scratch.renderer.output.append(0x0A) }
        if leaf.hasPixel, let site = self.site { Self.appendPixel(site, recipient, to: &scratch.renderer.output) }
        var encoding = self.encoding(of: scratch.renderer.output, in: leaf)
        if encoding != .base64, self.imitatesBoundary(scratch.renderer.output) { encoding = .base64 }
        var fields: [UInt8] = []
        if isWholeBody {
            fields = leaf.fields
            Self.appendEncoding(encoding, to: &fields)
        } else {
            scratch.body.append(contentsOf: leaf.fields)
            Self.appendEncoding(encoding, to: &scratch.body)
            scratch.body.append(contentsOf: [0x0D, 0x0A])
        }
        encoding.append(scratch.renderer.output, isText: true, to: &scratch.body)
        return fields
    }

    /// The transfer encoding of a rendered part.
    ///
    /// Where the template alone rules out 7bit, only the share of bytes to be quoted is left to look at.
    private func encoding(of text: [UInt8], in leaf: Skeleton.Leaf) -> BodyEncoding {
        guard leaf.needsEncoding else { return BodyEncoding.choose(for: text, isText: true) }
        var quoted = 0
        text.withUnsafeBufferPointer { text in
            for byte in text { quoted &+= byte > 0x7E || byte == 0x3D ? 1 : 0 }
        }
        return quoted > text.count / 6 ? .base64 : .quotedPrintable
    }

    private static func appendEncoding(_ encoding: BodyEncoding, to output: inout [UInt8]) {
        output.append(contentsOf: "Content-Transfer-Encoding: ".utf8)
        output.append(contentsOf: encoding.headerValue.utf8)
        output.append(contentsOf: [0x0D, 0x0A])
    }

    private static func appendPixel(_ site: TrackingSite, _ recipient: RenderRecipient, to output: inout [UInt8]) {
        output.append(contentsOf: "<img src=\"".utf8)
        output.append(contentsOf: site.address("r", recipient.trackingID))
        output.append(contentsOf: "/blank.gif\" border=\"0\" alt=\"\" width=\"1\" height=\"1\" />\n".utf8)
    }

    /// Whether a line of the text would be taken for a delimiter.
    private func imitatesBoundary(_ text: [UInt8]) -> Bool {
        text.withUnsafeBufferPointer { text in
            var position = 0
            // Two hyphens in a row cannot be missed by looking at every second byte.
            while position + 1 < text.count {
                guard text[position] == 0x2D else {
                    position += 2
                    continue
                }
                var start = position
                while start > 0, text[start - 1] == 0x2D { start -= 1 }
                if start == 0 || text[start - 1] == 0x0A || text[start - 1] == 0x0D {
                    let line = text[start...]
                    if self.skeleton.boundaries.contains(where: { line.starts(with: $0) }) { return true }
                }
                while position < text.count, text[position] == 0x2D { position += 1 }
            }
            return false
        }
    }

    // MARK: Header

    private func writeHeader(
        _ recipient: RenderRecipient,
        subject: [UInt8],
        contentFields: [UInt8],
        _ scratch: inout RenderScratch
    ) throws(RenderError) {
        scratch.header.append(contentsOf: self.from)
        let mailbox = Mailbox(displayName: try self.displayName(&scratch.renderer), address: recipient.address)
        HeaderEncoder.appendMailboxes(name: "To", [mailbox], to: &scratch.header)
        HeaderEncoder.appendUnstructured(name: "Subject", text: subject, to: &scratch.header)
        scratch.header.append(contentsOf: "Date: ".utf8)
        MessageDate.append(recipient.date.seconds, to: &scratch.header)
        scratch.header.append(contentsOf: "\r\n".utf8)
        self.appendMessageID(of: recipient, to: &scratch.header)
        if let site = self.site {
            scratch.header.append(contentsOf: "List-Unsubscribe: <".utf8)
            scratch.header.append(contentsOf: site.address("u", recipient.trackingID))
            scratch.header.append(contentsOf: ">\r\n".utf8)
            if self.hasOneClick {
                scratch.header.append(contentsOf: "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".utf8)
            }
        }
        scratch.header.append(contentsOf: self.kept)
        scratch.header.append(contentsOf: "MIME-Version: 1.0\r\n".utf8)
        scratch.header.append(contentsOf: contentFields)
    }

    /// Appends the Message-ID, which names the message: recipient, mailing, and a hash of its Date and tracking id.
    ///
    /// The hash keeps messages apart that two installations, or one that has begun anew, send for one domain, since
    /// numbers of mailings and recipients are their own. Retries and later revisions have the same Message-ID.
    ///
    /// - Note: RFC 5322 §3.6.4.
    private func appendMessageID(of recipient: RenderRecipient, to header: inout [UInt8]) {
        header.append(contentsOf: "Message-ID: <".utf8)
        Decimal.append(recipient.id.packed, to: &header)
        header.append(UInt8(ascii: "."))
        Decimal.append(Int64(self.mailing.rawValue), to: &header)
        header.append(UInt8(ascii: "."))
        var named = Array(recipient.trackingID.utf8)
        withUnsafeBytes(of: recipient.date.milliseconds.bigEndian) { named.append(contentsOf: $0) }
        let digits = String(StableHash.fnv1a(named), radix: 36)
        header.append(contentsOf: digits.utf8)
        header.append(UInt8(ascii: "@"))
        header.append(contentsOf: self.messageIDDomain)
        header.append(contentsOf: ">\r\n".utf8)
    }

    private func displayName(_ renderer: inout Renderer) throws(RenderError) -> String {
        var name: [UInt8] = []
        for slot in [self.slots.firstName, self.slots.lastName] {
            let text = try renderer.fields.value(slot, budget: &renderer.budget)
            if text.isNone { continue }
            let trimmed = TextFilters.trimmed(text.asText.bytes, nil)
            if !name.isEmpty, !trimmed.isEmpty { name.append(UInt8(ascii: " ")) }
            name.append(contentsOf: trimmed)
        }
        return String(decoding: Self.cut(name, Self.displayNameByteLimit), as: UTF8.self)
    }
}
