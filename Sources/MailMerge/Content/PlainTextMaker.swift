// SPDX-License-Identifier: Apache-2.0

/// Makes the plain-text template of an HTML template: the same blocks and outputs, the markup read as text.
///
/// Elements that stand on lines of their own end lines, a link is followed by its address in angle brackets, an image
/// is its alternative text, and white space runs together outside of `pre`. Block tags survive wherever they stand, so that the result
/// is nested as the original is; outputs inside an element's tag survive in `href` and `alt` only.
struct PlainTextMaker {
    private var html: HTMLSource
    private let source: TemplateSource
    private var output: [UInt8] = []
    private var isLineStart = true
    private var emptyLines = 2
    private var needsSpace = false
    private var link: (address: [UInt8], start: Int)?
    /// How many open elements keep white space as it is.
    private var preformatted = 0

    /// The plain-text template.
    static func plainText(of source: TemplateSource) throws(TemplateError) -> [UInt8] {
        var maker = PlainTextMaker(html: try HTMLSource(source), source: source)
        maker.run()
        return maker.output
    }

    private init(html: HTMLSource, source: TemplateSource) {
        self.html = html
        self.source = source
    }

    private mutating func run() {
        while !self.html.isAtEnd {
            if let tag = self.html.tag {
                self.keep(tag, isText: true)
                self.html.advance()
            } else if self.html.has("<!--") {
                self.passComment()
            } else if self.html.byte == UInt8(ascii: "<"), self.beginsElement {
                self.passElement()
            } else {
                self.takeText()
            }
        }
        while let last = self.output.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: " ") {
            self.output.removeLast()
        }
        self.output.append(UInt8(ascii: "\n"))
    }

    private var beginsElement: Bool {
        let next = self.source.byte(self.html.position + 1)
        return (next | 0x20 >= 0x61 && next | 0x20 <= 0x7A) || "/!?".utf8.contains(next)
    }

    // MARK: Template tags

    private mutating func keep(_ tag: Lexer.TagRange, isText: Bool) {
        switch tag.kind {
        case .comment, .rawBegin, .rawEnd: break
        case .block:
            if isText { self.writeSpace() }
            self.output.append(contentsOf: self.source.bytes[tag.range])
        case .output where isText:
            self.writeSpace()
            self.output.append(contentsOf: Self.withoutMarkup(self.source.bytes[tag.range]))
            self.isLineStart = false
            self.emptyLines = 0
        case .output: break
        }
    }

    /// An output whose value is markup (`|safe`) loses its tags here as the template does.
    private static func withoutMarkup(_ tag: ArraySlice<UInt8>) -> [UInt8] {
        var inside = tag.dropLast(2)
        let isTrimming = inside.last == UInt8(ascii: "-")
        if isTrimming { inside = inside.dropLast() }
        let end = TextFilters.trimmed(inside, nil, atStart: false)
        guard end.suffix(4).elementsEqual("safe".utf8) else { return Array(tag) }
        let before = TextFilters.trimmed(end.dropLast(4), nil, atStart: false)
        guard before.last == UInt8(ascii: "|") else { return Array(tag) }
        return Array(before) + Array((isTrimming ? "striptags-}}" : "striptags}}").utf8)
    }

    // MARK: Elements

    private mutating func passComment() {
        self.html.move(to: self.html.position + 4)
        while !self.html.isAtEnd {
            if let tag = self.html.tag {
                self.keep(tag, isText: false)
            } else if self.html.has("-->") {
                self.html.move(to: self.html.position + 3)
                return
            }
            self.html.advance()
        }
    }

    private mutating func passElement() {
        self.html.advance()
        let isEnd = self.html.byte == UInt8(ascii: "/")
        if isEnd || self.html.byte == UInt8(ascii: "!") || self.html.byte == UInt8(ascii: "?") { self.html.advance() }
        let name = self.html.readName()
        var address: [UInt8] = []
        var alternative: [UInt8] = []
        while !self.html.isAtEnd, self.html.tag != nil || self.html.byte != UInt8(ascii: ">") {
            if let tag = self.html.tag {
                self.keep(tag, isText: false)
                self.html.advance()
                continue
            }
            let attribute = self.html.readName()
            guard !attribute.isEmpty else {
                self.html.advance()
                continue
            }
            self.html.skipSpace()
            guard self.html.tag == nil, self.html.byte == UInt8(ascii: "=") else { continue }
            self.html.advance()
            let value = self.html.readValue()
            if attribute == "href", name == "a" { address = self.text(of: value) }
            if attribute == "alt", name == "img" { alternative = self.text(of: value) }
            if attribute != "href" && attribute != "alt" { self.keepBlocks(in: value) }
        }
        if !self.html.isAtEnd { self.html.advance() }
        self.show(name, isEnd: isEnd, address: address, alternative: alternative)
    }

    private mutating func keepBlocks(in range: Range<Int>) {
        for tag in self.html.tags where range.contains(tag.range.lowerBound) { self.keep(tag, isText: false) }
    }

    /// An attribute's value as a template for text.
    private func text(of range: Range<Int>) -> [UInt8] {
        var text: [UInt8] = []
        var position = range.lowerBound
        for tag in self.html.tags where range.contains(tag.range.lowerBound) {
            text.append(contentsOf: Self.literal(self.source.bytes[position..<tag.range.lowerBound]))
            if tag.kind == .output || tag.kind == .block { text.append(contentsOf: self.source.bytes[tag.range]) }
            position = tag.range.upperBound
        }
        return text + Self.literal(self.source.bytes[position..<max(position, range.upperBound)])
    }

    private mutating func show(_ name: String, isEnd: Bool, address: [UInt8], alternative: [UInt8]) {
        switch name {
        case "br": self.endLine(force: true)
        case "p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote", "dl":
            self.endLine()
            self.emptyLine()
        case "pre", "listing", "textarea":
            self.endLine()
            self.emptyLine()
            self.preformatted = max(0, self.preformatted + (isEnd ? -1 : 1))
            // A line end right behind the tag is not part of the text.
            if !isEnd, self.html.has("\r") { self.html.advance() }
            if !isEnd, self.html.has("\n") { self.html.advance() }
        case "div", "tr", "section", "article", "header", "footer", "main", "nav", "address", "dt", "dd", "center",
            "body", "form", "fieldset", "tbody", "thead":
            self.endLine()
        case "li":
            self.endLine()
            if !isEnd {
                self.write(Array("- ".utf8))
                self.isLineStart = true
            }
        case "hr":
            self.endLine()
            self.write(Array("--------".utf8))
            self.endLine()
        case "td", "th": self.needsSpace = true
        case "a":
            if !isEnd {
                self.link = (address, self.output.count)
            } else if let link = self.link {
                self.link = nil
                self.showAddress(link.address, after: link.start)
            }
        case "img": if !alternative.isEmpty { self.write(alternative) }
        case "style", "script", "head", "title", "noscript", "template": if !isEnd { self.passContent(of: name) }
        default: break
        }
    }

    private mutating func showAddress(_ address: [UInt8], after start: Int) {
        guard !address.isEmpty, address.first != UInt8(ascii: "#") else { return }
        let shown = TextFilters.trimmed(self.output[min(start, self.output.count)...], nil)
        if shown.elementsEqual(address) || address.starts(with: "mailto:".utf8) { return }
        self.needsSpace = !shown.isEmpty
        self.write([UInt8(ascii: "<")] + address + [UInt8(ascii: ">")])
    }

    /// Skips what an element holds that nobody sees.
    private mutating func passContent(of name: String) {
        while !self.html.isAtEnd {
            if let tag = self.html.tag {
                self.keep(tag, isText: false)
            } else if self.html.has("</\(name)") {
                return
            }
            self.html.advance()
        }
    }

    // MARK: Text

    private mutating func takeText() {
        let start = self.html.position
        while !self.html.isAtEnd, self.html.tag == nil {
            if self.html.position > start, self.html.byte == UInt8(ascii: "<"), self.beginsElement { break }
            self.html.advance()
        }
        let text = self.source.bytes[start..<self.html.position]
        guard self.preformatted == 0 else { return self.takeLines(text) }
        let words = TextFilters.split(text, nil, limit: .max)
        if let first = text.first, Spaces.contains(first) { self.needsSpace = true }
        for (index, word) in words.enumerated() {
            if index > 0 { self.needsSpace = true }
            self.write(Self.literal(word))
        }
        if let last = text.last, Spaces.contains(last) { self.needsSpace = true }
    }

    /// Writes text whose white space is kept.
    private mutating func takeLines(_ text: ArraySlice<UInt8>) {
        self.writeSpace()
        for (index, line) in text.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            if index > 0 {
                self.output.append(0x0A)
                self.emptyLines = self.isLineStart ? self.emptyLines + 1 : 0
                self.isLineStart = true
            }
            self.write(Self.literal(line.last == 0x0D ? line.dropLast() : line))
        }
    }

    /// HTML text as template text that means its characters.
    private static func literal(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let decoded = HTMLText.decoded(bytes)
        guard decoded.contains(UInt8(ascii: "{")) else { return decoded.map { $0 } }
        var text: [UInt8] = []
        for (index, byte) in decoded.enumerated() {
            let next = index + 1 < decoded.count ? decoded[index + 1] : UInt8(ascii: "{")
            if byte == UInt8(ascii: "{"), "{%#".utf8.contains(next) {
                text.append(contentsOf: "{{'{'}}".utf8)
            } else {
                text.append(byte)
            }
        }
        return text
    }

    private mutating func write(_ text: [UInt8]) {
        guard !text.isEmpty else { return }
        self.writeSpace()
        self.output.append(contentsOf: text)
        self.isLineStart = false
        self.emptyLines = 0
    }

    private mutating func writeSpace() {
        if self.needsSpace, !self.isLineStart { self.output.append(UInt8(ascii: " ")) }
        self.needsSpace = false
    }

    private mutating func endLine(force: Bool = false) {
        self.needsSpace = false
        if self.isLineStart, self.emptyLines == 0, !force {
            // A list item's mark without text.
            if self.output.last == UInt8(ascii: " ") { self.isLineStart = false }
        }
        guard !self.isLineStart || (force && self.emptyLines < 2) else { return }
        if self.isLineStart { self.emptyLines += 1 }
        self.output.append(UInt8(ascii: "\n"))
        self.isLineStart = true
    }

    private mutating func emptyLine() {
        guard self.isLineStart, self.emptyLines == 0 else { return }
        self.output.append(UInt8(ascii: "\n"))
        self.emptyLines = 1
    }
}
