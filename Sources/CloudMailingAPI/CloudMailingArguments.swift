// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailingModel
import XMLRPC

/// The arguments of a call, read one after the other; what is wrong with one is a fault that names it.
struct CloudMailingArguments {
    private let call: XMLRPCCall
    private var next = 0

    /// Checks the count.
    ///
    /// - Throws: Fault 8002 if there are fewer or more than the method takes.
    init(_ call: XMLRPCCall, _ range: ClosedRange<Int>) throws {
        guard range.contains(call.parameters.count) else {
            let wanted =
                range.lowerBound == range.upperBound
                ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
            throw CloudMailingFault(
                8002,
                "\(call.method)() takes \(wanted) arguments (\(call.parameters.count) given)"
            )
        }
        self.call = call
    }

    /// The next argument; `nil` past the end and for nil.
    mutating func value() -> XMLRPCValue? {
        guard self.next < self.call.parameters.count else { return nil }
        defer { self.next += 1 }
        let value = self.call.parameters[self.next]
        return value == .nil ? nil : value
    }

    /// The next argument, which must be a whole number within 31 bits.
    mutating func mailing() throws -> MailingID {
        let value = self.value()
        guard let number = value?.integer, let id = Int32(exactly: number) else {
            throw self.wrongType("a mailing id", value)
        }
        return MailingID(rawValue: id)
    }

    /// The next argument, a whole number if it is there.
    mutating func integer() throws -> Int64? {
        guard let value = self.value() else { return nil }
        guard let number = value.integer else { throw self.wrongType("an int", value) }
        return number
    }

    /// The next argument, text if it is there; base64 is read in the given charset.
    mutating func text(charset: Charset = .utf8) throws -> String? {
        guard let value = self.value() else { return nil }
        guard let text = try value.text(charset: charset) else { throw self.wrongType("a string", value) }
        return text
    }

    /// The next argument, an array if it is there.
    mutating func array() throws -> [XMLRPCValue]? {
        guard let value = self.value() else { return nil }
        guard case .array(let items) = value else { throw self.wrongType("an array", value) }
        return items
    }

    /// The next argument, a struct if it is there.
    mutating func structure() throws -> XMLRPCStructure? {
        guard let value = self.value() else { return nil }
        guard case .structure(let members) = value else { throw self.wrongType("a struct", value) }
        return members
    }

    private func wrongType(_ wanted: String, _ value: XMLRPCValue?) -> CloudMailingFault {
        CloudMailingFault(
            8002,
            "\(self.call.method)(): argument \(max(self.next, 1)) has to be \(wanted), not \(value?.typeName ?? "nil")"
        )
    }
}

extension XMLRPCValue {
    /// The whole number, from `int`, `i8` or a double without fraction.
    var integer: Int64? {
        switch self {
        case .int(let number): Int64(number)
        case .i8(let number): number
        case .double(let number): Int64(exactly: number)
        default: nil
        }
    }

    /// The truth value, from `boolean` or the numbers that older clients send for it.
    var truth: Bool? {
        switch self {
        case .bool(let value): value
        case .int(let number): number == 0 ? false : number == 1 ? true : nil
        default: nil
        }
    }

    /// The text, from `string`, or from `base64` in the given charset.
    ///
    /// - Throws: Fault 8002 if the bytes are not text in that charset.
    func text(charset: Charset = .utf8) throws -> String? {
        switch self {
        case .string(let text): return text
        case .base64(let bytes):
            guard let text = charset.decodeStrictly(bytes) else {
                throw CloudMailingFault(8002, "the bytes are not text in charset \(charset.name)")
            }
            return text
        default: return nil
        }
    }

    /// The timestamp, from `dateTime.iso8601` or an ISO 8601 string; without a zone it is UTC.
    var timestamp: Timestamp? {
        switch self {
        case .dateTime(let value): Timestamp(seconds: value.unixSeconds)
        case .string(let text): XMLRPCDateTime(parsing: text.utf8).map { Timestamp(seconds: $0.unixSeconds) }
        default: nil
        }
    }
}

extension Charset {
    /// Finds a charset by the name that a client gives for its contents.
    ///
    /// - Throws: Fault 8002 for one that is not known.
    init(named name: String) throws {
        guard let charset = Charset(label: name) else {
            throw CloudMailingFault(8002, "unknown encoding: \(name)")
        }
        self = charset
    }
}
