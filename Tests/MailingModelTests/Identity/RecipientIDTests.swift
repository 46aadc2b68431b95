// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@Suite("Recipient ids and entry bitmaps")
struct RecipientIDTests {
    @Test(
        "packs mailing, bucket and ordinal and unpacks them",
        arguments: [(Int32(1), UInt16(0), UInt32(0)), (.max, 1023, RecipientID.maximumOrdinal), (77, 256, 12345)]
    )
    func packs(mailing: Int32, bucket: UInt16, ordinal: UInt32) {
        let id = RecipientID(
            mailing: MailingID(rawValue: mailing),
            bucket: Bucket(rawValue: bucket),
            ordinal: ordinal
        )
        #expect(id.packed > 0)
        let restored = RecipientID(packed: id.packed)
        #expect(restored.mailing.rawValue == mailing)
        #expect(restored.bucket.rawValue == bucket)
        #expect(restored.ordinal == ordinal)
    }

    @Test("a bitmap holds exactly the entries put in")
    func bitmap() {
        var bitmap = EntryBitmap([0, 7, 8, 999])
        #expect(bitmap.indices == [0, 7, 8, 999] && bitmap.count == 4)
        #expect(!bitmap.contains(1) && !bitmap.contains(100_000))
        bitmap.formUnion(EntryBitmap([1]))
        #expect(bitmap.contains(1) && bitmap.count == 5)
    }
}
