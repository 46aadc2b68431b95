// SPDX-License-Identifier: Apache-2.0

/// The two ways in which a message is brought into the form that is hashed.
///
/// - Note: RFC 6376 §3.4. Only CRLF ends a line; CR and LF on their own are bytes like any other.
enum Canonicalisation: String {
    case simple
    case relaxed

    /// Appends a field, given without its final CRLF and with the colon after the name, and no CRLF.
    func appendField(_ field: UnsafeBufferPointer<UInt8>, colon: Int, to output: inout [UInt8]) {
        switch self {
        case .simple: output.append(contentsOf: field)
        case .relaxed:
            var nameEnd = colon
            while nameEnd > 0, Self.isSpace(field[nameEnd - 1]) { nameEnd -= 1 }
            for index in 0..<nameEnd {
                let byte = field[index]
                output.append(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte)
            }
            output.append(0x3A)
            Self.appendRelaxedValue(UnsafeBufferPointer(rebasing: field[min(colon + 1, field.count)...]), to: &output)
        }
    }

    /// The canonical bytes of a body.
    func body(_ body: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        switch self {
        case .simple: Self.simpleBody(body)
        case .relaxed: Self.relaxedBody(body)
        }
    }

    @inline(__always)
    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func appendRelaxedValue(_ value: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
        var hasText = false
        var needsSpace = false
        var index = 0
        while index < value.count {
            let byte = value[index]
            if byte == 0x0D, index + 1 < value.count, value[index + 1] == 0x0A {
                index += 2
                continue
            }
            index += 1
            if self.isSpace(byte) {
                needsSpace = hasText
                continue
            }
            if needsSpace { output.append(0x20) }
            needsSpace = false
            hasText = true
            output.append(byte)
        }
    }

    private static func simpleBody(_ body: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var end = body.count
        while end >= 2, body[end - 2] == 0x0D, body[end - 1] == 0x0A { end -= 2 }
        return Array(body[..<end]) + [0x0D, 0x0A]
    }

    private static func relaxedBody(_ body: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: body.count + 2) { output, count in
            let end = body.count
            var index = 0
            var lineEnds = 0
            var needsSpace = false
            while index < end {
                let byte = body[index]
                if byte == 0x0D, index + 1 < end, body[index + 1] == 0x0A {
                    lineEnds += 1
                    needsSpace = false
                    index += 2
                } else if self.isSpace(byte) {
                    needsSpace = true
                    index += 1
                } else {
                    while lineEnds > 0 {
                        output[count] = 0x0D
                        output[count + 1] = 0x0A
                        count += 2
                        lineEnds -= 1
                    }
                    if needsSpace {
                        output[count] = 0x20
                        count += 1
                        needsSpace = false
                    }
                    // The first byte is taken whatever it is, then all that can be nothing but text.
                    repeat {
                        output[count] = body[index]
                        count += 1
                        index += 1
                    } while index < end && body[index] > 0x20
                }
            }
            guard count > 0 else { return }
            output[count] = 0x0D
            output[count + 1] = 0x0A
            count += 2
        }
    }
}
