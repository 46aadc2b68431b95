// SPDX-License-Identifier: Apache-2.0

/// Restores `{{ unsubscribe }}` where an editor has percent-encoded it inside a link.
enum UnsubscribeMarks {
    private static let open = Array("%7b%7b".utf8)
    private static let close = Array("%7d%7d".utf8)

    /// The text with `%7B%7Bunsubscribe%7D%7D`, in either case and with or without blanks, as a variable.
    static func restored(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var position = 0
        var copied = 0
        while position + Self.open.count <= bytes.count {
            guard bytes[position] == UInt8(ascii: "%"), Self.has(Self.open, bytes, position),
                let mark = Self.mark(bytes, at: position + Self.open.count)
            else {
                position += 1
                continue
            }
            result.append(contentsOf: bytes[copied..<position])
            result.append(contentsOf: "{{\(mark.name)}}".utf8)
            position = mark.end
            copied = position
        }
        if copied == 0 { return bytes }
        result.append(contentsOf: bytes[copied...])
        return result
    }

    private static func mark(_ bytes: [UInt8], at start: Int) -> (name: String, end: Int)? {
        let word = Self.skipBlanks(bytes, start)
        for name in ["unsubscribe", "UNSUBSCRIBE"] where bytes[word...].starts(with: name.utf8) {
            let end = Self.skipBlanks(bytes, word + name.utf8.count)
            if Self.has(Self.close, bytes, end) { return (name, end + Self.close.count) }
        }
        return nil
    }

    private static func skipBlanks(_ bytes: [UInt8], _ start: Int) -> Int {
        var position = start
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: " ") || bytes[position] == UInt8(ascii: "+") {
                position += 1
            } else if Self.has(Array("%20".utf8), bytes, position) {
                position += 3
            } else {
                break
            }
        }
        return position
    }

    private static func has(_ mark: [UInt8], _ bytes: [UInt8], _ position: Int) -> Bool {
        guard position + mark.count <= bytes.count else { return false }
        for offset in mark.indices {
            let byte = bytes[position + offset]
            let lower = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
            if lower != mark[offset] { return false }
        }
        return true
    }
}
