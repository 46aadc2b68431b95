// SPDX-License-Identifier: Apache-2.0

/// HTML with template tags in it, walked through so that neither is taken for the other.
struct HTMLSource {
    let bytes: [UInt8]
    /// The template's tags, ascending.
    let tags: [Lexer.TagRange]
    /// The first byte that has not been passed.
    private(set) var position = 0
    private var nextTag = 0

    init(_ source: TemplateSource) throws(TemplateError) {
        var lexer = Lexer(source)
        _ = try lexer.tokenize()
        self.bytes = source.bytes
        self.tags = lexer.tags
    }

    var isAtEnd: Bool { self.position >= self.bytes.count }

    /// The byte here, or 0 at the end.
    var byte: UInt8 { self.position < self.bytes.count ? self.bytes[self.position] : 0 }

    /// The template tag that begins here.
    var tag: Lexer.TagRange? {
        self.nextTag < self.tags.count && self.tags[self.nextTag].range.lowerBound == self.position
            ? self.tags[self.nextTag] : nil
    }

    /// Passes one byte, or the template tag that begins here.
    mutating func advance() { self.move(to: self.tag?.range.upperBound ?? self.position + 1) }

    /// Goes to a position, forwards or back.
    mutating func move(to position: Int) {
        if position < self.position { self.nextTag = 0 }
        self.position = position
        while self.nextTag < self.tags.count, self.tags[self.nextTag].range.lowerBound < position { self.nextTag += 1 }
    }

    /// Whether the text continues with a word in lower case, in whatever case.
    func has(_ word: String) -> Bool {
        guard self.position + word.utf8.count <= self.bytes.count else { return false }
        return zip(word.utf8, self.bytes[self.position...]).allSatisfy {
            $0 == $1 || ($1 | 0x20 == $0 && $1 >= 0x41 && $1 <= 0x5A)
        }
    }

    mutating func skipSpace() {
        while self.tag == nil, !self.isAtEnd, Spaces.contains(self.byte) { self.advance() }
    }

    /// Passes a name of letters, digits, `-`, `:` and `_`.
    ///
    /// - Returns: The name in lower case.
    mutating func readName() -> String {
        var name: [UInt8] = []
        while self.tag == nil, !self.isAtEnd {
            let byte = self.byte
            let isLetter = (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
            let isOther = (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")) || "-:_".utf8.contains(byte)
            guard isLetter || isOther else { break }
            name.append(isLetter ? byte | 0x20 : byte)
            self.advance()
        }
        return String(decoding: name, as: UTF8.self)
    }

    /// Passes an attribute's value after its `=`.
    ///
    /// - Returns: Where the value lies, without quotes.
    mutating func readValue() -> Range<Int> {
        self.skipSpace()
        let quote = self.byte
        guard self.tag == nil, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
            let start = self.position
            while !self.isAtEnd {
                if self.tag == nil, Spaces.contains(self.byte) || self.byte == UInt8(ascii: ">") { break }
                self.advance()
            }
            return start..<self.position
        }
        self.advance()
        let start = self.position
        while !self.isAtEnd, self.tag != nil || self.byte != quote { self.advance() }
        let end = self.position
        if !self.isAtEnd { self.advance() }
        return start..<end
    }
}

/// Finds the links to track: the address of each `a` element that begins with `http://` or `https://`.
enum LinkFinder {
    /// Where the addresses lie; ones that a block tag begins in and another part of the template ends are skipped.
    static func links(in source: TemplateSource) throws(TemplateError) -> [Range<Int>] {
        var html = try HTMLSource(source)
        var links: [Range<Int>] = []
        while !html.isAtEnd {
            guard html.tag == nil, html.has("<a") else {
                html.advance()
                continue
            }
            html.move(to: html.position + 2)
            guard html.tag != nil || Spaces.contains(html.byte) else { continue }
            while !html.isAtEnd, html.tag != nil || html.byte != UInt8(ascii: ">") {
                let start = html.position
                let name = html.readName()
                if name.isEmpty {
                    // A quote here belongs to an attribute whose name a template tag has written.
                    if html.tag == nil, html.byte == UInt8(ascii: "=") {
                        html.advance()
                        _ = html.readValue()
                    } else {
                        html.advance()
                    }
                    continue
                }
                let isWhole =
                    start > 0
                    && (Spaces.contains(source.byte(start - 1)) || "\"'".utf8.contains(source.byte(start - 1)))
                html.skipSpace()
                guard html.tag == nil, html.byte == UInt8(ascii: "=") else { continue }
                html.advance()
                let value = html.readValue()
                guard name == "href", isWhole, html.position > value.upperBound else { continue }
                if Self.isTracked(source, value), Self.isBalanced(html.tags, value, source) { links.append(value) }
            }
        }
        return links
    }

    private static func isTracked(_ source: TemplateSource, _ value: Range<Int>) -> Bool {
        let start = source.bytes[value].prefix(8).map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
        return start.starts(with: "http://".utf8) || start.starts(with: "https://".utf8)
    }

    /// Whether every block that begins in a range ends in it, and no other does.
    private static func isBalanced(_ tags: [Lexer.TagRange], _ range: Range<Int>, _ source: TemplateSource) -> Bool {
        var depth = 0
        for tag in tags where range.contains(tag.range.lowerBound) {
            switch tag.kind {
            case .output, .comment: continue
            case .rawBegin: depth += 1
            case .rawEnd: depth -= 1
            case .block:
                switch Self.keyword(source, tag.range) {
                case "if", "for": depth += 1
                case "endif", "endfor", "endset": depth -= 1
                case "else", "elif": if depth == 0 { return false }
                default: if !source.bytes[tag.range].contains(UInt8(ascii: "=")) { depth += 1 }
                }
            }
            if depth < 0 { return false }
        }
        return depth == 0
    }

    /// The first word of a block tag.
    static func keyword(_ source: TemplateSource, _ range: Range<Int>) -> String {
        let inside = source.bytes[range].dropFirst(2).drop {
            $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") || Spaces.contains($0)
        }
        return String(decoding: inside.prefix { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A }, as: UTF8.self)
    }
}
