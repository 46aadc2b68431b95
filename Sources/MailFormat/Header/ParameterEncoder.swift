// SPDX-License-Identifier: Apache-2.0

/// Writes the parameters of fields such as `Content-Disposition`.
///
/// - Note: RFC 2045 §5.1 and RFC 2231 §3 and §4.
enum ParameterEncoder {
    /// The longest piece, so that a line has room for the space before it and the semicolon after it.
    private static let pieceLimit = 74
    private static let hex = Array("0123456789ABCDEF".utf8)

    /// A parameter as one piece, or as several numbered ones where it is long.
    static func pieces(name: String, text: String) -> [[UInt8]] {
        let line = ASCIIText.oneLine(Array(text.utf8))
        let name = Array(name.utf8.filter { ASCIIText.isToken($0) && $0 != 0x2A && $0 != 0x27 && $0 != 0x25 })
        if let short = self.short(name, line) { return [short] }
        let whole = name + Array("*=UTF-8''".utf8) + line.flatMap { self.encoded($0) }
        if whole.count <= self.pieceLimit { return [whole] }
        var pieces: [[UInt8]] = []
        var piece = name + Array("*0*=UTF-8''".utf8)
        var position = 0
        while position < line.count {
            var next = position + 1
            while next < line.count, line[next] & 0xC0 == 0x80 { next += 1 }
            let character = line[position..<next].flatMap { self.encoded($0) }
            if piece.count + character.count > self.pieceLimit {
                pieces.append(piece)
                piece = name + Array("*\(pieces.count)*=".utf8)
            }
            piece.append(contentsOf: character)
            position = next
        }
        return pieces + [piece]
    }

    private static func short(_ name: [UInt8], _ line: [UInt8]) -> [UInt8]? {
        guard line.allSatisfy({ $0 < 0x80 }) else { return nil }
        if !line.isEmpty, line.allSatisfy({ ASCIIText.isToken($0) }) {
            let piece = name + [0x3D] + line
            return piece.count <= self.pieceLimit ? piece : nil
        }
        var piece = name + [0x3D, 0x22]
        for byte in line {
            if byte == 0x22 || byte == 0x5C { piece.append(0x5C) }
            piece.append(byte)
        }
        piece.append(0x22)
        return piece.count <= self.pieceLimit ? piece : nil
    }

    private static func encoded(_ byte: UInt8) -> [UInt8] {
        let isKept = ASCIIText.isToken(byte) && byte != 0x2A && byte != 0x27 && byte != 0x25
        return isKept ? [byte] : [0x25, self.hex[Int(byte >> 4)], self.hex[Int(byte & 15)]]
    }
}
