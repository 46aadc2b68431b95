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

    /// Takes fields over; a repeated name keeps its first place and its last value.
    public init(_ fields: some Sequence<Field>) {
        self.fields = []
        var places: [String: Int] = [:]
        for field in fields {
            if let place = places[field.name] {
                self.fields[place].value = field.value
            } else {
                places[field.name] = self.fields.count
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
            let place = self.fields.firstIndex { $0.name == name }
            switch (place, newValue) {
            case (let place?, let value?): self.fields[place].value = value
            case (let place?, nil): self.fields.remove(at: place)
            case (nil, let value?): self.fields.append(Field(name: name, value: value))
            case (nil, nil): break
            }
        }
    }
}
