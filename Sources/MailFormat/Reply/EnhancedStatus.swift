// SPDX-License-Identifier: Apache-2.0

/// A mail system status code such as `5.1.1`.
///
/// - Note: RFC 3463 §2.
public struct EnhancedStatus: Hashable, Sendable, Codable, CustomStringConvertible {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    public let `class`: Int
    /// What the status is about, 0 to 999.
    public let subject: Int
    /// The detail within the subject, 0 to 999.
    public let detail: Int

    /// Creates a status of its three numbers; `nil` if one is out of range.
    public init?(class: Int, subject: Int, detail: Int) {
        guard `class` == 2 || `class` == 4 || `class` == 5, (0...999).contains(subject), (0...999).contains(detail)
        else { return nil }
        self.class = `class`
        self.subject = subject
        self.detail = detail
    }

    /// Reads the dotted form alone, as in `4.7.0`; `nil` for anything else.
    public init?(parsing text: some StringProtocol) {
        var numbers = (0, 0, 0)
        var digits = 0
        var dots = 0
        for byte in text.utf8 {
            switch byte {
            case 0x2E where digits > 0 && dots < 2:
                dots += 1
                digits = 0
            case 0x30...0x39 where digits < 3:
                digits += 1
                let digit = Int(byte - 0x30)
                switch dots {
                case 0: numbers.0 = numbers.0 * 10 + digit
                case 1: numbers.1 = numbers.1 * 10 + digit
                default: numbers.2 = numbers.2 * 10 + digit
                }
            default: return nil
            }
        }
        guard dots == 2, digits > 0 else { return nil }
        self.init(class: numbers.0, subject: numbers.1, detail: numbers.2)
    }

    /// Reads the dotted form from a string value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let status = EnhancedStatus(parsing: text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an enhanced status code")
        }
        self = status
    }

    /// Writes the dotted form as a string value.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.description)
    }

    /// The dotted form.
    public var description: String { "\(self.class).\(self.subject).\(self.detail)" }
}
