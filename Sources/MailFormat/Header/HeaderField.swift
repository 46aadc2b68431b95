// SPDX-License-Identifier: Apache-2.0

/// One header field: a name and a body in the form in which it is written.
public struct HeaderField: Hashable, Sendable {
    /// The name without its colon, in the letters found.
    public var name: String
    /// What stands between the colon and the final CRLF, folded as found and with its leading space.
    public var value: [UInt8]

    /// Creates a field of a name and a written body.
    public init(name: String, value: [UInt8]) {
        self.name = name
        self.value = value
    }

    /// Creates a field of a name and text that is already in its written form; a space is put after the colon.
    public init(name: String, text: String) {
        self.init(name: name, value: [0x20] + Array(text.utf8))
    }

    /// The body in one line, without the spaces around it and with encoded words still encoded.
    public var unfolded: [UInt8] {
        var bytes = self.value.filter { $0 != 0x0D && $0 != 0x0A }
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
        return Array(bytes.drop { $0 == 0x20 || $0 == 0x09 })
    }

    /// The body as a reader sees it: unfolded, encoded words decoded.
    public var text: String { HeaderDecoder.text(self.unfolded) }

    /// The body as a reader sees it, where bytes beyond ASCII that are not UTF-8 are in a charset; `nil` is Windows-1252.
    public func text(undeclared: Charset?) -> String { HeaderDecoder.text(self.unfolded, undeclared: undeclared) }

    /// Whether the field has this name in whatever case.
    public func isNamed(_ name: String) -> Bool {
        self.name.utf8.count == name.utf8.count
            && zip(self.name.utf8, name.utf8).allSatisfy { ASCIIText.lowercased($0) == ASCIIText.lowercased($1) }
    }

    /// Appends the field with its final CRLF.
    public func append(to output: inout [UInt8]) {
        output.append(contentsOf: self.name.utf8)
        output.append(0x3A)
        output.append(contentsOf: self.value)
        output.append(0x0D)
        output.append(0x0A)
    }

    /// Whether a name is one that a field may have: 1 to 76 visible ASCII characters without a colon.
    ///
    /// - Note: RFC 5322 §3.6.8.
    public static func isValidName(_ name: String) -> Bool {
        (1...76).contains(name.utf8.count) && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }
    }
}
