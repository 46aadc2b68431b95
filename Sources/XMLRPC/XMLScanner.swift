// SPDX-License-Identifier: Apache-2.0

// The part of XML 1.0 that XML-RPC needs, read in one pass over chunks of any size. A document type declaration ends
// the reading, so there are no entities but the five predefined ones and character references, and nothing can
// refer to a file or a host. What is checked less than XML asks: attributes are skipped over, `--` within comments and
// `]]>` within text pass.

/// Splits chunks of bytes into tags and text and hands them to the builder.
struct XMLScanner: Sendable {
    private enum State {
        case start, byteOrderMark
        case text, entity
        case tagOpen, startName, insideTag, attributeName, attributeEquals, attributeValue, emptyTag, endName, endSpace
        case declaration, comment, cdata, instruction
    }

    private enum Encoding {
        case utf8, latin1, ascii
    }

    private static let longestName = 64
    private static let longestEntity = 12
    private static let longestXMLDeclaration = 256

    /// What the document has said so far.
    var builder: DocumentBuilder
    /// Bytes of earlier chunks.
    private(set) var consumed = 0

    private var state = State.start
    private var encoding = Encoding.utf8
    /// The name, entity, declaration or instruction being read; bounded for each of them.
    private var token: [UInt8] = []
    /// Characters seen of a closing mark that has several, such as `-->`.
    private var run = 0
    private var quote: UInt8 = 0
    private var lastWasReturn = false
    private var mayDeclareXML = true

    init(builder: DocumentBuilder) {
        self.builder = builder
    }

    /// Whether the bytes so far could be a whole document as far as XML is concerned.
    var isBetweenTags: Bool { self.state == .text }

    mutating func scan(_ chunk: Span<UInt8>) throws(XMLRPCError) {
        var index = 0
        do throws(XMLRPCError) {
            guard chunk.count <= self.builder.limits.documentBytes - self.consumed else {
                throw XMLRPCError(.tooLarge, "document exceeds \(self.builder.limits.documentBytes) bytes")
            }
            while index < chunk.count {
                try self.step(chunk, &index)
            }
        } catch {
            var located = error
            located.offset = self.consumed + index
            throw located
        }
        self.consumed += chunk.count
    }

    private mutating func step(_ chunk: Span<UInt8>, _ index: inout Int) throws(XMLRPCError) {
        switch self.state {
        case .text:
            try self.scanText(chunk, &index)
            return
        case .startName, .endName:
            try self.scanName(chunk, &index)
            return
        case .start, .byteOrderMark: try self.begin(chunk[index])
        case .entity: try self.scanEntity(chunk[index])
        case .tagOpen: try self.openTag(chunk[index])
        case .insideTag, .emptyTag, .endSpace: try self.scanInsideTag(chunk[index])
        case .attributeName, .attributeEquals, .attributeValue: try self.scanAttribute(chunk[index])
        case .declaration: try self.scanDeclaration(chunk[index])
        case .comment: self.scanComment(chunk[index])
        case .cdata: try self.scanCDATA(chunk[index])
        case .instruction: try self.scanInstruction(chunk[index])
        }
        index += 1
    }

    // MARK: Beginning

    private mutating func begin(_ byte: UInt8) throws(XMLRPCError) {
        if self.state == .start {
            switch byte {
            case 0xEF:
                self.state = .byteOrderMark
                self.run = 1
            case 0xFE, 0xFF, 0x00:
                throw Self.utf16
            case UInt8(ascii: "<"):
                self.state = .tagOpen
            default:
                guard byte.isXMLSpace else { throw XMLRPCError(.notWellFormed, "document does not begin with '<'") }
                self.mayDeclareXML = false
                self.state = .text
            }
            return
        }
        guard byte == (self.run == 1 ? 0xBB : 0xBF) else {
            throw XMLRPCError(.notWellFormed, "document does not begin with '<'")
        }
        self.run += 1
        if self.run == 3 {
            self.state = .text
        }
    }

    private static var utf16: XMLRPCError {
        XMLRPCError(.unsupportedEncoding, "documents in UTF-16 or UTF-32 are not read; send UTF-8")
    }

    // MARK: Text

    private mutating func scanText(_ chunk: Span<UInt8>, _ index: inout Int) throws(XMLRPCError) {
        let isUTF8 = self.encoding == .utf8
        if self.lastWasReturn {
            self.lastWasReturn = false
            if chunk[index] == 0x0A {
                index += 1
                return
            }
        }
        let start = index
        while index < chunk.count {
            let byte = chunk[index]
            if byte >= 0x80 ? !isUTF8 : byte < 0x20 ? byte != 0x0A && byte != 0x09 : byte == 0x3C || byte == 0x26 {
                break
            }
            index += 1
        }
        if index > start {
            try self.builder.text(chunk.extracting(start..<index))
        }
        guard index < chunk.count else { return }
        try self.scanSpecial(chunk[index])
        index += 1
    }

    /// Reads a byte of text that does not stand for itself.
    private mutating func scanSpecial(_ byte: UInt8) throws(XMLRPCError) {
        switch byte {
        case UInt8(ascii: "<"):
            self.state = .tagOpen
        case UInt8(ascii: "&"):
            self.token.removeAll(keepingCapacity: true)
            self.state = .entity
        case 0x0D:
            // XML 1.0 §2.11: CRLF and CR are read as LF.
            self.lastWasReturn = true
            try self.builder.character(0x0A)
        case 0x80... where self.encoding == .latin1:
            try self.builder.character(UInt32(byte))
        case 0x80...:
            throw XMLRPCError(.invalidText, "byte \(byte) in a document declared as us-ascii")
        default:
            throw XMLRPCError(.invalidText, "control character \(byte) is not allowed in XML")
        }
    }

    private mutating func scanEntity(_ byte: UInt8) throws(XMLRPCError) {
        guard byte == UInt8(ascii: ";") else {
            guard byte > 0x20, byte < 0x80, self.token.count < Self.longestEntity else {
                throw XMLRPCError(.notWellFormed, "'&' does not begin an entity")
            }
            self.token.append(byte)
            return
        }
        try self.builder.character(try self.entityCharacter())
        self.state = .text
    }

    private func entityCharacter() throws(XMLRPCError) -> UInt32 {
        let name = String(decoding: self.token, as: UTF8.self)
        switch name {
        case "lt": return 0x3C
        case "gt": return 0x3E
        case "amp": return 0x26
        case "quot": return 0x22
        case "apos": return 0x27
        default: break
        }
        guard name.hasPrefix("#") else {
            throw XMLRPCError(.notWellFormed, "entity '&\(name);' is not defined")
        }
        let isHexadecimal = name.hasPrefix("#x")
        let digits = name.dropFirst(isHexadecimal ? 2 : 1)
        guard
            digits.first?.isHexDigit == true, let value = UInt32(digits, radix: isHexadecimal ? 16 : 10),
            Self.isCharacter(value)
        else { throw XMLRPCError(.invalidText, "'&\(name);' is no character of XML") }
        return value
    }

    /// Whether XML 1.0 §2.2 has such a character.
    private static func isCharacter(_ value: UInt32) -> Bool {
        switch value {
        case 0x09, 0x0A, 0x0D, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
        default: false
        }
    }

    // MARK: Tags

    private mutating func openTag(_ byte: UInt8) throws(XMLRPCError) {
        if !self.token.isEmpty {
            self.token.removeAll(keepingCapacity: true)
        }
        self.run = 0
        switch byte {
        case UInt8(ascii: "/"): self.state = .endName
        case UInt8(ascii: "!"): self.state = .declaration
        case UInt8(ascii: "?"): self.state = .instruction
        case 0: throw Self.utf16
        default:
            guard Self.isNameByte(byte) else { throw XMLRPCError(.notWellFormed, "'<' does not begin a tag") }
            self.token.append(byte)
            self.state = .startName
        }
        if self.state != .instruction {
            self.mayDeclareXML = false
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case ...0x20, UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "/"), UInt8(ascii: "="), UInt8(ascii: "&"),
            UInt8(ascii: "\""), UInt8(ascii: "'"), 0x7F:
            false
        default: true
        }
    }

    private mutating func scanName(_ chunk: Span<UInt8>, _ index: inout Int) throws(XMLRPCError) {
        let start = index
        while index < chunk.count, Self.isNameByte(chunk[index]) {
            index += 1
        }
        guard self.token.count + index - start <= Self.longestName else {
            throw XMLRPCError(.notWellFormed, "an element's name exceeds \(Self.longestName) bytes")
        }
        chunk.extracting(start..<index).withUnsafeBufferPointer { self.token.append(contentsOf: $0) }
        guard index < chunk.count else { return }
        let byte = chunk[index]
        index += 1
        if self.state == .endName {
            try self.finishEndName(byte)
        } else {
            try self.finishStartName(byte)
        }
    }

    private mutating func finishStartName(_ byte: UInt8) throws(XMLRPCError) {
        try self.builder.start(self.token)
        self.state = .insideTag
        try self.scanInsideTag(byte)
    }

    private mutating func finishEndName(_ byte: UInt8) throws(XMLRPCError) {
        try self.builder.end(self.token)
        self.state = .endSpace
        try self.scanInsideTag(byte)
    }

    private mutating func scanInsideTag(_ byte: UInt8) throws(XMLRPCError) {
        switch (self.state, byte) {
        case (.emptyTag, UInt8(ascii: ">")):
            try self.builder.end(self.token)
            self.state = .text
        case (.insideTag, UInt8(ascii: ">")), (.endSpace, UInt8(ascii: ">")):
            self.state = .text
        case (.insideTag, UInt8(ascii: "/")):
            self.state = .emptyTag
        case (.insideTag, _) where byte.isXMLSpace, (.endSpace, _) where byte.isXMLSpace:
            break
        case (.insideTag, _) where Self.isNameByte(byte):
            self.state = .attributeName
        default:
            throw XMLRPCError(.notWellFormed, "a tag is not closed by '>'")
        }
    }

    private mutating func scanAttribute(_ byte: UInt8) throws(XMLRPCError) {
        switch self.state {
        case .attributeName:
            if byte == UInt8(ascii: "=") {
                self.state = .attributeEquals
            } else if !Self.isNameByte(byte), !byte.isXMLSpace {
                throw XMLRPCError(.notWellFormed, "an attribute has no value")
            }
        case .attributeEquals:
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                self.quote = byte
                self.state = .attributeValue
            } else if !byte.isXMLSpace {
                throw XMLRPCError(.notWellFormed, "an attribute's value is not quoted")
            }
        default:
            if byte == self.quote {
                self.state = .insideTag
            } else if byte == UInt8(ascii: "<") || byte == 0 {
                throw XMLRPCError(.notWellFormed, "an attribute's value is not closed")
            }
        }
    }

    // MARK: Declarations, comments, CDATA sections, instructions

    private mutating func scanDeclaration(_ byte: UInt8) throws(XMLRPCError) {
        self.token.append(byte)
        if self.token == Array("--".utf8) {
            self.state = .comment
            self.run = 0
        } else if self.token == Array("[CDATA[".utf8) {
            self.state = .cdata
            self.run = 0
        } else if self.token[0] == UInt8(ascii: "D") {
            throw XMLRPCError(.documentType, "document type declarations are refused")
        } else if !"--".utf8.starts(with: self.token), !"[CDATA[".utf8.starts(with: self.token) {
            throw XMLRPCError(.notWellFormed, "'<!' begins neither a comment nor a CDATA section")
        }
    }

    private mutating func scanComment(_ byte: UInt8) {
        if byte == UInt8(ascii: ">"), self.run >= 2 {
            self.state = .text
        } else {
            self.run = byte == UInt8(ascii: "-") ? self.run + 1 : 0
        }
    }

    private mutating func scanCDATA(_ byte: UInt8) throws(XMLRPCError) {
        let wasReturn = self.lastWasReturn
        self.lastWasReturn = false
        switch byte {
        case UInt8(ascii: "]"):
            // Of any number of brackets only the last two can belong to the closing mark.
            if self.run == 2 {
                try self.builder.character(UInt32(byte))
            } else {
                self.run += 1
            }
            return
        case UInt8(ascii: ">") where self.run == 2:
            self.run = 0
            self.state = .text
            return
        default:
            break
        }
        for _ in 0..<self.run {
            try self.builder.character(UInt32(UInt8(ascii: "]")))
        }
        self.run = 0
        switch byte {
        case 0x0A where wasReturn:
            break
        case UInt8(ascii: "<"), UInt8(ascii: "&"), 0x09, 0x0A, 0x20..<0x80:
            try self.builder.character(UInt32(byte))
        case 0x80... where self.encoding == .utf8:
            try self.builder.byte(byte)
        default:
            try self.scanSpecial(byte)
        }
    }

    private mutating func scanInstruction(_ byte: UInt8) throws(XMLRPCError) {
        if byte == UInt8(ascii: ">"), self.run == 1 {
            self.state = .text
            try self.readXMLDeclaration()
            self.mayDeclareXML = false
            return
        }
        self.run = byte == UInt8(ascii: "?") ? 1 : 0
        if self.token.count <= Self.longestXMLDeclaration {
            self.token.append(byte)
        }
    }

    private mutating func readXMLDeclaration() throws(XMLRPCError) {
        let isDeclaration = self.token.starts(with: Array("xml".utf8)) && self.token.count > 3 && self.token[3] <= 0x3F
        guard isDeclaration else { return }
        guard self.mayDeclareXML, self.token.count <= Self.longestXMLDeclaration else {
            throw XMLRPCError(.notWellFormed, "an XML declaration out of place or too long")
        }
        let text = String(decoding: self.token, as: UTF8.self)
        guard let found = text.range(of: "encoding") else { return }
        let parts = text[found.upperBound...].split(
            maxSplits: 2,
            omittingEmptySubsequences: false,
            whereSeparator: { $0 == "\"" || $0 == "'" }
        )
        guard parts.count >= 2, parts[0].filter({ !$0.isWhitespace }) == "=" else {
            throw XMLRPCError(.notWellFormed, "the XML declaration names no encoding")
        }
        switch parts[1].lowercased() {
        case "utf-8", "utf8": self.encoding = .utf8
        case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1": self.encoding = .latin1
        case "us-ascii", "ascii": self.encoding = .ascii
        default:
            throw XMLRPCError(
                .unsupportedEncoding,
                "encoding '\(parts[1])' is not read; send utf-8, iso-8859-1 or us-ascii"
            )
        }
    }
}

extension String {
    /// Where a text first occurs, without Foundation.
    fileprivate func range(of needle: String) -> Range<String.Index>? {
        var start = self.startIndex
        while start < self.endIndex {
            if self[start...].hasPrefix(needle) {
                return start..<self.index(start, offsetBy: needle.count)
            }
            start = self.index(after: start)
        }
        return nil
    }
}
