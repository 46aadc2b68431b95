// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

@Suite("What satellites and store remember of each other")
struct MemoryTests {
    @Test(
        "a store knows its own commits and no others, of this opening and of earlier ones",
        arguments: StoreFactory.all
    )
    func positions(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let first = fixture.store.position
            #expect(first.storeID == fixture.store.identity.storeID && first.term == fixture.store.identity.term)
            #expect(try await fixture.store.knows(first))
            _ = try await fixture.makeMailing()
            let second = fixture.store.position
            #expect(second.number > first.number)
            #expect(try await fixture.store.knows(second))
            var other = second
            other.number += 1
            #expect(try await !fixture.store.knows(other))
            other = second
            other.opening = "another"
            #expect(try await !fixture.store.knows(other))
            other = second
            other.storeID = "another"
            #expect(try await !fixture.store.knows(other))
            other = second
            other.term = Term(rawValue: second.term.rawValue + 1)
            #expect(try await !fixture.store.knows(other))
            try await fixture.reopen()
            #expect(try await fixture.store.knows(second))
            _ = try await fixture.makeMailing()
            other = second
            // The commits of a later opening are none of an earlier one's.
            other.number += 1_000
            #expect(try await !fixture.store.knows(other))
            #expect(fixture.store.position.term > second.term && fixture.store.position.opening != second.opening)
        }
    }

    @Test("reading and renewing are no commits; every writing operation is one", arguments: StoreFactory.all)
    func commits(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(3, to: id)
            let satellite = try await fixture.makeSatellite()
            var last = fixture.store.position
            func hasGrown() -> Bool {
                defer { last = fixture.store.position }
                return fixture.store.position.number > last.number
            }
            _ = try await fixture.mailing(id)
            try await fixture.store.engine.queue.perform { _ in }
            #expect(!hasGrown())
            let grant = try #require(try await fixture.claimAll(satellite).first)
            #expect(hasGrown())
            let request = StartRequest(lease: grant.serial, entries: EntryBitmap([0]))
            _ = try await fixture.store.start([request], by: satellite, at: fixture.now)
            #expect(hasGrown())
            _ = try await fixture.store.revoke([grant.serial], at: fixture.now)
            #expect(hasGrown())
        }
    }

    @Test("how far a journal was seen is kept, and only its own process moves it", arguments: StoreFactory.all)
    func journals(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            #expect(try await fixture.store.journal(of: satellite) == nil)
            var mark = JournalMark(
                journalID: "j",
                bootID: "b",
                session: 3,
                incarnation: .max,
                position: JournalPosition(written: 1 << 40, synced: 5),
                isDistrusted: true
            )
            try await fixture.store.setJournal(mark, of: satellite)
            #expect(try await fixture.store.journal(of: satellite) == mark)
            func apply(_ incarnation: UInt64, _ written: UInt64) async throws {
                _ = try await fixture.store.apply(
                    [],
                    from: satellite,
                    at: fixture.now,
                    journal: JournalSighting(
                        incarnation: incarnation,
                        position: JournalPosition(written: written, synced: written)
                    )
                )
            }
            try await apply(.max, 1 << 41)
            try await apply(7, 1 << 42)
            try await apply(.max, 1 << 39)
            _ = try await fixture.store.start(
                [],
                by: satellite,
                at: fixture.now,
                journal: JournalSighting(
                    incarnation: .max,
                    position: JournalPosition(written: 3 << 40, synced: 2 << 40)
                )
            )
            mark.position = JournalPosition(written: 3 << 40, synced: 2 << 40)
            try await fixture.reopen()
            #expect(try await fixture.store.journal(of: satellite) == mark)
            mark.incarnation = 8
            mark.isDistrusted = false
            try await fixture.store.setJournal(mark, of: satellite)
            #expect(try await fixture.store.journal(of: satellite) == mark)
            try await fixture.store.removeSatellite(satellite)
            #expect(try await fixture.store.journal(of: satellite) == nil)
        }
    }

    @Test("start permission that the store never gave is found", arguments: StoreFactory.all)
    func unknownStart(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(3, to: id)
            let satellite = try await fixture.makeSatellite()
            let grant = try #require(try await fixture.claimAll(satellite).first)
            let request = StartRequest(lease: grant.serial, entries: EntryBitmap([0]))
            _ = try await fixture.store.start([request], by: satellite, at: fixture.now)
            func find(_ lease: LeaseSerial, _ started: [Int]) async throws -> LeaseSerial? {
                let detail = JournaledLease(lease, started: EntryBitmap(started), closed: EntryBitmap())
                return try await fixture.store.unknownStart(among: [detail], of: satellite)
            }
            #expect(try await find(grant.serial, []) == nil)
            #expect(try await find(grant.serial, [0]) == nil)
            #expect(try await find(grant.serial, [0, 2]) == grant.serial)
            // A lease that is resolved and gone proves nothing.
            #expect(try await find(LeaseSerial(rawValue: 99), [0]) == nil)
        }
    }

    @Test("what a satellite has finished behind a restored store's back is uncertain", arguments: StoreFactory.all)
    func finished(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing { $0.uncertainPolicy = .hold }
            let recipients = try await fixture.add(4, to: id)
            let satellite = try await fixture.makeSatellite()
            let grant = try #require(try await fixture.claimAll(satellite).first)
            let detail = JournaledLease(grant.serial, started: EntryBitmap([0, 1]), closed: EntryBitmap([0, 3]))
            func resolve(_ held: [LeaseSerial], _ details: [JournaledLease]) async throws -> Int {
                try await fixture.store.resolveFinished(by: satellite, holding: held, details, at: fixture.now)
            }
            // Of a lease without details nothing is known.
            #expect(try await resolve([grant.serial], []) == 0)
            #expect(try await resolve([grant.serial], [detail]) == 2)
            #expect(try await resolve([grant.serial], [detail]) == 0)
            for (index, state) in [RecipientState.uncertain, .waiting, .waiting, .uncertain].enumerated() {
                #expect(try await fixture.state(of: recipients[index]) == state)
            }
            // What the journal has as started is not given to others.
            _ = try await fixture.store.revoke([grant.serial], at: fixture.now)
            let summary = try #require(try await fixture.store.leases(of: satellite).first)
            #expect(summary.open == 1)
            #expect(try await resolve([], []) == 1)
            #expect(try await fixture.store.leases(of: satellite).isEmpty)
            try await fixture.checkTotals(id)
        }
    }
}
