// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import DaemonSupport

@Suite("Texts of options")
struct OptionTextTests {
    @Test(
        "durations read and write in their units",
        arguments: [
            ("0", 0), ("250ms", 250), ("30s", 30_000), ("1h30m", 5_400_000), ("2d", 172_800_000),
            ("1d1h1m1s1ms", 90_061_001),
        ]
    )
    func durations(text: String, milliseconds: Int64) {
        #expect(DurationText.parse(text) == .milliseconds(milliseconds))
        #expect(DurationText.format(.milliseconds(milliseconds)) == text)
    }

    @Test("counts a bare number as seconds")
    func bareSeconds() {
        #expect(DurationText.parse("30") == .seconds(30))
    }

    @Test(
        "refuses what is no duration",
        arguments: ["", "1,5", "s", "1x", "-1s", "1 s", "1.5s", "99999999999999999999s", "999999999999999999d"]
    )
    func refusesDurations(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test(
        "sizes read and write in their units",
        arguments: [("0", 0), ("512", 512), ("64KiB", 65_536), ("16MiB", 16_777_216), ("3GiB", 3_221_225_472)]
    )
    func sizes(text: String, bytes: Int) {
        #expect(SizeText.parse(text) == bytes)
        #expect(SizeText.format(bytes) == text)
    }

    @Test("refuses what is no size", arguments: ["", "MiB", "-1", "1kb", "1.5GiB", "9999999999999GiB", "٣"])
    func refusesSizes(text: String) {
        #expect(SizeText.parse(text) == nil)
    }

    @Test(
        "counts edits as people make them",
        arguments: [
            ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("", "ab", 2), ("kitten", "sitting", 3),
            ("ca", "abc", 3),
        ]
    )
    func distances(left: String, right: String, distance: Int) {
        #expect(NearestName.distance(Array(left), Array(right)) == distance)
    }
}
