// SPDX-License-Identifier: Apache-2.0

/// Writes tracked addresses: `<site>c/<id>/?[c=b64&]o=<template's address>&t=<recipient's address>`.
struct LinkWriter: Sendable {
    /// By number of the link: `/?[c=b64&]o=<template's address>&t=`.
    var middles: [[UInt8]] = []
    /// Whether addresses are written in URL-safe base64 instead of percent-encoding.
    var usesBase64: Bool
    /// `<site>c/<id>` for the recipient.
    var prefix: [UInt8] = []

    /// Notes a link and gives its number.
    mutating func add(templateAddress: ArraySlice<UInt8>) -> Int {
        var middle = Array((self.usesBase64 ? "/?c=b64&o=" : "/?o=").utf8)
        self.encode(templateAddress, to: &middle)
        middle.append(contentsOf: "&t=".utf8)
        self.middles.append(middle)
        return self.middles.count - 1
    }

    /// Appends a tracked address.
    func append(index: Int, address: [UInt8], to output: inout [UInt8]) {
        output.append(contentsOf: self.prefix)
        output.append(contentsOf: self.middles[index])
        self.encode(address[...], to: &output)
    }

    private func encode(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
        if self.usesBase64 {
            Self.appendBase64(bytes, to: &output)
        } else {
            PercentEncoding.append(bytes, keepsSlash: true, to: &output)
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// RFC 4648 §5 without padding.
    private static func appendBase64(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                output.append(Self.alphabet[Int(bits >> UInt32(count)) & 63])
            }
            bits &= (1 << UInt32(count)) - 1
        }
        if count > 0 { output.append(Self.alphabet[Int(bits << UInt32(6 - count)) & 63]) }
    }
}
