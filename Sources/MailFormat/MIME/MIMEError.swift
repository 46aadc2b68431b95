// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not taken for a MIME entity.
public enum MIMEError: Error, Hashable, Sendable, CustomStringConvertible {
    /// More bytes than `MIMELimits.bytes`.
    case tooLarge(limit: Int)
    /// More levels of parts than `MIMELimits.depth`.
    case tooDeep(limit: Int)
    /// More parts in all than `MIMELimits.parts`.
    case tooManyParts(limit: Int)
    /// More fields in one header than `MIMELimits.fields`.
    case tooManyFields(limit: Int)

    /// The reason in one line.
    public var description: String {
        switch self {
        case .tooLarge(let limit): "the message has more than \(limit) bytes"
        case .tooDeep(let limit): "the message's parts are nested more than \(limit) deep"
        case .tooManyParts(let limit): "the message has more than \(limit) parts"
        case .tooManyFields(let limit): "a header of the message has more than \(limit) fields"
        }
    }
}

/// The most that a parser accepts of a message.
public struct MIMELimits: Hashable, Sendable {
    /// The bytes of the whole message.
    public var bytes: Int
    /// The levels of multiparts within multiparts.
    public var depth: Int
    /// The parts of the whole message, multiparts included.
    public var parts: Int
    /// The fields of any one header.
    public var fields: Int

    /// Creates limits; the defaults suit mail from outside.
    public init(bytes: Int = 64 * 1_024 * 1_024, depth: Int = 20, parts: Int = 1_000, fields: Int = 1_000) {
        self.bytes = bytes
        self.depth = depth
        self.parts = parts
        self.fields = fields
    }
}
