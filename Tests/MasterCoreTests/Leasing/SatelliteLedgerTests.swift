// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("What a satellite holds")
struct SatelliteLedgerTests {
    private static let session = TestValues.session(1)

    private static func ledger(credit: [DeliveryClass: Int] = [.bulk: 1_000]) -> SatelliteLedger {
        var ledger = SatelliteLedger(id: SatelliteID(rawValue: 1), absentSince: .zero)
        ledger.connected(Self.session)
        ledger.welcomed(holding: [], now: .zero)
        ledger.credit(credit)
        return ledger
    }

    private static func grant(_ serial: Int64, _ count: Int, _ deliveryClass: DeliveryClass = .bulk) -> LeaseGrant {
        LeaseGrant(
            serial: LeaseSerial(rawValue: serial),
            term: Term(rawValue: 1),
            mailing: MailingID(rawValue: 1),
            content: TestValues.hash(1),
            deliveryClass: deliveryClass,
            testing: false,
            lifetime: .seconds(1),
            returnPathDomain: "",
            entries: (0..<count).map {
                TestValues.entry(mailing: 1, bucket: UInt16(serial), ordinal: UInt32($0))
            }
        )
    }

    private static func summary(_ serial: Int64, open: Int, started: Int = 0) -> LeaseSummary {
        LeaseSummary(
            serial: LeaseSerial(rawValue: serial),
            satellite: SatelliteID(rawValue: 1),
            mailing: MailingID(rawValue: 1),
            deliveryClass: .bulk,
            granted: ManualClock.epoch,
            size: 100,
            started: started,
            open: open,
            isRevoked: false
        )
    }

    private static func room(_ ledger: SatelliteLedger, _ deliveryClass: DeliveryClass = .bulk) -> Int {
        ledger.room(maximumLease: 1_000, maximumUnaccepted: 4).recipients[deliveryClass] ?? 0
    }

    @Test("takes nothing before it was welcomed, while it drains, and while its count is in doubt")
    func noRoom() {
        var ledger = SatelliteLedger(id: SatelliteID(rawValue: 1), absentSince: .zero)
        ledger.connected(Self.session)
        ledger.credit([.bulk: 100])
        #expect(Self.room(ledger) == 0)
        ledger.welcomed(holding: [], now: .zero)
        #expect(Self.room(ledger) == 100)
        ledger.needsRecount = true
        #expect(Self.room(ledger) == 0)
        ledger.recount([], now: .zero)
        ledger.load = SatelliteLoad(draining: true)
        #expect(Self.room(ledger) == 0)
    }

    @Test("counts a report once, however often it comes")
    func repeatedReports() {
        var ledger = Self.ledger()
        let grant = Self.grant(1, 400)
        ledger.granted(grant, now: .zero)
        #expect(Self.room(ledger) == 600)
        let reports = grant.entries.prefix(150).map {
            TestValues.delivered($0.recipient, lease: grant.serial)
        }
        ledger.reported(reports, closed: [], generation: ledger.generation)
        ledger.reported(reports, closed: [], generation: ledger.generation)
        #expect(ledger.outstanding == 250)
    }

    @Test("asks for a recount when reports were applied across one")
    func generations() {
        var ledger = Self.ledger()
        let grant = Self.grant(1, 10)
        ledger.granted(grant, now: .zero)
        let generation = ledger.generation
        ledger.recount([Self.summary(1, open: 9)], now: .zero)
        ledger.reported(
            [TestValues.delivered(grant.entries[0].recipient, lease: grant.serial)],
            closed: [],
            generation: generation
        )
        #expect(ledger.outstanding == 9)
        #expect(ledger.needsRecount)
    }

    @Test("asks the store what a revoked lease still holds, and gives no room before it knows")
    func revoked() {
        var ledger = Self.ledger()
        ledger.granted(Self.grant(1, 100), now: .zero)
        ledger.revoked(LeaseSerial(rawValue: 1))
        #expect(ledger.needsRecount)
        #expect(Self.room(ledger) == 0)
        ledger.recount([Self.summary(1, open: 30)], now: .zero)
        #expect(ledger.outstanding == 30)
        #expect(Self.room(ledger) == 970)
    }

    @Test("counts every change, so that an older reading of the store is known to be old")
    func changes() {
        var ledger = Self.ledger()
        let steps: [(inout SatelliteLedger) -> Void] = [
            { $0.granted(Self.grant(1, 100), now: .zero) },
            { $0.returned(LeaseSerial(rawValue: 1), EntryBitmap([0])) },
            {
                $0.decided(
                    StartDecision(lease: LeaseSerial(rawValue: 1), granted: EntryBitmap(), refused: EntryBitmap([1]))
                )
            },
            { $0.reported([], closed: [], generation: 0) },
            { $0.revoked(LeaseSerial(rawValue: 1)) },
        ]
        for (number, step) in steps.enumerated() {
            let before = ledger.changes
            step(&ledger)
            #expect(ledger.changes > before, "step \(number)")
        }
    }

    @Test("frees what was returned, and asks the store after a refusal")
    func refusedAndReturned() {
        var ledger = Self.ledger()
        ledger.granted(Self.grant(1, 100), now: .zero)
        ledger.decided(
            StartDecision(lease: LeaseSerial(rawValue: 1), granted: EntryBitmap(), refused: EntryBitmap([5, 6]))
        )
        #expect(ledger.needsRecount)
        ledger.returned(LeaseSerial(rawValue: 1), EntryBitmap([6, 7, 8]))
        #expect(ledger.outstanding == 97)
    }

    @Test("gets no more grants while too many are unacknowledged")
    func unaccepted() {
        var ledger = Self.ledger()
        for serial in 1...4 { ledger.granted(Self.grant(Int64(serial), 1), now: .seconds(serial)) }
        #expect(Self.room(ledger) == 0)
        #expect(ledger.unaccepted(sentBy: .seconds(2)).map(\.rawValue) == [1, 2])
        ledger.accepted(LeaseSerial(rawValue: 1))
        ledger.accepted(LeaseSerial(rawValue: 1))
        #expect(Self.room(ledger) == 996)
        #expect(ledger.oldestUnaccepted == .seconds(2))
    }

    @Test("gives out bulk room only when it is worth a lease, express room always")
    func worth() {
        var ledger = Self.ledger(credit: [.bulk: 1_000, .express: 10])
        ledger.granted(Self.grant(1, 900), now: .zero)
        ledger.granted(Self.grant(2, 9, .express), now: .zero)
        #expect(Self.room(ledger) == 0)
        #expect(Self.room(ledger, .express) == 1)
        ledger.credit([.bulk: 1_300])
        #expect(Self.room(ledger) == 400)
    }

    @Test("is away from the end of its session until it is welcomed again, and a former session's end changes nothing")
    func absence() {
        var ledger = Self.ledger()
        let newer = TestValues.session(2)
        ledger.connected(newer)
        ledger.ended(Self.session, now: .seconds(5))
        #expect(ledger.session == newer)
        ledger.welcomed(holding: [], now: .seconds(6))
        #expect(ledger.absentSince == nil)
        ledger.ended(newer, now: .seconds(9))
        #expect(ledger.absentSince == .seconds(9))
        #expect(Self.room(ledger) == 0)
    }

    @Test("takes over what the store says is held, also of leases from before the master's start")
    func recount() {
        var ledger = Self.ledger()
        ledger.recount([Self.summary(7, open: 60), Self.summary(8, open: 0)], now: .zero)
        #expect(ledger.outstanding == 60)
        #expect(ledger.leases.count == 1)
        let recipient = RecipientID(mailing: MailingID(rawValue: 1), bucket: Bucket(rawValue: 7), ordinal: 0)
        ledger.reported(
            [TestValues.delivered(recipient, lease: LeaseSerial(rawValue: 7))],
            closed: [],
            generation: ledger.generation
        )
        #expect(ledger.needsRecount, "whether this report counts is the store's to say")
    }
}
