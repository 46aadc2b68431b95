// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel

/// Values that tests compose from.
enum TestValues {
    static func hash(_ byte: UInt8) -> BlobHash {
        guard let hash = BlobHash(bytes: [UInt8](repeating: byte, count: 32)) else { preconditionFailure("32 bytes") }
        return hash
    }

    static func entry(mailing: Int32, bucket: UInt16, ordinal: UInt32) -> LeaseEntry {
        LeaseEntry(
            recipient: RecipientID(
                mailing: MailingID(rawValue: mailing),
                bucket: Bucket(rawValue: bucket),
                ordinal: ordinal
            ),
            attempt: AttemptSerial(rawValue: 1),
            trackingID: "t\(bucket)-\(ordinal)",
            address: "a\(ordinal)@example.org",
            mergeFields: [],
            date: Timestamp(milliseconds: 0)
        )
    }

    static func session(_ number: UInt64, satellite: Int32 = 1) -> SatelliteSession {
        SatelliteSession(
            satellite: SatelliteID(rawValue: satellite),
            serial: "sat-\(satellite)",
            publicKey: [UInt8](repeating: UInt8(satellite), count: 32),
            incarnation: number,
            number: number
        )
    }

    static func deferred(_ recipient: RecipientID, lease: LeaseSerial, attempt: Int32 = 1) -> DeliveryReport {
        DeliveryReport(
            recipient: recipient,
            attempt: AttemptSerial(rawValue: attempt),
            lease: lease,
            outcome: .deferred(AttemptTrace(stage: .recipient, replyCode: 450, text: "later")),
            endedAt: ManualClock.epoch
        )
    }

    static func delivered(_ recipient: RecipientID, lease: LeaseSerial, attempt: Int32 = 1) -> DeliveryReport {
        DeliveryReport(
            recipient: recipient,
            attempt: AttemptSerial(rawValue: attempt),
            lease: lease,
            outcome: .delivered(AttemptTrace(stage: .finalDot, replyCode: 250, text: "ok")),
            endedAt: ManualClock.epoch
        )
    }
}
