// SPDX-License-Identifier: Apache-2.0

/// Writes requests, responses and faults in the layout that the field's clients and servers use.
///
/// Text is UTF-8; characters that XML 1.0 §2.2 does not have become U+FFFD.
public enum XMLRPCWriter {
    /// The document that answers a request with a value.
    ///
    /// - Throws: `notRepresentable` for an integer outside 32 bits (``XMLRPCValue/i8(_:)`` has its own element), and
    ///   for a double that is not finite.
    public static func response(_ value: XMLRPCValue) throws(XMLRPCError) -> [UInt8] {
        var output = Output()
        output.raw("<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n")
        try output.value(value)
        output.raw("</param>\n</params>\n</methodResponse>\n")
        return output.bytes
    }

    /// The document that refuses a request.
    ///
    /// The number is the client's to read; one outside 32 bits becomes the nearest inside.
    public static func fault(code: Int, message: String) -> [UInt8] {
        var output = Output()
        output.raw(
            """
            <?xml version='1.0'?>
            <methodResponse>
            <fault>
            <value><struct>
            <member>
            <name>faultCode</name>
            <value><int>\(Int32(clamping: code))</int></value>
            </member>
            <member>
            <name>faultString</name>
            <value><string>
            """
        )
        output.text(message)
        output.raw("</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n")
        return output.bytes
    }

    /// The document that asks for a procedure.
    ///
    /// - Throws: `notRepresentable` as ``response(_:)`` does.
    public static func call(_ call: XMLRPCCall) throws(XMLRPCError) -> [UInt8] {
        var output = Output()
        output.raw("<?xml version='1.0'?>\n<methodCall>\n<methodName>")
        output.text(call.method)
        output.raw("</methodName>\n<params>\n")
        for parameter in call.parameters {
            output.raw("<param>\n")
            try output.value(parameter)
            output.raw("</param>\n")
        }
        output.raw("</params>\n</methodCall>\n")
        return output.bytes
    }
}

private struct Output {
    var bytes: [UInt8] = []

    mutating func raw(_ markup: String) {
        self.bytes.append(contentsOf: markup.utf8)
    }

    mutating func value(_ value: XMLRPCValue) throws(XMLRPCError) {
        self.raw("<value>")
        switch value {
        case .int(let number):
            guard Int32(exactly: number) != nil else {
                throw XMLRPCError(.notRepresentable, "int \(number) exceeds XML-RPC limits")
            }
            self.raw("<int>\(number)</int>")
        case .i8(let number): self.raw("<i8>\(number)</i8>")
        case .bool(let flag): self.raw(flag ? "<boolean>1</boolean>" : "<boolean>0</boolean>")
        case .string(let text):
            self.raw("<string>")
            self.text(text)
            self.raw("</string>")
        case .double(let number):
            guard number.isFinite else {
                throw XMLRPCError(.notRepresentable, "double \(number) has no form in XML-RPC")
            }
            self.raw("<double>\(Self.decimal(number))</double>")
        case .dateTime(let date):
            self.raw("<dateTime.iso8601>")
            self.dateTime(date)
            self.raw("</dateTime.iso8601>")
        case .base64(let bytes):
            self.raw("<base64>\n")
            Base64Text.encode(bytes, into: &self.bytes)
            self.raw("</base64>")
        case .array(let elements):
            self.raw("<array><data>\n")
            for element in elements {
                try self.value(element)
            }
            self.raw("</data></array>")
        case .structure(let structure): try self.structure(structure)
        case .nil: self.raw("<nil/>")
        }
        self.raw("</value>\n")
    }

    private mutating func structure(_ structure: XMLRPCStructure) throws(XMLRPCError) {
        self.raw("<struct>\n")
        for member in structure.members {
            self.raw("<member>\n<name>")
            self.text(member.name)
            self.raw("</name>\n")
            try self.value(member.value)
            self.raw("</member>\n")
        }
        self.raw("</struct>")
    }

    /// Appends text with markup escaped.
    mutating func text(_ text: String) {
        var previous: UInt8 = 0
        var beforePrevious: UInt8 = 0
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): self.raw("&amp;")
            case UInt8(ascii: "<"): self.raw("&lt;")
            case UInt8(ascii: ">"): self.raw("&gt;")
            // A raw carriage return would be read as a line feed.
            case 0x0D: self.raw("&#13;")
            case 0x00..<0x09, 0x0B, 0x0C, 0x0E..<0x20: self.raw("\u{FFFD}")
            case 0xBE...0xBF where beforePrevious == 0xEF && previous == 0xBF:
                // U+FFFE and U+FFFF are EF BF BE and EF BF BF, U+FFFD is EF BF BD.
                self.bytes.append(0xBD)
            default: self.bytes.append(byte)
            }
            beforePrevious = previous
            previous = byte
        }
    }

    /// Appends `YYYYMMDDThh:mm:ss`, in UTC if the time has a zone; the fraction is dropped.
    private mutating func dateTime(_ date: XMLRPCDateTime) {
        let date = date.offsetMinutes == nil ? date : XMLRPCDateTime(unixSeconds: date.unixSeconds)
        self.digits(Int(date.year), count: 4)
        self.digits(Int(date.month), count: 2)
        self.digits(Int(date.day), count: 2)
        self.bytes.append(UInt8(ascii: "T"))
        self.digits(Int(date.hour), count: 2)
        self.bytes.append(UInt8(ascii: ":"))
        self.digits(Int(date.minute), count: 2)
        self.bytes.append(UInt8(ascii: ":"))
        self.digits(Int(date.second), count: 2)
    }

    private mutating func digits(_ number: Int, count: Int) {
        var divisor = 1
        for _ in 1..<count { divisor *= 10 }
        while divisor > 0 {
            self.bytes.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }

    /// The shortest digits that read back as the same number, without the exponent that XML-RPC does not have.
    private static func decimal(_ number: Double) -> String {
        let text = "\(number)"
        guard let mark = text.firstIndex(of: "e"), let exponent = Int(text[text.index(after: mark)...]) else {
            return text
        }
        let isNegative = text.hasPrefix("-")
        let mantissa = text[..<mark].drop { $0 == "-" }.split(separator: ".")
        let whole = mantissa.first.map(String.init) ?? "0"
        let fraction = mantissa.count > 1 && mantissa[1] != "0" ? String(mantissa[1]) : ""
        let digits = whole + fraction
        let point = whole.count + exponent
        let sign = isNegative ? "-" : ""
        if point <= 0 {
            return sign + "0." + String(repeating: "0", count: -point) + digits
        }
        if point >= digits.count {
            return sign + digits + String(repeating: "0", count: point - digits.count) + ".0"
        }
        let cut = digits.index(digits.startIndex, offsetBy: point)
        return sign + digits[..<cut] + "." + digits[cut...]
    }
}
