// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Secrets
import Testing

@testable import MasterCore

@Suite("The status that is composed", .timeLimit(.minutes(5)))
struct StatusComposerTests {
    /// The parts that the status is composed from; none of them runs.
    private struct Fixture {
        let parts: TestParts
        let safeMode: SafeMode
        let dispatcher: Dispatcher
        let reports: ReportIntake
        let scheduler: MailingScheduler
        let composer: StatusComposer

        init(_ parts: TestParts) {
            let rates = RateWindow(time: parts.time)
            self.parts = parts
            self.safeMode = SafeMode(store: parts.store, logger: parts.logger)
            self.dispatcher = Dispatcher(
                store: parts.store,
                channel: parts.channel,
                directory: parts.directory,
                configuration: parts.configuration,
                time: parts.time,
                rates: rates,
                safeMode: self.safeMode,
                logger: parts.logger
            )
            self.reports = ReportIntake(
                store: parts.store,
                channel: parts.channel,
                directory: parts.directory,
                configuration: parts.configuration.intake,
                time: parts.time,
                health: parts.health,
                rates: rates,
                logger: parts.logger
            )
            self.scheduler = MailingScheduler(
                store: parts.store,
                configuration: parts.configuration,
                time: parts.time,
                signal: Signal(),
                logger: parts.logger
            )
            self.composer = StatusComposer(
                store: parts.store,
                version: "1.2.3",
                started: parts.time.now(),
                time: parts.time,
                health: parts.health,
                safeMode: self.safeMode,
                rates: rates,
                dispatcher: self.dispatcher,
                reports: self.reports,
                scheduler: self.scheduler,
                recountJob: RecountJob(
                    store: parts.store,
                    configuration: parts.configuration.upkeep,
                    time: parts.time,
                    logger: parts.logger
                )
            )
        }

        /// A started mailing with recipients, that no part has been notified of.
        func running(_ count: Int) async throws -> Mailing {
            let clock = self.parts.clock
            let master = Master(
                store: self.parts.store,
                channel: self.parts.channel,
                directory: self.parts.directory,
                configuration: self.parts.configuration,
                cursorKey: MACKey.generate(),
                clock: clock,
                now: { clock.civil },
                logger: self.parts.logger
            )
            let draft = MailingDraft(
                content: .alternative(html: "<p>Hello</p>", plain: nil),
                mailFrom: "news@example.org",
                senderName: "News",
                subject: "Hello"
            )
            let id = try await master.operator.everyAccount.createMailing(draft).id
            let submissions = (0..<count).map { RecipientSubmission(address: "user\($0)@example.com") }
            _ = try await master.operator.everyAccount.addRecipients(submissions, to: id)
            _ = try await master.operator.everyAccount.startMailing(id)
            return try await master.operator.everyAccount.mailing(id)
        }

        func status(isStopping: Bool = false) async -> MasterStatus {
            await self.composer.status(isStopping: isStopping)
        }
    }

    private static func run(_ body: (Fixture) async throws -> Void) async throws {
        try await TestParts.run { try await body(Fixture($0)) }
    }

    @Test("has neither problems nor warnings in health")
    func healthy() async throws {
        try await Self.run { fixture in
            let status = await fixture.status()
            #expect(status.ready)
            #expect(status.problems.isEmpty)
            #expect(status.warnings.isEmpty)
            #expect(status.version == "1.2.3")
            #expect(status.startedAt == ManualClock.epoch.rfc3339)
            #expect(status.storeID == fixture.parts.store.identity.storeID)
        }
    }

    @Test("is not ready while the master stops, which is no problem")
    func stopping() async throws {
        try await Self.run { fixture in
            let status = await fixture.status(isStopping: true)
            #expect(!status.ready)
            #expect(status.problems.isEmpty)
        }
    }

    @Test("names the reason for safe mode until it is left")
    func safeMode() async throws {
        try await Self.run { fixture in
            fixture.safeMode.enter("a reason")
            let status = await fixture.status()
            #expect(!status.ready)
            #expect(status.safeMode == "a reason")
            #expect(status.problems == ["safe mode: a reason"])
            #expect(fixture.composer.unreadyReasons == status.problems)
            let hasLeft = try await fixture.safeMode.leave()
            #expect(hasLeft)
            #expect(await fixture.status().ready)
            #expect(await fixture.status().safeMode == nil)
        }
    }

    @Test("says that the store fails, and what it does not know by that")
    func storeFails() async throws {
        try await Self.run { fixture in
            _ = try await fixture.running(3)
            #expect(await fixture.status().pending == 3)
            fixture.parts.faults.fail(["summary"], with: .database)
            var status = await fixture.status()
            #expect(!status.ready)
            #expect(status.problems.count == 1)
            #expect(status.problems.allSatisfy { $0.hasPrefix("the store cannot be read: ") })
            #expect(status.pending == 0)
            #expect(fixture.composer.unreadyReasons.isEmpty)
            fixture.parts.faults.fail([], with: nil)
            _ = fixture.parts.health.failed(StoreError(.database, "gone"), while: "leasing")
            status = await fixture.status()
            #expect(!status.ready)
            #expect(status.problems == fixture.composer.unreadyReasons)
            #expect(status.problems.first?.contains("while leasing") == true)
            fixture.parts.health.succeeded("leasing")
            #expect(await fixture.status().ready)
        }
    }

    @Test("says that the clock has jumped, and stays ready")
    func clock() async throws {
        try await Self.run { fixture in
            fixture.parts.clock.set(wrongBy: .seconds(86_400))
            _ = fixture.parts.time.now()
            let status = await fixture.status()
            #expect(status.ready)
            #expect(status.problems.count == 1)
            #expect(status.problems.first?.contains("the system clock jumped by 86400 s") == true)
        }
    }

    @Test("counts recipients that no satellite may deliver to, and says what to check")
    func unroutable() async throws {
        try await Self.run { fixture in
            _ = try await fixture.running(7)
            #expect(await fixture.status().unroutable == 0)
            _ = try await fixture.dispatcher.turn()
            let status = await fixture.status()
            #expect(status.ready)
            #expect(status.backlog == 7)
            #expect(status.unroutable == 7)
            #expect(status.problems.count == 1)
            #expect(status.problems.first?.hasPrefix("7 recipients have no satellite") == true)
        }
    }

    @Test("warns of started mailings by their number, until they are forgotten")
    func warnings() async throws {
        try await Self.run { fixture in
            let mailing = try await fixture.running(1)
            await fixture.scheduler.changed(mailing)
            let warnings = await fixture.status().warnings
            #expect(warnings == mailing.startWarnings.map { "mailing \(mailing.id): \($0)" })
            #expect(warnings.count == 2)
            await fixture.scheduler.forget(mailing.id)
            #expect(await fixture.status().warnings.isEmpty)
        }
    }

    @Test("counts reports that wait for the store, and for how long")
    func waitingReports() async throws {
        try await Self.run { fixture in
            let satellite = try await fixture.parts.satellite("a")
            let entry = TestValues.entry(mailing: 1, bucket: 0, ordinal: 0)
            let report = TestValues.delivered(entry.recipient, lease: LeaseSerial(rawValue: 1))
            fixture.reports.add([report, report], sequence: 1, from: satellite.session)
            fixture.parts.clock.advance(by: .microseconds(1_500_900))
            let status = await fixture.status()
            #expect(status.queuedReports == 2)
            #expect(status.reportLagSeconds == 1.5)
        }
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var problem: String
        var change: @Sendable (inout MasterStatus) -> Void

        var testDescription: String { self.problem }
    }

    @Test(
        "makes a problem of each count that an operator should look at",
        arguments: [
            Row(problem: "5 recipients have no satellite") { $0.unroutable = 5 },
            Row(problem: "satellites made 5 attempts without permission to start") { $0.unstartedReports = 5 },
            Row(problem: "5 recipients are uncertain") { $0.uncertain = 5 },
        ]
    )
    func counts(row: Row) {
        var status = MasterStatus()
        #expect(status.problemsOfCounts.isEmpty)
        row.change(&status)
        #expect(status.problemsOfCounts.count == 1)
        #expect(status.problemsOfCounts.first?.hasPrefix(row.problem) == true)
    }
}
