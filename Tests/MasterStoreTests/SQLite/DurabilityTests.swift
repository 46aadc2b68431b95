// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("What SQLite is made to promise")
struct DurabilityTests {
    @Test("an answer comes after the log was written and synced (C13)")
    func syncedBeforeAnswer() async throws {
        try await withTemporaryDirectory { directory in
            try #require(RecordingVFS.watch(directory))
            try await StoreFactory.sqlite.withStore(in: directory) { fixture in
                let id = try await fixture.makeMailing()
                let satellite = try await fixture.makeSatellite()
                func check(_ operation: String, _ work: () async throws -> Void) async throws {
                    _ = RecordingVFS.takeEvents(directory)
                    try await work()
                    let events = RecordingVFS.takeEvents(directory)
                    #expect(events.last == .sync, "\(operation): \(events)")
                    #expect(events.dropLast().last == .write, "\(operation): \(events)")
                }
                try await check("addRecipients") { try await fixture.add(10, to: id) }
                var grants: [LeaseGrant] = []
                try await check("claim") {
                    grants = try await fixture.store.claim(
                        [
                            ClaimRequest(
                                mailing: id,
                                bucket: fixture.store.backlog(at: fixture.now)[0].bucket,
                                deliveryClass: .bulk,
                                isRetry: false,
                                satellite: satellite,
                                affinity: DomainAffinity(),
                                limit: 10
                            )
                        ],
                        at: fixture.now,
                        lifetime: .seconds(1)
                    )
                }
                try await check("start") { try await fixture.startAll(grants, by: satellite) }
                try await check("apply") { try await fixture.reportAll(grants, from: satellite) }
                try await check("pauseMailing") {
                    _ = try await fixture.store.pauseMailing(id, in: .everything, at: fixture.now) { _ in }
                }
            }
        }
    }

    @Test("operations that wait together share one sync")
    func groupCommit() async throws {
        try await withTemporaryDirectory { directory in
            try #require(RecordingVFS.watch(directory))
            try await StoreFactory.sqlite.withStore(in: directory) { fixture in
                let store = fixture.store
                _ = RecordingVFS.takeEvents(directory)
                let hashes = try await withThrowingTaskGroup(of: BlobHash.self) { group in
                    for number in 0..<400 {
                        group.addTask {
                            try await store.putBlob(Array("blob \(number)".utf8), at: Timestamp(seconds: 1))
                        }
                    }
                    return try await group.reduce(into: Set()) { $0.insert($1) }
                }
                #expect(hashes.count == 400)
                let syncs = RecordingVFS.takeEvents(directory).count { $0 == .sync }
                #expect(syncs > 0 && syncs < 200, "400 operations took \(syncs) syncs")
            }
        }
    }

    @Test("an operation that fails takes nothing with it that shares its transaction")
    func failureInGroup() async throws {
        try await StoreFactory.sqlite.withStore { fixture in
            let (store, now) = (fixture.store, fixture.now)
            let id = try await fixture.makeMailing()
            let failed = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let target = number % 3 == 0 ? MailingID(rawValue: 999) : id
                        do {
                            let drafts = Fixture.drafts(number..<number + 1)
                            _ = try await store.addRecipients(
                                drafts,
                                to: target,
                                in: .everything,
                                deliveryClass: .bulk,
                                at: now
                            )
                            return false
                        } catch let error as StoreError where error.code == .unknownMailing {
                            return true
                        }
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(failed == 67)
            #expect(try await fixture.counters(id).total == 133)
            try await fixture.checkTotals(id)
        }
    }

    @Test("a full disk refuses writes, keeps what was promised, and goes on when there is room (T15)")
    func fullDisk() async throws {
        try await withTemporaryDirectory { directory in
            try #require(RecordingVFS.watch(directory))
            try await StoreFactory.sqlite.withStore(in: directory) { fixture in
                let id = try await fixture.makeMailing()
                try await fixture.add(10, to: id)
                let satellite = try await fixture.makeSatellite()
                let grants = try await fixture.claimAll(satellite)
                RecordingVFS.setFull(directory, true)
                for operation: () async throws -> Void in [
                    { try await fixture.add(5, to: id) },
                    { try await fixture.startAll(grants, by: satellite) },
                    { try await fixture.reportAll(grants, from: satellite) },
                ] {
                    let error = await #expect(throws: StoreError.self) { try await operation() }
                    #expect(error?.code == .full)
                }
                #expect(try await fixture.counters(id).total == 10)
                #expect(try await fixture.store.leases(of: satellite).first?.started == 0)
                RecordingVFS.setFull(directory, false)
                try await fixture.startAll(grants, by: satellite)
                try await fixture.reportAll(grants, from: satellite)
                try await fixture.add(5, to: id)
                #expect(try await fixture.counters(id).delivered == 10)
                #expect(try await fixture.counters(id).total == 15)
                try await fixture.checkTotals(id)
                try await fixture.reopen()
                try await fixture.checkTotals(id)
            }
        }
    }

    @Test("the log is moved into the database when it has grown, and nothing is lost")
    func checkpoints() async throws {
        try await withTemporaryDirectory { directory in
            let configuration = SQLiteConfiguration(path: directory + "/store.db", checkpointSize: 200_000)
            let store = try await MailingStore.open(configuration, secrets: TestSecrets.make())
            var hashes: [BlobHash] = []
            for number in 0..<40 {
                hashes.append(
                    try await store.putBlob([UInt8](repeating: UInt8(number), count: 50_000), at: Timestamp(seconds: 1))
                )
            }
            #expect(try fileSize(directory + "/store.db-wal") < 400_000)
            #expect(try fileSize(directory + "/store.db") > 1_000_000)
            for hash in hashes { #expect(try await store.blob(hash)?.count == 50_000) }
            try await store.close()
        }
    }
}
