// SPDX-License-Identifier: Apache-2.0

/// Splits a template into tokens the way Jinja2's default delimiters do, whitespace control and raw blocks included.
struct Lexer {
    /// Where a tracked link's address begins and ends.
    struct LinkRange: Hashable, Sendable {
        var range: Range<Int>
        var index: Int
    }

    /// A tag as it stands in the source, delimiters included.
    struct TagRange: Hashable, Sendable {
        enum Kind: Hashable, Sendable { case output, block, comment, rawBegin, rawEnd }
        var kind: Kind
        var range: Range<Int>
    }

    /// All tags in order, once ``tokenize()`` has returned.
    private(set) var tags: [TagRange] = []
    private let source: TemplateSource
    private let marks: [(offset: Int, kind: Token.Kind)]
    private var nextMark = 0
    private var tokens: [Token] = []
    private var stripNext = false

    /// Prepares a source with links: ranges of text that hold whole tags only, ascending, apart from each other.
    init(_ source: TemplateSource, links: [LinkRange] = []) {
        self.source = source
        self.marks = links.flatMap { link in
            [(link.range.lowerBound, Token.Kind.linkBegin(link.index)), (link.range.upperBound, Token.Kind.linkEnd)]
        }
    }

    /// All tokens, ending with ``Token/Kind/end``.
    mutating func tokenize() throws(TemplateError) -> [Token] {
        let bytes = self.source.bytes
        var textStart = 0
        var position = 0
        while position < bytes.count {
            guard bytes[position] == UInt8(ascii: "{") else {
                position += 1
                continue
            }
            let second = self.source.byte(position + 1)
            guard second == UInt8(ascii: "{") || second == UInt8(ascii: "%") || second == UInt8(ascii: "#") else {
                position += 1
                continue
            }
            let sign = self.source.byte(position + 2)
            let signed = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
            self.addText(textStart..<position, stripEnd: sign == UInt8(ascii: "-"))
            let inner = position + (signed ? 3 : 2)
            switch second {
            case UInt8(ascii: "#"):
                let begin = position
                position = try self.passComment(from: position, inner: inner)
                self.tags.append(TagRange(kind: .comment, range: begin..<position))
            case UInt8(ascii: "%"):
                if let raw = self.rawBegin(at: inner) {
                    self.tags.append(TagRange(kind: .rawBegin, range: position..<raw.content))
                    position = try self.readRaw(from: position, content: raw.content, strip: raw.strip)
                } else {
                    self.add(.blockBegin, at: position)
                    position = try self.readTag(from: inner, begin: position, isBlock: true)
                }
            default:
                self.add(.outputBegin, at: position)
                position = try self.readTag(from: inner, begin: position, isBlock: false)
            }
            textStart = position
        }
        self.addText(textStart..<bytes.count, stripEnd: false)
        self.addMarks(upTo: .max)
        self.add(.end, at: bytes.count)
        return self.tokens
    }

    private mutating func add(_ kind: Token.Kind, at offset: Int) {
        self.tokens.append(Token(kind: kind, offset: offset))
    }

    private mutating func addMarks(upTo offset: Int) {
        while self.nextMark < self.marks.count, self.marks[self.nextMark].offset <= offset {
            self.add(self.marks[self.nextMark].kind, at: self.marks[self.nextMark].offset)
            self.nextMark += 1
        }
    }

    private mutating func addText(_ range: Range<Int>, stripEnd: Bool) {
        var range = range
        if self.stripNext {
            self.stripNext = false
            range = Spaces.skip(self.source.bytes, from: range.lowerBound, to: range.upperBound)..<range.upperBound
        }
        let full = range
        if stripEnd {
            range = range.lowerBound..<Spaces.skipBack(self.source.bytes, from: range.upperBound, to: range.lowerBound)
        }
        var start = range.lowerBound
        while self.nextMark < self.marks.count, self.marks[self.nextMark].offset <= full.upperBound {
            let stop = min(max(self.marks[self.nextMark].offset, start), range.upperBound)
            self.addPlain(start..<stop)
            start = stop
            self.add(self.marks[self.nextMark].kind, at: self.marks[self.nextMark].offset)
            self.nextMark += 1
        }
        self.addPlain(start..<range.upperBound)
    }

    private mutating func addPlain(_ range: Range<Int>) {
        if !range.isEmpty { self.add(.text(Array(self.source.bytes[range])), at: range.lowerBound) }
    }

    private mutating func passComment(from begin: Int, inner: Int) throws(TemplateError) -> Int {
        guard let end = self.source.find("#}", from: inner) else {
            throw self.source.error(at: begin, "this comment has no end ('#}')")
        }
        self.stripNext = end > inner && self.source.byte(end - 1) == UInt8(ascii: "-")
        return end + 2
    }

    private func rawBegin(at inner: Int) -> (content: Int, strip: Bool)? {
        var position = Spaces.skip(self.source.bytes, from: inner, to: self.source.bytes.count)
        guard self.source.has("raw", at: position) else { return nil }
        position = Spaces.skip(self.source.bytes, from: position + 3, to: self.source.bytes.count)
        if self.source.has("-%}", at: position) { return (position + 3, true) }
        return self.source.has("%}", at: position) ? (position + 2, false) : nil
    }

    private mutating func readRaw(from begin: Int, content: Int, strip: Bool) throws(TemplateError) -> Int {
        self.stripNext = strip
        var position = content
        while let open = self.source.find("{%", from: position) {
            position = open + 2
            let sign = self.source.byte(position)
            if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { position += 1 }
            var inner = Spaces.skip(self.source.bytes, from: position, to: self.source.bytes.count)
            guard self.source.has("endraw", at: inner) else {
                position = open + 2
                continue
            }
            inner = Spaces.skip(self.source.bytes, from: inner + 6, to: self.source.bytes.count)
            let closing = self.source.byte(inner)
            if closing == UInt8(ascii: "-") || closing == UInt8(ascii: "+") { inner += 1 }
            guard self.source.has("%}", at: inner) else {
                position = open + 2
                continue
            }
            self.addText(content..<open, stripEnd: sign == UInt8(ascii: "-"))
            self.stripNext = closing == UInt8(ascii: "-")
            self.tags.append(TagRange(kind: .rawEnd, range: open..<(inner + 2)))
            return inner + 2
        }
        throw self.source.error(at: begin, "this raw block has no end ('{% endraw %}')")
    }

    private mutating func readTag(from start: Int, begin: Int, isBlock: Bool) throws(TemplateError) -> Int {
        var position = start
        var open: [Symbol] = []
        while true {
            position = Spaces.skip(self.source.bytes, from: position, to: self.source.bytes.count)
            guard position < self.source.bytes.count else {
                throw self.source.error(at: begin, "this tag has no end ('\(isBlock ? "%}" : "}}")')")
            }
            if open.isEmpty, let end = self.tagEnd(at: position, isBlock: isBlock) {
                self.add(isBlock ? .blockEnd : .outputEnd, at: position)
                self.stripNext = self.source.byte(position) == UInt8(ascii: "-")
                self.tags.append(TagRange(kind: isBlock ? .block : .output, range: begin..<end))
                return end
            }
            let byte = self.source.bytes[position]
            if Self.isDigit(byte) {
                position = try self.readNumber(at: position)
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                position = try self.readString(at: position)
            } else if let end = self.nameEnd(at: position) {
                self.add(.name(Array(self.source.bytes[position..<end])), at: position)
                position = end
            } else {
                let (symbol, length) = try self.symbol(at: position)
                try self.balance(symbol, &open, at: position)
                self.add(.symbol(symbol), at: position)
                position += length
            }
        }
    }

    private func tagEnd(at position: Int, isBlock: Bool) -> Int? {
        if isBlock {
            if self.source.has("%}", at: position) { return position + 2 }
            return self.source.has("-%}", at: position) || self.source.has("+%}", at: position) ? position + 3 : nil
        }
        if self.source.has("}}", at: position) { return position + 2 }
        return self.source.has("-}}", at: position) ? position + 3 : nil
    }

    private func balance(_ symbol: Symbol, _ open: inout [Symbol], at position: Int) throws(TemplateError) {
        let expected: Symbol
        switch symbol {
        case .leftParenthesis, .leftBracket, .leftBrace:
            open.append(symbol)
            return
        case .rightParenthesis: expected = .leftParenthesis
        case .rightBracket: expected = .leftBracket
        case .rightBrace: expected = .leftBrace
        default: return
        }
        guard open.popLast() == expected else {
            throw self.source.error(at: position, "'\(symbol.spelling)' closes nothing")
        }
    }

    private func symbol(at position: Int) throws(TemplateError) -> (Symbol, Int) {
        let next = self.source.byte(position + 1)
        switch self.source.bytes[position] {
        case UInt8(ascii: "+"): return (.add, 1)
        case UInt8(ascii: "-"): return (.subtract, 1)
        case UInt8(ascii: "*"): return next == UInt8(ascii: "*") ? (.power, 2) : (.multiply, 1)
        case UInt8(ascii: "/"): return next == UInt8(ascii: "/") ? (.floorDivide, 2) : (.divide, 1)
        case UInt8(ascii: "%"): return (.remainder, 1)
        case UInt8(ascii: "~"): return (.tilde, 1)
        case UInt8(ascii: "="): return next == UInt8(ascii: "=") ? (.equal, 2) : (.assign, 1)
        case UInt8(ascii: "!") where next == UInt8(ascii: "="): return (.notEqual, 2)
        case UInt8(ascii: "<"): return next == UInt8(ascii: "=") ? (.lessEqual, 2) : (.less, 1)
        case UInt8(ascii: ">"): return next == UInt8(ascii: "=") ? (.greaterEqual, 2) : (.greater, 1)
        case UInt8(ascii: "."): return (.dot, 1)
        case UInt8(ascii: ","): return (.comma, 1)
        case UInt8(ascii: ":"): return (.colon, 1)
        case UInt8(ascii: ";"): return (.semicolon, 1)
        case UInt8(ascii: "|"): return (.pipe, 1)
        case UInt8(ascii: "("): return (.leftParenthesis, 1)
        case UInt8(ascii: ")"): return (.rightParenthesis, 1)
        case UInt8(ascii: "["): return (.leftBracket, 1)
        case UInt8(ascii: "]"): return (.rightBracket, 1)
        case UInt8(ascii: "{"): return (.leftBrace, 1)
        case UInt8(ascii: "}"): return (.rightBrace, 1)
        default:
            let rest = String(decoding: self.source.bytes[position...].prefix(4), as: UTF8.self)
            throw self.source.error(at: position, "'\(rest.prefix(1))' has no meaning inside a tag")
        }
    }

    private func nameEnd(at position: Int) -> Int? {
        var end = position
        let bytes = self.source.bytes
        while end < bytes.count {
            let byte = bytes[end]
            if Self.isNameByte(byte) {
                end += 1
            } else if byte >= 0x80, let scalar = UTF8Text.scalar(bytes, at: end) {
                let properties = scalar.value.properties
                guard end == position ? properties.isXIDStart : properties.isXIDContinue else { break }
                end += scalar.length
            } else {
                break
            }
        }
        return end > position ? end : nil
    }

    private mutating func readNumber(at start: Int) throws(TemplateError) -> Int {
        let scanner = NumberScanner(self.source.bytes, at: start)
        guard let literal = scanner.scan() else {
            throw self.source.error(at: start, "this number is out of range")
        }
        switch literal.value {
        case .integer(let value): self.add(.integer(value), at: start)
        case .float(let value): self.add(.float(value), at: start)
        }
        return literal.end
    }

    private mutating func readString(at start: Int) throws(TemplateError) -> Int {
        let bytes = self.source.bytes
        let quote = bytes[start]
        var end = start + 1
        while end < bytes.count, bytes[end] != quote { end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < bytes.count else { throw self.source.error(at: start, "this string has no end") }
        guard let text = StringLiteral.unescape(bytes[(start + 1)..<end]) else {
            throw self.source.error(at: start, "this string holds an escape that cannot be read")
        }
        self.add(.string(text), at: start)
        return end + 1
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        Self.isDigit(byte) || byte == UInt8(ascii: "_")
            || (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
    }
}
