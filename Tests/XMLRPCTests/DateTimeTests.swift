// SPDX-License-Identifier: Apache-2.0

import Testing
import XMLRPC

@Suite("dateTime.iso8601")
struct DateTimeTests {
    @Test(
        "knows the Unix time of a date, reading naive times as UTC",
        arguments: [
            ("19700101T00:00:00", 0), ("20260102T03:04:05", 1_767_323_045), ("2000-02-29T12:00:00Z", 951_825_600),
            ("1969-12-31T23:59:59", -1), ("2026-01-02T03:04:05+02:00", 1_767_315_845),
            ("00000101T00:00:00", -62_167_219_200),
            ("99991231T23:59:59", 253_402_300_799), ("2026-01-02T03:04:05-00:30", 1_767_324_845),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ]
    )
    func knowsUnixTime(text: String, seconds: Int64) throws {
        let date = try #require(XMLRPCDateTime(parsing: text.utf8))
        #expect(date.unixSeconds == seconds)
    }

    @Test("every day of 800 years makes the round trip")
    func roundTripsDays() {
        for day in stride(from: Int64(-200_000), to: 92_000, by: 1) {
            let seconds = day * 86_400 + 86_399
            #expect(XMLRPCDateTime(unixSeconds: seconds).unixSeconds == seconds)
        }
    }

    @Test("a time beyond the calendar becomes the nearest inside")
    func clamps() {
        #expect(XMLRPCDateTime(unixSeconds: .max).unixSeconds == 253_402_300_799)
        #expect(XMLRPCDateTime(unixSeconds: .min).year == 0)
    }

    @Test(
        "refuses what is no date",
        arguments: [
            "", "2026", "202601", "20261301", "20260100", "20260229T00:00:00", "20260101T24:00:00", "20260101T00:60:00",
            "20260101T00:00:61", "2026-0101", "20260101T", "20260101T0", "20260101T00:00:00.",
            "20260101T00:00:00+25:00",
            "20260101T00:00:00+1", "20260101T00:00:00Zx", "20260101X00:00:00", "20260101T00:00:", "now", "2026-1-2",
        ]
    )
    func refuses(text: String) {
        #expect(XMLRPCDateTime(parsing: text.utf8) == nil)
    }

    @Test("keeps fraction and zone")
    func keepsFraction() throws {
        let date = try #require(XMLRPCDateTime(parsing: " 2026-01-02T03:04:05,1234567891-0530\n".utf8))
        #expect(date.nanosecond == 123_456_789)
        #expect(date.offsetMinutes == -330)
        #expect(XMLRPCDateTime(parsing: "2026-01-02T03:04:05".utf8)?.offsetMinutes == nil)
    }
}
