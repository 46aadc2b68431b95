// SPDX-License-Identifier: Apache-2.0

/// Reads `token; name=value; …` with comments, quoted strings and the pieces of RFC 2231.
struct ParameterScanner {
    /// More parameters than any field has; what follows is skipped.
    private static let parameterLimit = 100
    /// More bytes than any field has; what follows is skipped.
    private static let byteLimit = 65_536

    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes.count > Self.byteLimit ? Array(bytes.prefix(Self.byteLimit)) : bytes
    }

    private var current: UInt8? { self.index < self.bytes.count ? self.bytes[self.index] : nil }

    mutating func token() -> String? {
        self.skipSpace()
        let start = self.index
        while let byte = self.current, ASCIIText.isToken(byte) { self.index += 1 }
        return self.index > start ? String(decoding: self.bytes[start..<self.index], as: UTF8.self) : nil
    }

    mutating func skip(_ byte: UInt8) -> Bool {
        self.skipSpace()
        guard self.current == byte else { return false }
        self.index += 1
        return true
    }

    mutating func parameters() -> [ContentParameter] {
        var pieces: [Piece] = []
        while self.skipToSemicolon(), pieces.count < Self.parameterLimit {
            guard let name = self.token(), self.skip(0x3D) else { continue }
            pieces.append(Piece(name: ASCIIText.lowercased(name), value: self.value()))
        }
        return Self.joined(pieces)
    }

    private mutating func value() -> [UInt8] {
        self.skipSpace()
        guard self.current == 0x22 else {
            let start = self.index
            while let byte = self.current, byte != 0x3B, !ASCIIText.isSpace(byte) { self.index += 1 }
            return Array(self.bytes[start..<self.index])
        }
        self.index += 1
        var value: [UInt8] = []
        while let byte = self.current, byte != 0x22 {
            self.index += 1
            if byte == 0x5C, let escaped = self.current {
                value.append(escaped)
                self.index += 1
            } else {
                value.append(byte)
            }
        }
        self.index = min(self.index + 1, self.bytes.count)
        return value
    }

    /// Goes past the next semicolon that is not in a quoted string.
    private mutating func skipToSemicolon() -> Bool {
        while let byte = self.current {
            if byte == 0x22 {
                _ = self.value()
                continue
            }
            self.index += 1
            if byte == 0x3B { return true }
        }
        return false
    }

    private mutating func skipSpace() {
        var depth = 0
        while let byte = self.current {
            if byte == 0x28 {
                depth += 1
            } else if depth > 0 {
                if byte == 0x29 { depth -= 1 }
                if byte == 0x5C { self.index += 1 }
            } else if !ASCIIText.isSpace(byte), byte != 0x0D, byte != 0x0A {
                return
            }
            self.index = min(self.index + 1, self.bytes.count)
        }
    }

    private struct Piece {
        var name: String
        var value: [UInt8]
        var number: Int?
        var isExtended = false

        init(name: String, value: [UInt8]) {
            var parts = name.split(separator: "*", omittingEmptySubsequences: false)
            self.value = value
            if parts.count > 1, parts.last?.isEmpty == true {
                self.isExtended = true
                parts.removeLast()
            }
            if parts.count == 2, let number = Int(parts[1]), (0..<100).contains(number) {
                self.number = number
                parts.removeLast()
            }
            self.name = parts.joined(separator: "*")
        }
    }

    private static func joined(_ pieces: [Piece]) -> [ContentParameter] {
        var names: [String] = []
        for piece in pieces where !names.contains(piece.name) { names.append(piece.name) }
        return names.map { name in
            let own = pieces.filter { $0.name == name }
            // The extended form wins over a plain one that old readers are given beside it.
            if let whole = own.first(where: { $0.isExtended && $0.number == nil }) {
                return ContentParameter(name: name, text: self.text([whole]))
            }
            let numbered = own.filter { $0.number != nil }.sorted { ($0.number ?? 0) < ($1.number ?? 0) }
            return ContentParameter(name: name, text: self.text(numbered.isEmpty ? Array(own.prefix(1)) : numbered))
        }
    }

    private static func text(_ pieces: [Piece]) -> String {
        var bytes: [UInt8] = []
        var charset: Charset?
        for (position, piece) in pieces.enumerated() {
            guard piece.isExtended else {
                bytes.append(contentsOf: piece.value)
                continue
            }
            var value = piece.value[...]
            if position == 0, let first = value.firstIndex(of: 0x27),
                let second = value[(first + 1)...].firstIndex(of: 0x27)
            {
                charset = Charset(label: String(decoding: value[..<first], as: UTF8.self))
                value = value[(second + 1)...]
            }
            bytes.append(contentsOf: self.percentDecoded(value))
        }
        // Plain values may hold encoded words, against the rules but often.
        if pieces.count == 1, pieces.first?.isExtended == false { return HeaderDecoder.text(bytes) }
        return charset?.decode(bytes) ?? Charset.decodeUndeclared(bytes)
    }

    private static func percentDecoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index] == 0x25, index + 2 < bytes.endIndex,
                let byte = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                output.append(byte)
                index += 3
            } else {
                output.append(bytes[index])
                index += 1
            }
        }
        return output
    }
}
