// SPDX-License-Identifier: Apache-2.0

/// What a merge field may hold: the types that the API families can carry.
public enum MergeValue: Hashable, Sendable {
    /// An absent value.
    case null
    /// Unicode text.
    case text(String)
    /// A whole number.
    case integer(Int64)
    /// A floating-point number.
    case double(Double)
    /// A truth value.
    case bool(Bool)
    /// A civil date and time without a zone, read as UTC.
    case dateTime(Timestamp)
    /// Raw bytes.
    case bytes([UInt8])
    /// An ordered list.
    case list([MergeValue])
    /// Named values, in the order received.
    case map(MergeFields)
}

/// A recipient's merge fields in the order received; names are unique, the last one given wins.
public struct MergeFields: Hashable, Sendable {
    /// A field's name and value.
    public struct Field: Hashable, Sendable {
        /// The name as the caller wrote it.
        public var name: String
        /// The value.
        public var value: MergeValue

        /// Composes a field.
        public init(name: String, value: MergeValue) {
            self.name = name
            self.value = value
        }
    }

    /// The fields, in the order received.
    public private(set) var fields: [Field]

    /// Makes an empty set of fields.
    public init() { self.fields = [] }

    /// Takes fields over; a repeated name keeps its first position and its last value.
    public init(_ fields: some Sequence<Field>) {
        self.fields = []
        var indices: [String: Int] = [:]
        for field in fields {
            if let index = indices[field.name] {
                self.fields[index].value = field.value
            } else {
                indices[field.name] = self.fields.count
                self.fields.append(field)
            }
        }
    }

    /// Takes over fields whose names the caller knows to be unique.
    public init(unique fields: [Field]) { self.fields = fields }

    /// The value of a field, or `nil` if there is none of that name.
    public subscript(name: String) -> MergeValue? {
        get { self.fields.first { $0.name == name }?.value }
        set {
            let index = self.fields.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): self.fields[index].value = value
            case (let index?, nil): self.fields.remove(at: index)
            case (nil, let value?): self.fields.append(Field(name: name, value: value))
            case (nil, nil): break
            }
        }
    }
}
