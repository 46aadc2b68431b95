// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MasterCore

@Suite("Waiting for events", .timeLimit(.minutes(15)))
struct FeedWatchTests {
    @Test("a change wakes everybody who waits, and whoever comes late does not wait at all")
    func change() async {
        let watch = FeedWatch()
        let before = watch.version
        await withTaskGroup { group in
            for _ in 0..<10 { group.addTask { await watch.wait(past: before) } }
            watch.changed()
            await group.waitForAll()
        }
        await watch.wait(past: before)
        #expect(watch.version != before)
    }

    @Test("a cancelled wait ends")
    func cancellation() async {
        let watch = FeedWatch()
        let before = watch.version
        await withTaskGroup { group in
            for _ in 0..<10 { group.addTask { await watch.wait(past: before) } }
            group.cancelAll()
            await group.waitForAll()
        }
        #expect(watch.version == before)
    }
}
