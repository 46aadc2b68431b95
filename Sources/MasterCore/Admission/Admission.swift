// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailMerge
import MailingModel
import MasterStore

/// Validates submitted recipients; pure.
struct Admission {
    /// Why a recipient is refused, in one line for the caller.
    struct Refusal: Error, Hashable {
        var code: RefusalCode
        var reason: String

        init(_ code: RefusalCode = .badField, reason: String) {
            self.code = code
            self.reason = reason
        }
    }

    /// Fields that are written into header fields.
    private static let headerFields = ["firstname", "lastname"]
    /// The length of a client's own id, in characters, must be below this.
    private static let trackingIDLimit = 50

    private let configuration: MasterConfiguration

    init(configuration: MasterConfiguration) { self.configuration = configuration }

    /// The draft of a recipient, its attachments still to be stored, or why it is refused.
    func validate(_ submission: RecipientSubmission) -> Result<RecipientDraft, Refusal> {
        do {
            return .success(try self.draft(of: submission))
        } catch let refusal as Refusal {
            return .failure(refusal)
        } catch let error as AddressError {
            let quoted = Self.quoted(submission.address)
            return .failure(Refusal(.badAddress, reason: "the address \(quoted) is refused: \(error)"))
        } catch {
            return .failure(Refusal(reason: "\(error)"))
        }
    }

    private func draft(of submission: RecipientSubmission) throws -> RecipientDraft {
        let address = try EmailAddress(parsing: submission.address)
        if let trackingID = submission.trackingID { try Self.checkTrackingID(trackingID) }
        for field in submission.fields.fields { try Self.check(field) }
        let encoded = submission.fields.encoded()
        guard encoded.count <= self.configuration.maximumMergeBytes else {
            throw Refusal(
                reason:
                    "the merge fields take \(encoded.count) bytes, \(self.configuration.maximumMergeBytes) at most"
            )
        }
        // What is stored must be readable when the message is made, however deep its values are nested; flat ones are.
        if submission.fields.fields.contains(where: \.value.isNested) { _ = try MergeFields(decoding: encoded) }
        let size = submission.attachments.reduce(0) { $0 + $1.bytes.count }
        guard size <= self.configuration.maximumAttachmentBytes else {
            throw Refusal(
                .badAttachment,
                reason: "the attachments have \(size) bytes, \(self.configuration.maximumAttachmentBytes) at most"
            )
        }
        for attachment in submission.attachments { try Self.check(attachment) }
        return RecipientDraft(
            address: submission.address,
            domain: address.asciiDomain,
            trackingID: submission.trackingID,
            mergeFields: encoded
        )
    }

    private static func checkTrackingID(_ trackingID: String) throws {
        guard !trackingID.isEmpty, trackingID.unicodeScalars.count < self.trackingIDLimit else {
            throw Refusal(.badTrackingID, reason: "a tracking id has 1 to \(self.trackingIDLimit - 1) characters")
        }
        guard RecipientDraft.isVisible(trackingID) else {
            throw Refusal(.badTrackingID, reason: "a tracking id has visible ASCII characters only")
        }
    }

    private static func check(_ field: MergeFields.Field) throws {
        let isHeader = self.headerFields.contains(field.name)
        if self.holdsNUL(field.value) || self.holdsNUL(field.name) {
            throw Refusal(reason: "the field \(Self.quoted(field.name)) holds a NUL")
        }
        guard isHeader else { return }
        if self.holds(field.value, where: { $0 == "\r" || $0 == "\n" }) {
            throw Refusal(reason: "the field \(Self.quoted(field.name)) goes into a header field and holds a line end")
        }
        if self.holds(field.value, where: \.changesDirection) {
            throw Refusal(
                reason:
                    "the field \(Self.quoted(field.name)) goes into a header field and changes the writing direction"
            )
        }
    }

    private static func check(_ attachment: AttachmentSubmission) throws {
        do {
            try attachment.attachment.check()
        } catch {
            throw Refusal(.badAttachment, reason: error.message)
        }
    }

    private static func holdsNUL(_ value: MergeValue) -> Bool {
        if case .text(let text) = value { self.holdsNUL(text) } else { self.holds(value) { $0.value == 0 } }
    }

    /// In UTF-8 no other character has a byte of zero.
    private static func holdsNUL(_ text: String) -> Bool {
        text.utf8.withContiguousStorageIfAvailable { $0.contains(0) } ?? text.utf8.contains(0)
    }

    private static func holds(_ value: MergeValue, where matches: (Unicode.Scalar) -> Bool) -> Bool {
        switch value {
        case .null, .integer, .double, .bool, .dateTime: false
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self).unicodeScalars.contains(where: matches)
        case .text(let text): text.unicodeScalars.contains(where: matches)
        case .list(let values): values.contains { self.holds($0, where: matches) }
        case .map(let fields):
            fields.fields.contains {
                $0.name.unicodeScalars.contains(where: matches) || self.holds($0.value, where: matches)
            }
        }
    }

    /// A caller's text in quotes, shortened, without control characters.
    private static func quoted(_ text: String) -> String {
        var line = "'"
        for scalar in text.unicodeScalars.prefix(80) {
            line.unicodeScalars.append(
                scalar.value < 0x20 || scalar.value == 0x7F || scalar.changesDirection ? "?" : scalar
            )
        }
        return line + "'"
    }
}

extension MergeValue {
    /// Whether the value is a list or a map.
    fileprivate var isNested: Bool {
        switch self {
        case .list, .map: true
        case .null, .text, .integer, .double, .bool, .dateTime, .bytes: false
        }
    }
}
