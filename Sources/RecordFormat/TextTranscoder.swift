// SPDX-License-Identifier: Apache-2.0

/// Turns a stream of bytes in some encoding into UTF-8, whatever the positions at which it is cut.
///
/// What is not well-formed becomes a byte that no UTF-8 holds (0xFF), so that the record around it is refused and no
/// other. UTF-8 passes as it is.
struct TextTranscoder: Sendable {
    private let encoding: TextEncoding
    private var isAtStart = true
    /// A byte, then a high surrogate, that wait for their other half.
    private var half: UInt8?
    private var highSurrogate: UInt16?
    /// The first bytes of a UTF-8 stream, until it is known whether they are a byte order mark.
    private var mark: [UInt8] = []

    init(_ encoding: TextEncoding) { self.encoding = encoding }

    /// Appends the UTF-8 of further bytes.
    mutating func append(_ bytes: UnsafeBufferPointer<UInt8>, to text: inout [UInt8]) {
        switch self.encoding {
        case .utf8: self.appendUTF8(bytes, to: &text)
        case .windows1252:
            for byte in bytes { Self.append(Self.scalar(ofWindows1252: byte), to: &text) }
        case .utf16LittleEndian, .utf16BigEndian:
            for byte in bytes {
                guard let first = self.half.take() else {
                    self.half = byte
                    continue
                }
                let isLittle = self.encoding == .utf16LittleEndian
                let (low, high) = isLittle ? (first, byte) : (byte, first)
                self.append(unit: UInt16(high) << 8 | UInt16(low), to: &text)
            }
        }
    }

    /// Appends what is left at the end of the stream.
    mutating func finish(to text: inout [UInt8]) {
        text += self.mark
        self.mark = []
        if self.half.take() != nil || self.highSurrogate.take() != nil { text.append(0xFF) }
    }

    private mutating func appendUTF8(_ bytes: UnsafeBufferPointer<UInt8>, to text: inout [UInt8]) {
        guard self.isAtStart else { return text.append(contentsOf: bytes) }
        self.mark += bytes
        let full: [UInt8] = [0xEF, 0xBB, 0xBF]
        if self.mark.count < full.count, full.starts(with: self.mark) { return }
        text += self.mark.starts(with: full) ? self.mark.dropFirst(full.count) : self.mark[...]
        self.mark = []
        self.isAtStart = false
    }

    private mutating func append(unit: UInt16, to text: inout [UInt8]) {
        defer { self.isAtStart = false }
        if self.isAtStart, unit == 0xFEFF { return }
        if let high = self.highSurrogate.take() {
            guard UTF16.isTrailSurrogate(unit) else {
                text.append(0xFF)
                return self.append(unit: unit, to: &text)
            }
            let value = 0x10000 + (UInt32(high) - 0xD800) << 10 + (UInt32(unit) - 0xDC00)
            return Self.append(value, to: &text)
        }
        if UTF16.isLeadSurrogate(unit) {
            self.highSurrogate = unit
        } else if UTF16.isTrailSurrogate(unit) {
            text.append(0xFF)
        } else {
            Self.append(UInt32(unit), to: &text)
        }
    }

    private static func append(_ scalar: UInt32, to text: inout [UInt8]) {
        switch scalar {
        case 0..<0x80: text.append(UInt8(scalar))
        case 0x80..<0x800:
            text.append(UInt8(0xC0 | scalar >> 6))
            text.append(UInt8(0x80 | scalar & 0x3F))
        case 0x800..<0x10000:
            text.append(UInt8(0xE0 | scalar >> 12))
            text.append(UInt8(0x80 | scalar >> 6 & 0x3F))
            text.append(UInt8(0x80 | scalar & 0x3F))
        default:
            text.append(UInt8(0xF0 | scalar >> 18))
            text.append(UInt8(0x80 | scalar >> 12 & 0x3F))
            text.append(UInt8(0x80 | scalar >> 6 & 0x3F))
            text.append(UInt8(0x80 | scalar & 0x3F))
        }
    }

    /// Positions 0x80 to 0x9F; the five that Windows-1252 leaves free stand for themselves, as browsers have it.
    private static let upperControls: [UInt16] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x9D, 0x017E, 0x0178,
    ]

    private static func scalar(ofWindows1252 byte: UInt8) -> UInt32 {
        0x80...0x9F ~= byte ? UInt32(self.upperControls[Int(byte) - 0x80]) : UInt32(byte)
    }
}
