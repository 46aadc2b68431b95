// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Applying reports")
struct IntakeTests {
    @Test(
        "moves state, counters and feed together",
        arguments: StoreFactory.all,
        [
            (Outcomes.delivered, RecipientState.delivered), (Outcomes.failed, .failed),
            (Outcomes.deferred, .deferred), (Outcomes.unrenderable, .unrenderable), (Outcomes.uncertain, .uncertain),
        ]
    )
    func outcomes(factory: StoreFactory, row: (outcome: DeliveryOutcome, state: RecipientState)) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipient = try await fixture.add(1, to: id)[0]
            let satellite = try await fixture.makeSatellite("alpha")
            let granted = fixture.now
            let grants = try await fixture.claimAll(satellite)
            try await fixture.startAll(grants, by: satellite)
            fixture.pass(.seconds(30))
            let result = try await fixture.reportAll(grants, from: satellite, row.outcome)
            #expect(result.applied == 1 && result.repeated == 0 && result.dropped == 0 && result.unstarted == 0)
            #expect(result.closedLeases == grants.map(\.serial))
            #expect(result.mailings == (row.state.isTerminal ? [id] : []))
            let report = try await fixture.report(of: recipient)
            #expect(report.state == row.state && report.trace == row.outcome.trace)
            #expect(report.tryCount == 1 && report.firstTry == granted && report.modified == fixture.now)
            #expect(report.satellite == "alpha" && !report.inProgress && report.leasedAt == granted)
            #expect(report.uncertain == (row.state == .uncertain))
            let due = fixture.now.advanced(by: .seconds(600))
            #expect(report.nextTry == (row.state == .deferred ? due : nil))
            #expect(result.earliestRetry == (row.state == .deferred ? due : nil))
            let feed = try await fixture.replay()
            #expect(feed.map(\.report) == [report])
            try await fixture.checkTotals(id)
            var filter = RecipientFilter()
            filter.states = [row.state]
            #expect(try await fixture.store.countRecipients(filter, in: .everything) == 1)
            filter.states = [.waiting, .expired]
            #expect(try await fixture.store.countRecipients(filter, in: .everything) == 0)
        }
    }

    @Test("applies a report once, however often it arrives", arguments: StoreFactory.all)
    func idempotent(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(5, to: id)
            let satellite = try await fixture.makeSatellite()
            let grants = try await fixture.claimAll(satellite)
            try await fixture.startAll(grants, by: satellite)
            let reports = grants.flatMap { grant in
                grant.entries.map { Fixture.report($0, of: grant, Outcomes.deferred, at: fixture.now) }
            }
            let first = try await fixture.store.apply(reports + reports, from: satellite, at: fixture.now)
            #expect(first.applied == 5 && first.repeated == 5)
            let state = try await fixture.counters(id)
            try await fixture.reopen()
            let second = try await fixture.store.apply(reports, from: satellite, at: fixture.now)
            #expect(second.applied == 0 && second.repeated == 5)
            #expect(try await fixture.counters(id) == state && state.deferred == 5)
            #expect(try await fixture.store.feedHead() == 5)
        }
    }

    @Test("gives each later grant the next attempt serial and tries again when it is due", arguments: StoreFactory.all)
    func retries(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipient = try await fixture.add(1, to: id)[0]
            let satellite = try await fixture.makeSatellite()
            let first = fixture.now
            for attempt in 1...3 {
                let grants = try await fixture.claimAll(satellite)
                #expect(grants.flatMap(\.entries).map(\.attempt.rawValue) == [Int32(attempt)])
                #expect(grants[0].entries[0].date == first)
                try await fixture.startAll(grants, by: satellite)
                try await fixture.reportAll(grants, from: satellite, Outcomes.deferred)
                #expect(try await fixture.claimAll(satellite).isEmpty)
                let due = try #require(try await fixture.report(of: recipient).nextTry)
                #expect(try await fixture.store.nextDue(after: fixture.now, finishGrace: .seconds(60)) == due)
                fixture.now = due
            }
            try await fixture.deliverAll(satellite)
            let report = try await fixture.report(of: recipient)
            #expect(report.state == .delivered && report.tryCount == 4)
            #expect(try await fixture.replay().map(\.report.state) == [.deferred, .deferred, .deferred, .delivered])
            try await fixture.checkTotals(id)
        }
    }

    @Test("gives a recipient up past its age, with the last reply", arguments: StoreFactory.all)
    func givesUp(factory: StoreFactory) async throws {
        try await factory.withStore(
            retry: RetrySchedule(steps: [], finalDelay: .seconds(60), giveUpAfter: .seconds(100))
        ) { fixture in
            let id = try await fixture.makeMailing()
            let recipient = try await fixture.add(1, to: id)[0]
            let satellite = try await fixture.makeSatellite()
            for _ in 0..<3 {
                try await fixture.deliverAll(satellite, Outcomes.deferred)
                fixture.pass(.seconds(60))
            }
            let report = try await fixture.report(of: recipient)
            #expect(report.state == .failed && report.trace == Outcomes.deferred.trace && report.tryCount == 3)
            try await fixture.checkTotals(id)
        }
    }

    @Test(
        "applies the report of an entry that was not started: it proves that it was sent",
        arguments: StoreFactory.all
    )
    func unstarted(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipients = try await fixture.add(2, to: id)
            let satellite = try await fixture.makeSatellite()
            let grants = try await fixture.claimAll(satellite)
            let result = try await fixture.reportAll(grants, from: satellite)
            #expect(result.applied == 2 && result.unstarted == 2)
            #expect(try await fixture.state(of: recipients[0]) == .delivered)
            try await fixture.checkTotals(id)
        }
    }

    @Test(
        "applies reports under a revoked lease, and never leases the reported again (C7, C8)",
        arguments: StoreFactory.all
    )
    func revoked(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipients = try await fixture.add(3, to: id)
            let satellite = try await fixture.makeSatellite()
            let other = try await fixture.makeSatellite("other")
            let grant = try #require(try await fixture.claimAll(satellite).first)
            _ = try await fixture.store.start(
                [StartRequest(lease: grant.serial, entries: EntryBitmap([0]))],
                by: satellite,
                at: fixture.now
            )
            _ = try await fixture.store.revoke([grant.serial], at: fixture.now)
            let second = try await fixture.claimAll(other)
            #expect(second.flatMap(\.entries).map(\.recipient) == Array(recipients[1...]))
            #expect(second.flatMap(\.entries).allSatisfy { $0.attempt.rawValue == 2 })
            try await fixture.startAll(second, by: other)
            // Started: reported by the first satellite. Not started: its report is of an earlier attempt, and reports a delivery.
            let result = try await fixture.reportAll([grant], from: satellite)
            #expect(result.applied == 3 && result.dropped == 0)
            try await fixture.reportAll(second, from: other, Outcomes.failed)
            for recipient in recipients { #expect(try await fixture.state(of: recipient) == .delivered) }
            #expect(try await fixture.store.leases(of: nil).isEmpty)
            try await fixture.checkTotals(id)
        }
    }

    @Test(
        "a report that nobody was tried is a return: no attempt, due at once; what had become uncertain is deferred",
        arguments: StoreFactory.all
    )
    func nobodyTried(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let untried = DeliveryOutcome.deferred(AttemptTrace(stage: .master, text: "not sent"))
            let id = try await fixture.makeMailing()
            let recipients = try await fixture.add(3, to: id)
            let satellite = try await fixture.makeSatellite()
            let grant = try #require(try await fixture.claimAll(satellite).first)
            _ = try await fixture.store.start(
                [StartRequest(lease: grant.serial, entries: EntryBitmap([0]))],
                by: satellite,
                at: fixture.now
            )
            let result = try await fixture.reportAll([grant], from: satellite, untried)
            #expect(result.applied == 0 && result.requeued == 3 && result.unstarted == 0)
            for recipient in recipients { #expect(try await fixture.state(of: recipient) == .waiting) }
            #expect(try await fixture.reportAll([grant], from: satellite, untried).requeued == 3)
            let again = try await fixture.claimAll(satellite)
            #expect(again.flatMap(\.entries).count == 3)
            try await fixture.startAll(again, by: satellite)
            #expect(try await fixture.store.resolveStarted(of: again.map(\.serial), at: fixture.now) == 3)
            let late = try await fixture.reportAll(again, from: satellite, untried)
            #expect(late.applied == 3 && late.requeued == 0)
            for recipient in recipients { #expect(try await fixture.state(of: recipient) == .deferred) }
            try await fixture.checkTotals(id)
        }
    }

    @Test("does not let an earlier attempt's failure overwrite a later attempt (C8)", arguments: StoreFactory.all)
    func lateFailure(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing { $0.uncertainPolicy = .resend }
            let recipient = try await fixture.add(1, to: id)[0]
            let satellite = try await fixture.makeSatellite()
            let first = try await fixture.claimAll(satellite)
            try await fixture.startAll(first, by: satellite)
            #expect(try await fixture.store.resolveStarted(of: first.map(\.serial), at: fixture.now) == 1)
            #expect(try await fixture.state(of: recipient) == .deferred)
            fixture.pass(.seconds(600))
            let second = try await fixture.claimAll(satellite)
            try await fixture.startAll(second, by: satellite)
            let late = try await fixture.reportAll(first, from: satellite, Outcomes.failed)
            #expect(late.applied == 1)
            #expect(try await fixture.state(of: recipient) == .deferred)
            try await fixture.reportAll(second, from: satellite, Outcomes.delivered)
            let report = try await fixture.report(of: recipient)
            #expect(report.state == .delivered && report.uncertain)
            try await fixture.checkTotals(id)
        }
    }

    @Test("calls a later attempt off when an earlier one turns out delivered", arguments: StoreFactory.all)
    func lateDelivery(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing { $0.uncertainPolicy = .resend }
            let recipient = try await fixture.add(1, to: id)[0]
            let satellite = try await fixture.makeSatellite()
            let first = try await fixture.claimAll(satellite)
            try await fixture.startAll(first, by: satellite)
            _ = try await fixture.store.resolveStarted(of: first.map(\.serial), at: fixture.now)
            fixture.pass(.seconds(600))
            let second = try await fixture.claimAll(satellite)
            try await fixture.reportAll(first, from: satellite, Outcomes.delivered)
            #expect(try await fixture.state(of: recipient) == .delivered)
            let decision = try await fixture.startAll(second, by: satellite)
            #expect(decision[0].granted.indices.isEmpty && decision[0].refused.indices == [0])
            fixture.pass(.seconds(86_400))
            #expect(try await fixture.claimAll(satellite).isEmpty)
            try await fixture.checkTotals(id)
        }
    }

    @Test(
        "drops reports of deleted mailings, unknown recipients and attempts never granted",
        arguments: StoreFactory.all
    )
    func dropped(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let satellite = try await fixture.makeSatellite()
            let recipient = try await fixture.add(1, to: id)[0]
            func report(_ recipient: RecipientID, attempt: Int32) -> DeliveryReport {
                DeliveryReport(
                    recipient: recipient,
                    attempt: AttemptSerial(rawValue: attempt),
                    lease: LeaseSerial(rawValue: 1),
                    outcome: Outcomes.delivered,
                    endedAt: fixture.now
                )
            }
            let absent = RecipientID(mailing: id, bucket: recipient.bucket, ordinal: 5)
            let elsewhere = RecipientID(mailing: MailingID(rawValue: 50), bucket: recipient.bucket, ordinal: 5)
            let result = try await fixture.store.apply(
                [report(recipient, attempt: 1), report(absent, attempt: 1), report(elsewhere, attempt: 1)],
                from: satellite,
                at: fixture.now
            )
            #expect(result.dropped == 3 && result.applied == 0)
            let grants = try await fixture.claimAll(satellite)
            let other = try await fixture.makeSatellite("other")
            let wrong = try await fixture.store.apply(
                [report(recipient, attempt: 0), report(recipient, attempt: 2), report(recipient, attempt: .max)],
                from: satellite,
                at: fixture.now
            )
            #expect(wrong.dropped == 3)
            #expect(try await fixture.reportAll(grants, from: other).dropped == 1)
            try await fixture.startAll(grants, by: satellite)
            _ = try await fixture.store.deleteMailing(id, in: .everything, at: fixture.now)
            #expect(try await fixture.reportAll(grants, from: satellite).dropped == 1)
        }
    }

    @Test("keeps a reply of any length and bytes within bounds (T14)", arguments: StoreFactory.all)
    func longReplies(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipient = try await fixture.add(1, to: id)[0]
            let satellite = try await fixture.makeSatellite()
            let text = "a\0" + String(repeating: "é\u{FFFD}\n", count: 30_000)
            let long = DeliveryOutcome.failed(
                AttemptTrace(
                    stage: .recipient,
                    replyCode: 550,
                    text: text,
                    mxHost: String(repeating: "m", count: 9_999)
                )
            )
            try await fixture.deliverAll(satellite, long)
            let trace = try #require(try await fixture.report(of: recipient).trace)
            #expect(trace.text.utf8.count <= 2048 && trace.text.utf8.count > 2040 && !trace.text.contains("\0"))
            #expect(trace.text.hasPrefix("aé\u{FFFD}\n") && trace.mxHost?.utf8.count == 2048)
            #expect(try await fixture.replay().first?.report.trace == trace)
        }
    }

    @Test("accepts a report after the mailing has finished; the mailing stays finished", arguments: StoreFactory.all)
    func afterFinish(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipients = try await fixture.add(2, to: id)
            let satellite = try await fixture.makeSatellite()
            let grants = try await fixture.claimAll(satellite)
            try await fixture.startAll(grants, by: satellite)
            _ = try await fixture.store.expireRemaining(id, at: fixture.now)
            #expect(try await fixture.store.resolveStarted(of: id, at: fixture.now) == 2)
            #expect(try await fixture.mailing(id).status == .finished)
            #expect(try await fixture.counters(id).uncertain == 2)
            let reports = [
                Fixture.report(grants[0].entries[0], of: grants[0], Outcomes.delivered, at: fixture.now),
                Fixture.report(grants[0].entries[1], of: grants[0], Outcomes.deferred, at: fixture.now),
            ]
            #expect(try await fixture.store.apply(reports, from: satellite, at: fixture.now).applied == 2)
            #expect(try await fixture.state(of: recipients[0]) == .delivered)
            #expect(try await fixture.state(of: recipients[1]) == .expired)
            #expect(try await fixture.mailing(id).status == .finished)
            try await fixture.checkTotals(id)
        }
    }
}
