// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@Suite("Timestamp")
struct TimestampTests {
    @Test(
        "is written as RFC 3339 §5.6 has it, in whole seconds of UTC",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"), (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"), (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (1_795_867_384_123, "2026-11-28T12:03:04Z"), (-62_135_596_800_000, "0001-01-01T00:00:00Z"),
        ] as [(Int64, String)]
    )
    func rfc3339(milliseconds: Int64, text: String) {
        #expect(Timestamp(milliseconds: milliseconds).rfc3339 == text)
    }

    @Test(
        "is read as RFC 3339 writes it, in UTC without an offset",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2000-02-29T00:00:00Z", 951_782_400), ("2100-03-01T00:00Z", 4_107_542_400),
            ("2026-11-28T12:03:04.5+01:00", 1_795_863_784), ("2026-11-28 12:03:04", 1_795_867_384),
            ("2026-11-28t12:03:04z", 1_795_867_384), ("2000-02-29", 951_782_400), ("2000-02-29T01:00+01", 951_782_400),
            ("2026-11-28T06:33:04-0530", 1_795_867_384),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
        ] as [(String, Int64)]
    )
    func read(text: String, seconds: Int64) { #expect(Timestamp(rfc3339: text)?.seconds == seconds) }

    @Test(
        "what is read back is what was written",
        arguments: Array(stride(from: Int64(-62_135_596_800), to: 253_402_300_800, by: 8_640_013_337))
    )
    func roundTrip(seconds: Int64) {
        #expect(Timestamp(rfc3339: Timestamp(seconds: seconds).rfc3339)?.seconds == seconds)
    }

    @Test(
        "there is no such time",
        arguments: [
            "", "2026", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zz",
            "2026-01-01T00:00:00+1", "2026-01-01T", "tomorrow", "٢٠٢٦-01-01T00:00:00Z",
        ]
    )
    func none(text: String) { #expect(Timestamp(rfc3339: text) == nil) }
}
