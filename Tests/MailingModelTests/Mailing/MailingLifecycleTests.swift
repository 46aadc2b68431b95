// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@Suite("A mailing's life")
struct MailingLifecycleTests {
    private let now = Timestamp(seconds: 1_000_000)

    private func mailing(_ status: MailingStatus, started: Timestamp? = nil) throws -> Mailing {
        Mailing(
            id: MailingID(rawValue: 1),
            account: .root,
            status: status,
            properties: MailingProperties(mailFrom: "a@example.org", senderName: "A"),
            content: try #require(BlobHash(bytes: [UInt8](repeating: 0, count: 32))),
            subject: "s",
            counters: MailingCounters(),
            created: Timestamp(seconds: 0),
            submitted: nil,
            started: started,
            ended: nil
        )
    }

    @Test(
        "starts what is filling or paused",
        arguments: [
            (MailingStatus.filling, false, MailingStatus.ready), (.paused, false, .ready), (.paused, true, .running),
        ]
    )
    func start(from: MailingStatus, wasStarted: Bool, to: MailingStatus) throws {
        var mailing = try self.mailing(from, started: wasStarted ? Timestamp(seconds: 5) : nil)
        try MailingLifecycle.start(&mailing, at: self.now)
        #expect(mailing.status == to)
        #expect(mailing.submitted == self.now)
    }

    @Test("refuses to start what is started or finished", arguments: [MailingStatus.ready, .running, .finished])
    func startRefused(status: MailingStatus) throws {
        var mailing = try self.mailing(status)
        #expect(throws: MailingLifecycle.Refusal(step: .start, status: status)) {
            try MailingLifecycle.start(&mailing, at: self.now)
        }
        #expect(mailing == (try self.mailing(status)))
    }

    @Test("pauses what is started, and a paused one again", arguments: [MailingStatus.ready, .running, .paused])
    func pause(status: MailingStatus) throws {
        var mailing = try self.mailing(status)
        try MailingLifecycle.pause(&mailing)
        #expect(mailing.status == .paused)
    }

    @Test("refuses to pause what is filling or finished", arguments: [MailingStatus.filling, .finished])
    func pauseRefused(status: MailingStatus) throws {
        var mailing = try self.mailing(status)
        #expect(throws: MailingLifecycle.Refusal(step: .pause, status: status)) {
            try MailingLifecycle.pause(&mailing)
        }
    }

    @Test("becomes running with the first lease and keeps that time")
    func firstLease() throws {
        var mailing = try self.mailing(.ready)
        MailingLifecycle.noteLease(&mailing, at: self.now)
        #expect(mailing.status == .running)
        MailingLifecycle.noteLease(&mailing, at: self.now.advanced(by: .seconds(9)))
        #expect(mailing.started == self.now)
    }

    @Test("is not started by a test send, in filling or before its scheduled start")
    func testSends() throws {
        var filling = try self.mailing(.filling)
        MailingLifecycle.noteLease(&filling, at: self.now)
        #expect(filling.status == .filling && filling.started == nil)
        var scheduled = try self.mailing(.ready)
        scheduled.properties.scheduledStart = self.now.advanced(by: .seconds(1))
        #expect(MailingLifecycle.mayLease(scheduled, .express, at: self.now))
        #expect(!MailingLifecycle.mayLease(scheduled, .bulk, at: self.now))
        MailingLifecycle.noteLease(&scheduled, at: self.now)
        #expect(scheduled.status == .ready && scheduled.started == nil)
    }

    @Test("lets bulk recipients leave only when started and within its schedule", arguments: MailingStatus.allCases)
    func leasing(status: MailingStatus) throws {
        let mailing = try self.mailing(status)
        #expect(
            MailingLifecycle.mayLease(mailing, .bulk, at: self.now) == [.ready, .running].contains(status)
        )
        #expect(
            MailingLifecycle.mayLease(mailing, .express, at: self.now)
                == [.filling, .ready, .running].contains(status)
        )
        var ended = mailing
        ended.properties.scheduledEnd = self.now
        #expect(!MailingLifecycle.mayLease(ended, .bulk, at: self.now))
        var ending = mailing
        ending.ending = self.now
        #expect(!MailingLifecycle.mayLease(ending, .express, at: self.now))
        #expect(!MailingLifecycle.mayStart(status: status, isEnding: true, .express))
        #expect(MailingLifecycle.mayStart(status: status, isEnding: false, .bulk) == (status == .running))
    }

    @Test("ends at its scheduled end or after its duration, whichever is first; 0 minutes is no limit")
    func ends() throws {
        var mailing = try self.mailing(.running, started: self.now)
        #expect(MailingLifecycle.end(of: mailing) == nil)
        mailing.properties.scheduledDurationMinutes = 0
        #expect(MailingLifecycle.end(of: mailing) == nil)
        mailing.properties.scheduledDurationMinutes = 2
        #expect(MailingLifecycle.end(of: mailing) == self.now.advanced(by: .seconds(120)))
        mailing.properties.scheduledEnd = self.now.advanced(by: .seconds(60))
        #expect(MailingLifecycle.end(of: mailing) == self.now.advanced(by: .seconds(60)))
        mailing.properties.scheduledDurationMinutes = Int.max
        #expect(MailingLifecycle.end(of: mailing) == self.now.advanced(by: .seconds(60)))
    }

    @Test("closes only after a grace since its start and its last recipients (C10)")
    func grace() throws {
        var mailing = try self.mailing(.running)
        mailing.submitted = self.now
        mailing.lastAdded = self.now.advanced(by: .seconds(5))
        #expect(
            MailingLifecycle.closing(of: mailing, grace: .seconds(60)) == self.now.advanced(by: .seconds(65))
        )
        mailing.closesWithoutGrace = true
        #expect(MailingLifecycle.closing(of: mailing, grace: .seconds(60)) == self.now)
        mailing.properties.dontCloseIfEmpty = true
        #expect(MailingLifecycle.closing(of: mailing, grace: .seconds(60)) == nil)
        mailing.properties.dontCloseIfEmpty = false
        mailing.properties.type = .opened
        #expect(MailingLifecycle.closing(of: mailing, grace: .seconds(60)) == nil)
    }

    @Test("does not close by itself before its scheduled start, while filling, or twice")
    func notClosing() throws {
        var mailing = try self.mailing(.ready)
        mailing.submitted = self.now
        mailing.properties.scheduledStart = self.now.advanced(by: .seconds(1000))
        #expect(
            MailingLifecycle.closing(of: mailing, grace: .seconds(60)) == self.now.advanced(by: .seconds(1000))
        )
        #expect(MailingLifecycle.closing(of: try self.mailing(.filling), grace: .seconds(0)) == nil)
        #expect(MailingLifecycle.closing(of: try self.mailing(.finished), grace: .seconds(0)) == nil)
    }

    @Test("keeps its first end")
    func finish() throws {
        var mailing = try self.mailing(.running)
        MailingLifecycle.finish(&mailing, at: self.now)
        MailingLifecycle.finish(&mailing, at: self.now.advanced(by: .seconds(1)))
        #expect(mailing.status == .finished && mailing.ended == self.now)
        #expect(throws: MailingLifecycle.Refusal.self) { try MailingLifecycle.checkChange(of: mailing) }
    }

    @Test("writes a content revision as the same bytes each time and reads it back, MIME as base64")
    func canonicalContent() throws {
        for body in [MailingContent.Body.alternative(html: "<p>é</p>", plain: nil), .mime([0, 255, 13, 10])] {
            let content = MailingContent(
                mailing: MailingID(rawValue: 3),
                subject: "Hé {{x}}",
                body: body,
                mailFrom: "a@b.c",
                senderName: "A/B"
            )
            let bytes = try content.canonicalBytes()
            #expect(bytes == (try content.canonicalBytes()))
            #expect(try MailingContent(canonicalBytes: bytes) == content)
        }
    }
}
