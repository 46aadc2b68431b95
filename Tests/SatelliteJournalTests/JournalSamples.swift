// SPDX-License-Identifier: Apache-2.0

import MailingModel
import SatelliteJournal

let sampleNow = Timestamp(seconds: 1_795_000_000)

func sampleHash(_ byte: UInt8) -> BlobHash {
    guard let hash = BlobHash(bytes: [UInt8](repeating: byte, count: 32)) else { fatalError("32 bytes are a hash") }
    return hash
}

func sampleGrant(_ serial: Int64, recipients: Int = 4, payload: Int = 20, mailing: Int32 = 7) -> LeaseGrant {
    LeaseGrant(
        serial: LeaseSerial(rawValue: serial),
        term: Term(rawValue: 3),
        mailing: MailingID(rawValue: mailing),
        content: sampleHash(9),
        deliveryClass: .bulk,
        testing: false,
        lifetime: .seconds(600),
        returnPathDomain: "rp.example.org",
        entries: (0..<recipients).map { index in
            LeaseEntry(
                recipient: RecipientID(
                    mailing: MailingID(rawValue: mailing),
                    bucket: Bucket(rawValue: UInt16(serial % 200)),
                    ordinal: UInt32(index)
                ),
                attempt: AttemptSerial(rawValue: 2),
                trackingID: "t\(serial)-\(index)",
                address: "user\(index)@example.org",
                mergeFields: [UInt8](repeating: UInt8(index & 0xFF), count: payload),
                date: sampleNow,
                attachments: index == 0 ? [sampleHash(4)] : []
            )
        }
    )
}

func sampleOutcome(_ text: String = "2.0.0 queued") -> DeliveryOutcome {
    .delivered(
        AttemptTrace(stage: .finalDot, replyCode: 250, enhancedStatus: "2.0.0", text: text, mxHost: "mx.example.org")
    )
}

func openJournal(
    _ directory: RecordingDirectory,
    boot: String = "boot-1",
    incarnation: UInt64 = 1,
    configuration: Journal.Configuration = Journal.Configuration(segmentSize: 64 * 1024)
) throws -> (journal: Journal, recovery: Recovery) {
    try Journal.open(directory, configuration: configuration, bootID: boot, incarnation: incarnation, now: sampleNow)
}

extension Recovery {
    /// All that was recovered, for comparisons of sums.
    var summary: String {
        let held = self.heldLeases.map {
            "\($0.grant.serial):\($0.neverStarted.count)/\($0.started.count)/\($0.returned.count)"
        }
        return "held \(held) unacknowledged \(self.unacknowledged.count) uncertain \(self.uncertain.count)"
    }
}
