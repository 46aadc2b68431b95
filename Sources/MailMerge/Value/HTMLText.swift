// SPDX-License-Identifier: Apache-2.0

/// Reads HTML as text.
enum HTMLText {
    /// The text with character references replaced.
    static func decoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        guard bytes.contains(UInt8(ascii: "&")) else { return Array(bytes) }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var position = bytes.startIndex
        while position < bytes.endIndex {
            if bytes[position] == UInt8(ascii: "&"), let reference = Self.reference(bytes, at: position) {
                result.append(contentsOf: reference.text.utf8)
                position = reference.end
            } else {
                result.append(bytes[position])
                position += 1
            }
        }
        return result
    }

    /// The text without comments and tags, references replaced, white space collapsed: markupsafe's `striptags`.
    static func stripped(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let plain = Self.without(Self.without(bytes, from: "<!--", to: "-->"), from: "<", to: ">")
        var joined: [UInt8] = []
        for word in TextFilters.split(plain[...], nil, limit: .max) {
            if !joined.isEmpty { joined.append(UInt8(ascii: " ")) }
            joined.append(contentsOf: word)
        }
        return Self.decoded(joined[...])
    }

    private static func without(_ bytes: some Collection<UInt8>, from open: String, to close: String) -> [UInt8] {
        let all = Array(bytes)
        let (opening, closing) = (Array(open.utf8)[...], Array(close.utf8)[...])
        var result: [UInt8] = []
        var position = 0
        while let start = Operations.find(opening, in: all[...], from: position),
            let end = Operations.find(closing, in: all[...], from: start)
        {
            result.append(contentsOf: all[position..<start])
            position = end + closing.count
        }
        result.append(contentsOf: all[position...])
        return result
    }

    /// The character reference that begins at an ampersand.
    private static func reference(_ bytes: ArraySlice<UInt8>, at start: Int) -> (text: String, end: Int)? {
        var end = start + 1
        while end < bytes.endIndex, end - start < 34, Self.isNameByte(bytes[end]) || bytes[end] == UInt8(ascii: "#") {
            end += 1
        }
        guard end < bytes.endIndex, bytes[end] == UInt8(ascii: ";") else { return nil }
        let name = bytes[(start + 1)..<end]
        if name.first == UInt8(ascii: "#") {
            let digits = name.dropFirst()
            let isHexadecimal = digits.first.map { $0 | 0x20 } == UInt8(ascii: "x")
            let text = String(decoding: isHexadecimal ? digits.dropFirst() : digits, as: UTF8.self)
            guard !text.isEmpty, let code = UInt32(text, radix: isHexadecimal ? 16 : 10) else { return nil }
            guard code != 0, let scalar = Unicode.Scalar(code) else { return ("\u{FFFD}", end + 1) }
            return (String(Character(scalar)), end + 1)
        }
        guard let text = Self.names[String(decoding: name, as: UTF8.self)] else { return nil }
        return (text, end + 1)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
            || ((byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z"))
    }

    /// The named references of HTML 4: Latin-1, and the signs and letters that mail uses.
    private static let names: [String: String] = {
        var names: [String: String] = [
            "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "AMP": "&", "LT": "<", "GT": ">", "QUOT": "\"",
            "OElig": "Œ", "oelig": "œ", "Scaron": "Š", "scaron": "š", "Yuml": "Ÿ", "fnof": "ƒ", "circ": "ˆ",
            "tilde": "˜", "ensp": "\u{2002}", "emsp": "\u{2003}", "thinsp": "\u{2009}", "zwnj": "\u{200C}",
            "zwj": "\u{200D}", "lrm": "\u{200E}", "rlm": "\u{200F}", "ndash": "–", "mdash": "—", "lsquo": "‘",
            "rsquo": "’", "sbquo": "‚", "ldquo": "“", "rdquo": "”", "bdquo": "„", "dagger": "†", "Dagger": "‡",
            "bull": "•", "hellip": "…", "permil": "‰", "prime": "′", "Prime": "″", "lsaquo": "‹", "rsaquo": "›",
            "oline": "‾", "frasl": "⁄", "euro": "€", "trade": "™", "larr": "←", "uarr": "↑", "rarr": "→", "darr": "↓",
            "harr": "↔", "minus": "−", "infin": "∞", "ne": "≠", "le": "≤", "ge": "≥", "asymp": "≈", "check": "✓",
        ]
        // U+00A0 to U+00FF in order.
        let latin = """
            nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute \
            micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring \
            AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml \
            times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil \
            egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash \
            ugrave uacute ucirc uuml yacute thorn yuml
            """
        for (offset, name) in latin.split(separator: " ").enumerated() {
            if let scalar = Unicode.Scalar(0xA0 + UInt32(offset)) { names[String(name)] = String(Character(scalar)) }
        }
        return names
    }()
}
