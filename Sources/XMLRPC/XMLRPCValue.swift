// SPDX-License-Identifier: Apache-2.0

/// A value that XML-RPC can carry.
///
/// Source: the XML-RPC Specification (15 June 1999), and the `nil` and `i8` extensions that clients send.
public enum XMLRPCValue: Hashable, Sendable {
    /// A whole number; what is read from `<int>`, `<i4>`, `<i2>` and `<i1>`. Only 32 bits may be written.
    case int(Int)
    /// A 64-bit whole number; read from `<i8>`, and from an `<int>` that needs more than 32 bits.
    case i8(Int64)
    /// A truth value.
    case bool(Bool)
    /// Unicode text; what a `<value>` without a type holds too.
    case string(String)
    /// A floating-point number.
    case double(Double)
    /// A civil date and time, with the zone only if the client gave one.
    case dateTime(XMLRPCDateTime)
    /// Raw bytes.
    case base64([UInt8])
    /// An ordered list.
    case array([XMLRPCValue])
    /// Named values in the order received.
    case structure(XMLRPCStructure)
    /// An absent value.
    case `nil`

    /// The element's name in the protocol, for messages about a value of the wrong type.
    public var typeName: String {
        switch self {
        case .int: "int"
        case .i8: "i8"
        case .bool: "boolean"
        case .string: "string"
        case .double: "double"
        case .dateTime: "dateTime.iso8601"
        case .base64: "base64"
        case .array: "array"
        case .structure: "struct"
        case .nil: "nil"
        }
    }
}

/// The members of a struct in the order received; names are unique.
public struct XMLRPCStructure: Hashable, Sendable {
    /// A member's name and value.
    public struct Member: Hashable, Sendable {
        /// The name as the client wrote it.
        public var name: String
        /// The value.
        public var value: XMLRPCValue

        /// Composes a member.
        public init(name: String, value: XMLRPCValue) {
            self.name = name
            self.value = value
        }
    }

    /// The members, in the order received.
    public private(set) var members: [Member]

    /// Takes members over; a repeated name keeps its first position and its last value.
    public init(_ members: [Member] = []) {
        self.members = members
        if Self.hasRepeatedName(members) {
            self.removeRepeatedNames()
        }
    }

    /// The value of a member, or `nil` if there is none of that name; setting `nil` removes the member.
    public subscript(name: String) -> XMLRPCValue? {
        get { self.members.first { $0.name == name }?.value }
        set {
            let index = self.members.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): self.members[index].value = value
            case (let index?, nil): self.members.remove(at: index)
            case (nil, let value?): self.members.append(Member(name: name, value: value))
            case (nil, nil): break
            }
        }
    }

    private static func hasRepeatedName(_ members: [Member]) -> Bool {
        // Comparing few short names is cheaper than hashing them, and structs are nearly always small.
        guard members.count <= 12 else {
            return Set(members.lazy.map(\.name)).count != members.count
        }
        for index in members.indices.dropFirst() {
            for earlier in 0..<index where members[earlier].name == members[index].name {
                return true
            }
        }
        return false
    }

    private mutating func removeRepeatedNames() {
        var indices: [String: Int] = [:]
        var kept: [Member] = []
        for member in self.members {
            if let index = indices[member.name] {
                kept[index].value = member.value
            } else {
                indices[member.name] = kept.count
                kept.append(member)
            }
        }
        self.members = kept
    }
}

extension XMLRPCStructure: ExpressibleByDictionaryLiteral {
    /// Composes a struct from names and values in the order written.
    public init(dictionaryLiteral elements: (String, XMLRPCValue)...) {
        self.init(elements.map { Member(name: $0.0, value: $0.1) })
    }
}

/// A request: the procedure asked for and its arguments.
public struct XMLRPCCall: Hashable, Sendable {
    /// The procedure's name, without surrounding white space.
    public var method: String
    /// The arguments in order; empty if the request has no `<params>`.
    public var parameters: [XMLRPCValue]

    /// Composes a request.
    public init(method: String, parameters: [XMLRPCValue] = []) {
        self.method = method
        self.parameters = parameters
    }
}

/// An answer: the procedure's result, or why there is none.
public enum XMLRPCResponse: Hashable, Sendable {
    /// The result.
    case success(XMLRPCValue)
    /// A refusal with the server's number and text.
    case fault(code: Int, message: String)
}
