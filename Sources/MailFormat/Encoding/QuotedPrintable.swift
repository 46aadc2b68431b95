// SPDX-License-Identifier: Apache-2.0

/// Quoted-printable in lines of at most 76 characters.
///
/// Beyond what RFC 2045 §6.7 asks for, a dot and the word `From` at the beginning of a line are written as
/// hexadecimal, so that no relay finds anything in a line that it would like to change.
public enum QuotedPrintable {
    /// The longest line before its soft line break.
    private static let columnLimit = 75
    private static let hex = Array("0123456789ABCDEF".utf8)

    /// Appends the encoding of a text: CRLF, CR and LF each end a line and become CRLF.
    public static func encode(_ source: [UInt8], into output: inout [UInt8]) {
        source.withUnsafeBufferPointer { self.encode($0, isText: true, into: &output) }
    }

    /// Appends the encoding of bytes.
    ///
    /// In a text, CRLF, CR and LF each end a line and become CRLF; otherwise they are written as hexadecimal.
    public static func encode(_ source: UnsafeBufferPointer<UInt8>, isText: Bool, into output: inout [UInt8]) {
        // At worst 25 bytes become a line of 75 characters, `=`, CR and LF: a little under three and an eighth for
        // one.
        let capacity = source.count * 3 + source.count / 8 + 16
        let encoded = [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
            self.hex.withUnsafeBufferPointer { hex in
                var writer = Writer(target: target, hex: hex)
                self.write(source, isText, &writer)
                count = writer.count
            }
        }
        output.append(contentsOf: encoded)
    }

    /// The bytes that a text stands for.
    ///
    /// Spaces before a line end are dropped, an `=` that begins nothing sensible is kept, and line ends stay as found.
    public static func decode(_ source: some Collection<UInt8>) -> [UInt8] {
        let bytes = Array(source)
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case 0x3D:
                if index + 2 < bytes.count, let high = self.digit(bytes[index + 1]),
                    let low = self.digit(bytes[index + 2])
                {
                    output.append(high << 4 | low)
                    index += 3
                } else if let next = self.softBreak(bytes, index + 1) {
                    index = next
                } else {
                    output.append(byte)
                    index += 1
                }
            case 0x20, 0x09:
                var end = index
                while end < bytes.count, bytes[end] == 0x20 || bytes[end] == 0x09 { end += 1 }
                let endsLine = end == bytes.count || bytes[end] == 0x0A || bytes[end] == 0x0D
                if !endsLine { output.append(contentsOf: bytes[index..<end]) }
                index = end
            default:
                output.append(byte)
                index += 1
            }
        }
        return output
    }

    private static func softBreak(_ bytes: [UInt8], _ start: Int) -> Int? {
        var index = start
        while index < bytes.count, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
        guard index < bytes.count else { return index }
        if bytes[index] == 0x0A { return index + 1 }
        guard bytes[index] == 0x0D else { return nil }
        return index + 1 < bytes.count && bytes[index + 1] == 0x0A ? index + 2 : index + 1
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }

    @inline(__always)
    private static func write(_ source: UnsafeBufferPointer<UInt8>, _ isText: Bool, _ writer: inout Writer) {
        let count = source.count
        var index = 0
        while index < count {
            let byte = source[index]
            index += 1
            if byte > 0x20, byte < 0x7F, byte != 0x3D {
                let isGuarded = writer.willBeginLine(1) && self.isGuarded(source, index - 1)
                if isGuarded { writer.quote(byte) } else { writer.plain(byte) }
            } else if isText, byte == 0x0D || byte == 0x0A {
                if byte == 0x0D, index < count, source[index] == 0x0A { index += 1 }
                writer.endLine()
            } else if byte == 0x20 || byte == 0x09 {
                let isLast = index == count || (isText && (source[index] == 0x0D || source[index] == 0x0A))
                if isLast { writer.quote(byte) } else { writer.plain(byte) }
            } else {
                writer.quote(byte)
            }
        }
    }

    /// Whether a relay might change a line that begins here.
    static func isGuarded(_ source: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        if source[index] == 0x2E { return true }
        guard source[index] == 0x46, index + 4 < source.count else { return false }
        return source[index + 1] == 0x72 && source[index + 2] == 0x6F && source[index + 3] == 0x6D
            && source[index + 4] == 0x20
    }

    private struct Writer {
        let target: UnsafeMutableBufferPointer<UInt8>
        let hex: UnsafeBufferPointer<UInt8>
        var count = 0
        var column = 0

        init(target: UnsafeMutableBufferPointer<UInt8>, hex: UnsafeBufferPointer<UInt8>) {
            self.target = target
            self.hex = hex
        }

        /// Whether a token of this width would be the first of its line.
        @inline(__always)
        func willBeginLine(_ width: Int) -> Bool {
            self.column == 0 || self.column + width > QuotedPrintable.columnLimit
        }

        @inline(__always)
        mutating func plain(_ byte: UInt8) {
            self.makeRoom(1)
            self.target[self.count] = byte
            self.count += 1
            self.column += 1
        }

        @inline(__always)
        mutating func quote(_ byte: UInt8) {
            self.makeRoom(3)
            self.target[self.count] = 0x3D
            self.target[self.count + 1] = self.hex[Int(byte >> 4)]
            self.target[self.count + 2] = self.hex[Int(byte & 15)]
            self.count += 3
            self.column += 3
        }

        @inline(__always)
        mutating func endLine() {
            self.target[self.count] = 0x0D
            self.target[self.count + 1] = 0x0A
            self.count += 2
            self.column = 0
        }

        @inline(__always)
        private mutating func makeRoom(_ width: Int) {
            guard self.column + width > QuotedPrintable.columnLimit else { return }
            self.target[self.count] = 0x3D
            self.count += 1
            self.endLine()
        }
    }
}
