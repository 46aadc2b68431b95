// SPDX-License-Identifier: Apache-2.0

/// Percent-encoding as Python's `urllib.parse.quote` writes it: letters, digits and `_.-~` stand for themselves.
enum PercentEncoding {
    /// Appends text; `/` stays if `keepsSlash`.
    static func append(_ bytes: ArraySlice<UInt8>, keepsSlash: Bool, to output: inout [UInt8]) {
        for byte in bytes {
            if Self.isUnreserved(byte) || (keepsSlash && byte == UInt8(ascii: "/")) {
                output.append(byte)
            } else {
                output.append(UInt8(ascii: "%"))
                output.append(Self.digit(byte >> 4))
                output.append(Self.digit(byte & 15))
            }
        }
    }

    /// Appends a member of a query: blanks become `+`.
    static func appendForm(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
        for part in bytes.indices {
            if bytes[part] == UInt8(ascii: " ") {
                output.append(UInt8(ascii: "+"))
            } else {
                Self.append(bytes[part...part], keepsSlash: false, to: &output)
            }
        }
    }

    static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") - 10 + value
    }
}
