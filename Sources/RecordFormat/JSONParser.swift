// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not a JSON text.
public struct JSONError: Error, Sendable, Hashable {
    /// The byte at which reading stopped, from 1.
    public var column: Int
    /// What kind of refusal it is.
    public var code: RecordError.Code
    /// The reason, for people.
    public var message: String
}

/// Reads one JSON text, strictly as RFC 8259 has it.
///
/// Every step checks the bounds of the bytes and the depth, so no input makes it trap.
public struct JSONParser {
    /// How deep arrays and objects may be nested.
    public static let maximumDepth = 64

    private let bytes: UnsafeBufferPointer<UInt8>
    private let limits: RecordLimits
    private var position = 0

    /// The value of a text.
    ///
    /// - Throws: ``JSONError`` if it is not JSON, nested too deep, or beyond a bound of `limits`.
    public static func parse(
        _ text: [UInt8],
        limits: RecordLimits = RecordLimits()
    ) throws(JSONError) -> JSONValue {
        try text.withUnsafeBufferPointer { bytes throws(JSONError) in
            var parser = JSONParser(bytes: bytes, limits: limits)
            return try parser.whole()
        }
    }

    private init(bytes: UnsafeBufferPointer<UInt8>, limits: RecordLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    private mutating func whole() throws(JSONError) -> JSONValue {
        let value = try self.value(depth: 0)
        self.skipSpaces()
        guard self.position == self.bytes.count else { throw self.failure("text follows the value") }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        self.skipSpaces()
        guard let byte = self.peek else { throw self.failure("the text ends too soon") }
        switch byte {
        case UInt8(ascii: "\""): return .string(try self.string())
        case UInt8(ascii: "{"): return try self.object(depth: depth)
        case UInt8(ascii: "["): return try self.array(depth: depth)
        case UInt8(ascii: "t"): return try self.word("true", .bool(true))
        case UInt8(ascii: "f"): return try self.word("false", .bool(false))
        case UInt8(ascii: "n"): return try self.word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try self.number()
        default: throw self.failure("no value begins like this")
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        try self.open(depth: depth)
        var members: [JSONValue.Member] = []
        if self.takeAfterSpaces(UInt8(ascii: "}")) { return .object(members) }
        while true {
            self.skipSpaces()
            guard self.peek == UInt8(ascii: "\"") else { throw self.failure("a member's name in quotes is missing") }
            let name = try self.string()
            guard self.takeAfterSpaces(UInt8(ascii: ":")) else { throw self.failure("`:` is missing") }
            members.append(.init(name, try self.value(depth: depth + 1)))
            if members.count > self.limits.fields {
                throw self.failure(.manyFields, "the object has more than \(self.limits.fields) members")
            }
            if self.takeAfterSpaces(UInt8(ascii: "}")) { return .object(members) }
            guard self.takeAfterSpaces(UInt8(ascii: ",")) else { throw self.failure("`,` or `}` is missing") }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        try self.open(depth: depth)
        var items: [JSONValue] = []
        if self.takeAfterSpaces(UInt8(ascii: "]")) { return .array(items) }
        while true {
            items.append(try self.value(depth: depth + 1))
            if self.takeAfterSpaces(UInt8(ascii: "]")) { return .array(items) }
            guard self.takeAfterSpaces(UInt8(ascii: ",")) else { throw self.failure("`,` or `]` is missing") }
        }
    }

    private mutating func open(depth: Int) throws(JSONError) {
        guard depth < Self.maximumDepth else { throw self.failure("nested deeper than \(Self.maximumDepth)") }
        self.position += 1
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let end = self.position + word.utf8CodeUnitCount
        guard end <= self.bytes.count,
            word.withUTF8Buffer({ self.bytes[self.position..<end].elementsEqual($0) })
        else { throw self.failure("no value begins like this") }
        self.position = end
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = self.position
        if self.peek == UInt8(ascii: "-") { self.position += 1 }
        let firstDigit = self.position
        let whole = self.skipDigits()
        guard whole == 1 || (whole > 1 && self.bytes[firstDigit] != UInt8(ascii: "0")) else {
            throw self.failure("a number is malformed")
        }
        var isWhole = true
        if self.peek == UInt8(ascii: ".") {
            isWhole = false
            self.position += 1
            guard self.skipDigits() > 0 else { throw self.failure("a number is malformed") }
        }
        if self.peek == UInt8(ascii: "e") || self.peek == UInt8(ascii: "E") {
            isWhole = false
            self.position += 1
            if self.peek == UInt8(ascii: "+") || self.peek == UInt8(ascii: "-") { self.position += 1 }
            guard self.skipDigits() > 0 else { throw self.failure("a number is malformed") }
        }
        let text = String(decoding: self.bytes[start..<self.position], as: UTF8.self)
        if isWhole, let number = Int64(text) { return .integer(number) }
        guard let number = Double(text), number.isFinite else { throw self.failure("a number is too large") }
        return .double(number)
    }

    private mutating func skipDigits() -> Int {
        let start = self.position
        while let byte = self.peek, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { self.position += 1 }
        return self.position - start
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) -> String {
        self.position += 1
        let start = self.position
        var copy: [UInt8]?
        var runStart = start
        while let byte = self.peek {
            switch byte {
            case UInt8(ascii: "\""):
                let run = self.bytes[runStart..<self.position]
                self.position += 1
                guard self.position - 1 - start <= self.limits.fieldBytes else {
                    throw self.failure(.longField, "a text has more than \(self.limits.fieldBytes) bytes")
                }
                let text =
                    copy.map { String(validating: $0 + run, as: UTF8.self) } ?? String(validating: run, as: UTF8.self)
                guard let text else { throw self.failure(.badEncoding, "a text is not UTF-8") }
                return text
            case UInt8(ascii: "\\"):
                var bytes = copy ?? []
                bytes += self.bytes[runStart..<self.position]
                self.position += 1
                try self.escape(to: &bytes)
                copy = bytes
                runStart = self.position
            case 0..<0x20: throw self.failure("a text holds a control character that is not escaped")
            default: self.position += 1
            }
        }
        throw self.failure("a text is not closed")
    }

    private mutating func escape(to bytes: inout [UInt8]) throws(JSONError) {
        guard let byte = self.peek else { throw self.failure("a text is not closed") }
        self.position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"): bytes += Array(String(try self.escapedScalar()).utf8)
        default: throw self.failure("an escape is not known")
        }
    }

    private mutating func escapedScalar() throws(JSONError) -> Character {
        let first = try self.hexadecimal()
        if let scalar = Unicode.Scalar(first) { return Character(scalar) }
        guard UTF16.isLeadSurrogate(first), self.take(UInt8(ascii: "\\")), self.take(UInt8(ascii: "u")) else {
            throw self.failure("an escape is half a character")
        }
        let second = try self.hexadecimal()
        guard UTF16.isTrailSurrogate(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
        else { throw self.failure("an escape is half a character") }
        return Character(scalar)
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = self.peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw self.failure("an escape lacks its four digits")
            }
            value = value << 4 | UInt16(digit)
            self.position += 1
        }
        return value
    }

    // MARK: Bytes

    private var peek: UInt8? { self.position < self.bytes.count ? self.bytes[self.position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek == byte else { return false }
        self.position += 1
        return true
    }

    private mutating func takeAfterSpaces(_ byte: UInt8) -> Bool {
        self.skipSpaces()
        return self.take(byte)
    }

    private mutating func skipSpaces() {
        while let byte = self.peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
            self.position += 1
        }
    }

    private func failure(_ code: RecordError.Code = .badJSON, _ message: String) -> JSONError {
        JSONError(column: self.position + 1, code: code, message: message)
    }

    private func failure(_ message: String) -> JSONError { self.failure(.badJSON, message) }
}
