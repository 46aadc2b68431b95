// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterCore
import MasterStore
import Synchronization
import Testing

@Suite("Keys of answers that take long")
struct KeyWatchTests {
    @Test("whoever watches a key is notified once when it is revoked, and not of other keys")
    func revocation() async throws {
        try await TestMaster.run { test in
            let key = try await test.master.operator.createKey(name: "reader", account: .root).record.publicID
            let other = try await test.master.operator.createKey(name: "other", account: .root).record.publicID
            let calls = Atomic(0)
            let watch = test.master.watch(key: key) { calls.add(1, ordering: .relaxed) }
            let ended = test.master.watch(key: key) { calls.add(100, ordering: .relaxed) }
            ended.end()
            try await test.master.operator.revokeKey(other)
            #expect(calls.load(ordering: .relaxed) == 0)
            #expect(test.master.isInForce(key: key))
            try await test.master.operator.revokeKey(key)
            #expect(calls.load(ordering: .relaxed) == 1)
            #expect(!test.master.isInForce(key: key))
            watch.end()
        }
    }

    @Test("whoever begins to watch a key that is revoked already is notified at once")
    func late() async throws {
        try await TestMaster.run { test in
            let key = try await test.master.operator.createKey(name: "reader", account: .root).record.publicID
            try await test.master.operator.revokeKey(key)
            let calls = Atomic(0)
            test.master.watch(key: key) { calls.add(1, ordering: .relaxed) }.end()
            #expect(calls.load(ordering: .relaxed) == 1)
        }
    }

    @Test("a revocation wakes whoever waits for events")
    func wakes() async throws {
        try await TestMaster.run { test in
            let key = try await test.master.operator.createKey(name: "reader", account: .root).record.publicID
            let master = test.master
            let version = master.operator.everyAccount.feedVersion
            async let woken = master.operator.everyAccount.waitForEvents(past: version, atMost: .seconds(1_000_000))
            try await master.operator.revokeKey(key)
            #expect(await woken)
        }
    }

    @Test("a master that has read its store is loaded before it runs, and loading again does nothing")
    func loading() async throws {
        try await TestMaster.run { test in
            try await test.master.load()
            #expect(test.master.isLoaded)
            #expect(test.master.unreadyReasons.isEmpty)
        }
    }
}
