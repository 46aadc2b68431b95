// SPDX-License-Identifier: Apache-2.0

/// Line ends as mail has them: CRLF and nothing else.
///
/// - Note: RFC 5322 §2.3 forbids CR and LF on their own; a server that takes one of them for a line end can be made to
///   see two messages in one.
public enum LineEnds {
    /// Appends a text whose every CRLF, CR and LF is written as CRLF.
    public static func appendCanonical(_ source: some Collection<UInt8>, to output: inout [UInt8]) {
        let done: Void? = source.withContiguousStorageIfAvailable { self.appendCanonical($0, to: &output) }
        if done == nil { Array(source).withUnsafeBufferPointer { self.appendCanonical($0, to: &output) } }
    }

    /// Whether CR and LF occur only as CRLF.
    public static func isCanonical(_ source: [UInt8]) -> Bool {
        source.withUnsafeBufferPointer { source in
            var previous: UInt8 = 0
            for byte in source {
                if byte == 0x0A {
                    if previous != 0x0D { return false }
                } else if previous == 0x0D {
                    return false
                }
                previous = byte
            }
            return previous != 0x0D
        }
    }

    private static func appendCanonical(_ source: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
        output.reserveCapacity(output.count + source.count + 16)
        var start = 0
        var index = 0
        while index < source.count {
            let byte = source[index]
            guard byte == 0x0A || byte == 0x0D else {
                index += 1
                continue
            }
            if byte == 0x0D, index + 1 < source.count, source[index + 1] == 0x0A {
                index += 2
                continue
            }
            output.append(contentsOf: UnsafeBufferPointer(rebasing: source[start..<index]))
            output.append(0x0D)
            output.append(0x0A)
            index += 1
            start = index
        }
        output.append(contentsOf: UnsafeBufferPointer(rebasing: source[start...]))
    }
}
