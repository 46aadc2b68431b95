// SPDX-License-Identifier: Apache-2.0

import CZeroMQ

/// A long-term CURVE key pair: who a peer is.
///
/// 32 bytes each, or 40 characters of Z85 as libzmq writes them.
public struct CurveKeyPair: Sendable, Hashable {
    /// What others may know, 32 bytes.
    public let publicKey: [UInt8]
    /// What nobody else may know, 32 bytes.
    public let secretKey: [UInt8]

    /// Restores a pair from its secret half.
    ///
    /// - Parameter secretKey: 32 bytes.
    /// - Throws: ``ZeroMQError`` with code `invalidKey` if it is none.
    public init(secretKey: [UInt8]) throws {
        let text = try Z85.encode(key: secretKey)
        var publicText = [CChar](repeating: 0, count: 41)
        let result = unsafe text.withCString { secret in
            unsafe publicText.withUnsafeMutableBufferPointer { unsafe zmq_curve_public($0.baseAddress, secret) }
        }
        guard result == 0 else { throw ZeroMQError.last("deriving a CURVE public key", as: .invalidKey) }
        self.publicKey = try Z85.decode(key: Z85.string(publicText))
        self.secretKey = secretKey
    }

    /// Draws a new pair from the system's random source.
    ///
    /// - Throws: ``ZeroMQError`` with code `unsupported` if this libzmq was built without CURVE.
    public static func generate() throws -> CurveKeyPair {
        var publicText = [CChar](repeating: 0, count: 41)
        var secretText = [CChar](repeating: 0, count: 41)
        let result = unsafe publicText.withUnsafeMutableBufferPointer { publicBuffer in
            unsafe secretText.withUnsafeMutableBufferPointer { secretBuffer in
                unsafe zmq_curve_keypair(publicBuffer.baseAddress, secretBuffer.baseAddress)
            }
        }
        guard result == 0 else { throw ZeroMQError.last("drawing a CURVE key pair", as: .unsupported) }
        return try CurveKeyPair(secretKey: Z85.decode(key: Z85.string(secretText)))
    }
}

/// The text form of keys, ZeroMQ RFC 32: five characters for four bytes.
public enum Z85 {
    private static let alphabet = Array(
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#".utf8
    )
    private static let values: [UInt8: UInt32] = {
        var values: [UInt8: UInt32] = [:]
        for (value, character) in Self.alphabet.enumerated() { values[character] = UInt32(value) }
        return values
    }()

    /// The text form of a key.
    ///
    /// - Parameter key: 32 bytes.
    /// - Returns: 40 characters.
    /// - Throws: ``ZeroMQError`` with code `invalidKey` for any other length.
    public static func encode(key: [UInt8]) throws -> String {
        guard key.count == 32 else {
            throw ZeroMQError(.invalidKey, "a CURVE key has 32 bytes, not \(key.count)")
        }
        var text: [UInt8] = []
        text.reserveCapacity(40)
        for start in stride(from: 0, to: 32, by: 4) {
            var word: UInt32 = 0
            for byte in key[start..<start + 4] { word = word << 8 | UInt32(byte) }
            for divisor: UInt32 in [52_200_625, 614_125, 7_225, 85, 1] {
                text.append(Self.alphabet[Int(word / divisor % 85)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A key from its text form.
    ///
    /// - Parameter text: 40 characters; nothing around them.
    /// - Returns: 32 bytes.
    /// - Throws: ``ZeroMQError`` with code `invalidKey` if it is not the text of 32 bytes.
    public static func decode(key text: String) throws -> [UInt8] {
        let characters = Array(text.utf8)
        guard characters.count == 40 else {
            throw ZeroMQError(.invalidKey, "a CURVE key is written with 40 characters, not \(characters.count)")
        }
        var key: [UInt8] = []
        key.reserveCapacity(32)
        for start in stride(from: 0, to: 40, by: 5) {
            var word: UInt64 = 0
            for character in characters[start..<start + 5] {
                guard let value = Self.values[character] else {
                    throw ZeroMQError(.invalidKey, "a CURVE key holds a character that is not of the Z85 alphabet")
                }
                word = word * 85 + UInt64(value)
            }
            guard word <= UInt64(UInt32.max) else {
                throw ZeroMQError(.invalidKey, "five characters of a CURVE key stand for more than four bytes")
            }
            for shift: UInt64 in [24, 16, 8, 0] { key.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return key
    }

    static func string(_ zeroTerminated: [CChar]) -> String {
        String(decoding: zeroTerminated.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
