// SPDX-License-Identifier: Apache-2.0

/// Base64, in lines for bodies and in one piece for header fields.
///
/// - Note: RFC 2045 §6.8 and RFC 4648 §4.
public enum Base64 {
    /// The bytes that one line of 76 characters stands for.
    private static let bytesPerLine = 57
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in Base64.alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        values[0x2D] = 62
        values[0x5F] = 63
        return values
    }()

    /// Appends the encoding in lines of at most 76 characters, each ended by CRLF.
    public static func encode(_ source: [UInt8], into output: inout [UInt8]) {
        source.withUnsafeBufferPointer { self.encode($0, into: &output) }
    }

    /// Appends the encoding in lines of at most 76 characters, each ended by CRLF.
    public static func encode(_ source: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]) {
        output.append(contentsOf: self.encoded(source, isBroken: true))
    }

    /// Appends the encoding without any line end.
    public static func encodeUnbroken(_ source: some Collection<UInt8>, into output: inout [UInt8]) {
        let done: Void? = source.withContiguousStorageIfAvailable {
            output.append(contentsOf: self.encoded($0, isBroken: false))
        }
        if done == nil {
            Array(source).withUnsafeBufferPointer { output.append(contentsOf: self.encoded($0, isBroken: false)) }
        }
    }

    /// The size of an encoding in lines, in bytes.
    public static func encodedCount(_ count: Int) -> Int {
        (count + 2) / 3 * 4 + (count + self.bytesPerLine - 1) / self.bytesPerLine * 2
    }

    /// The bytes that a text stands for.
    ///
    /// Line ends, spaces and whatever else is not of the alphabet are skipped; padding may be missing, and what
    /// follows padding is read as a further encoding. The letters of the URL-safe alphabet count as well.
    public static func decode(_ source: some Collection<UInt8>) -> [UInt8] {
        source.withContiguousStorageIfAvailable { self.decoded($0) }
            ?? Array(source).withUnsafeBufferPointer { self.decoded($0) }
    }

    /// The bytes of an encoding without a single fault, or `nil`.
    public static func decodeStrictly(_ source: some Collection<UInt8>) -> [UInt8]? {
        let output = self.decode(source)
        var again: [UInt8] = []
        self.encodeUnbroken(output, into: &again)
        return again.elementsEqual(source) ? output : nil
    }

    private static func decoded(_ source: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: source.count / 4 * 3 + 3) { output, count in
            self.values.withUnsafeBufferPointer { values in
                var bits: UInt32 = 0
                var held = 0
                for character in source {
                    let value = values[Int(character)]
                    if value != 0xFF {
                        bits = bits << 6 | UInt32(value)
                        held += 1
                        guard held == 4 else { continue }
                        output[count] = UInt8(truncatingIfNeeded: bits >> 16)
                        output[count + 1] = UInt8(truncatingIfNeeded: bits >> 8)
                        output[count + 2] = UInt8(truncatingIfNeeded: bits)
                        count += 3
                        held = 0
                    } else if character == 0x3D {
                        self.finish(bits, held, output, &count)
                        held = 0
                    }
                }
                self.finish(bits, held, output, &count)
            }
        }
    }

    private static func finish(
        _ bits: UInt32,
        _ held: Int,
        _ output: UnsafeMutableBufferPointer<UInt8>,
        _ count: inout Int
    ) {
        if held == 2 {
            output[count] = UInt8(truncatingIfNeeded: bits >> 4)
            count += 1
        } else if held == 3 {
            output[count] = UInt8(truncatingIfNeeded: bits >> 10)
            output[count + 1] = UInt8(truncatingIfNeeded: bits >> 2)
            count += 2
        }
    }

    private static func encoded(_ source: UnsafeBufferPointer<UInt8>, isBroken: Bool) -> [UInt8] {
        let lineLength = isBroken ? self.bytesPerLine : max(source.count, 1)
        return [UInt8](unsafeUninitializedCapacity: self.encodedCount(source.count)) { output, count in
            self.alphabet.withUnsafeBufferPointer { alphabet in
                var position = 0
                while position < source.count {
                    let end = min(position + lineLength, source.count)
                    self.encodeLine(source, position..<end, alphabet, output, &count)
                    position = end
                    guard isBroken else { continue }
                    output[count] = 0x0D
                    output[count + 1] = 0x0A
                    count += 2
                }
            }
        }
    }

    @inline(__always)
    private static func encodeLine(
        _ source: UnsafeBufferPointer<UInt8>,
        _ range: Range<Int>,
        _ alphabet: UnsafeBufferPointer<UInt8>,
        _ output: UnsafeMutableBufferPointer<UInt8>,
        _ count: inout Int
    ) {
        var index = range.lowerBound
        while index + 3 <= range.upperBound {
            let bits = UInt32(source[index]) << 16 | UInt32(source[index + 1]) << 8 | UInt32(source[index + 2])
            output[count] = alphabet[Int(bits >> 18)]
            output[count + 1] = alphabet[Int(bits >> 12 & 63)]
            output[count + 2] = alphabet[Int(bits >> 6 & 63)]
            output[count + 3] = alphabet[Int(bits & 63)]
            count += 4
            index += 3
        }
        let rest = range.upperBound - index
        guard rest > 0 else { return }
        let bits = UInt32(source[index]) << 16 | (rest == 2 ? UInt32(source[index + 1]) << 8 : 0)
        output[count] = alphabet[Int(bits >> 18)]
        output[count + 1] = alphabet[Int(bits >> 12 & 63)]
        output[count + 2] = rest == 2 ? alphabet[Int(bits >> 6 & 63)] : 0x3D
        output[count + 3] = 0x3D
        count += 4
    }
}
