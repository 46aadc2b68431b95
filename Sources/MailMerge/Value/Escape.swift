// SPDX-License-Identifier: Apache-2.0

/// Escapes text for HTML exactly as Jinja2's autoescape does.
enum Escape {
    /// Appends text with `& < > ' "` replaced.
    static func append(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
        bytes.withUnsafeBufferPointer { buffer in
            var start = 0
            for index in 0..<buffer.count {
                let replacement: StaticString
                switch buffer[index] {
                case UInt8(ascii: "&"): replacement = "&amp;"
                case UInt8(ascii: "<"): replacement = "&lt;"
                case UInt8(ascii: ">"): replacement = "&gt;"
                case UInt8(ascii: "'"): replacement = "&#39;"
                case UInt8(ascii: "\""): replacement = "&#34;"
                default: continue
                }
                output.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[start..<index]))
                replacement.withUTF8Buffer { output.append(contentsOf: $0) }
                start = index + 1
            }
            output.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[start...]))
        }
    }

    /// Text as markup.
    static func escaped(_ text: Value.Text) -> Value.Text {
        if text.isSafe { return text }
        var output: [UInt8] = []
        output.reserveCapacity(text.bytes.count + 16)
        Self.append(text.bytes, to: &output)
        return Value.Text(output, isSafe: true)
    }
}
