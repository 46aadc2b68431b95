// SPDX-License-Identifier: Apache-2.0

import MailingModel

// The journal's own compact form of a grant, apart from the wire's so that either may change alone. A satellite must be
// able to read what the version before it wrote: a change raises `formVersion` and keeps the reader of the old form.

private let formVersion: UInt8 = 1

extension LeaseGrant {
    func encode(into encoder: inout ByteEncoder) {
        encoder.byte(formVersion)
        encoder.signed(self.serial.rawValue)
        encoder.signed(self.term.rawValue)
        encoder.signed(Int64(self.mailing.rawValue))
        encoder.raw(self.content.bytes)
        encoder.byte(self.deliveryClass.rawValue)
        encoder.byte(self.testing ? 1 : 0)
        encoder.signed(self.lifetime.milliseconds)
        encoder.string(self.returnPathDomain)
        encoder.count(self.entries.count)
        var recipient: Int64 = 0
        var date: Int64 = 0
        for entry in self.entries {
            encoder.signed(entry.recipient.packed &- recipient)
            encoder.signed(Int64(entry.attempt.rawValue))
            encoder.string(entry.trackingID)
            encoder.string(entry.address)
            encoder.data(entry.mergeFields)
            encoder.signed(entry.date.milliseconds &- date)
            encoder.count(entry.attachments.count)
            for attachment in entry.attachments { encoder.raw(attachment.bytes) }
            recipient = entry.recipient.packed
            date = entry.date.milliseconds
        }
    }

    init(from decoder: inout ByteDecoder) throws(DecodingFailure) {
        guard try decoder.byte() == formVersion else { throw DecodingFailure(reason: "unknown form of a lease") }
        let serial = LeaseSerial(rawValue: try decoder.signed())
        let term = Term(rawValue: try decoder.signed())
        let mailing = MailingID(rawValue: Int32(truncatingIfNeeded: try decoder.signed()))
        let content = try Self.hash(from: &decoder)
        guard let deliveryClass = DeliveryClass(rawValue: try decoder.byte()) else {
            throw DecodingFailure(reason: "unknown class of a lease")
        }
        let testing = try decoder.byte() != 0
        let lifetime = Duration.milliseconds(try decoder.signed())
        let returnPathDomain = try decoder.string()
        let count = try decoder.count(ofAtLeast: 7)
        var entries: [LeaseEntry] = []
        entries.reserveCapacity(count)
        var packed: Int64 = 0
        var date: Int64 = 0
        for _ in 0..<count {
            packed &+= try decoder.signed()
            let attempt = AttemptSerial(rawValue: Int32(truncatingIfNeeded: try decoder.signed()))
            let trackingID = try decoder.string()
            let address = try decoder.string()
            let mergeFields = try decoder.data()
            date &+= try decoder.signed()
            var attachments: [BlobHash] = []
            for _ in 0..<(try decoder.count(ofAtLeast: 32)) { attachments.append(try Self.hash(from: &decoder)) }
            entries.append(
                LeaseEntry(
                    recipient: RecipientID(packed: packed),
                    attempt: attempt,
                    trackingID: trackingID,
                    address: address,
                    mergeFields: mergeFields,
                    date: Timestamp(milliseconds: date),
                    attachments: attachments
                )
            )
        }
        self.init(
            serial: serial,
            term: term,
            mailing: mailing,
            content: content,
            deliveryClass: deliveryClass,
            testing: testing,
            lifetime: lifetime,
            returnPathDomain: returnPathDomain,
            entries: entries
        )
    }

    private static func hash(from decoder: inout ByteDecoder) throws(DecodingFailure) -> BlobHash {
        guard let hash = BlobHash(bytes: try decoder.raw(32)) else { throw DecodingFailure(reason: "a hash is short") }
        return hash
    }
}
