// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import SatelliteJournal
import Testing

@testable import SatelliteCore

@Suite("What is known of the satellite as a whole", .timeLimit(.minutes(15)))
struct ConditionTests {
    private let log = RecordingLog()
    private let condition: Condition
    private let now = ContinuousClock.now

    init() { self.condition = Condition(logger: self.log.logger) }

    @Test("a rejection is logged once for each reason, and is over when a master accepts")
    func rejection() {
        for text in ["disabled", "disabled", "safe mode", "safe mode", "disabled"] {
            self.condition.rejected(Rejection(code: .other, text: text))
        }
        #expect(self.log.count("the master rejects this satellite") == 3)
        #expect(self.condition.facts.rejection == "disabled")
        self.condition.accepted()
        #expect(self.condition.facts.rejection == nil)
        self.condition.rejected(Rejection(code: .other, text: "disabled"))
        #expect(self.log.count("the master rejects this satellite") == 4)
    }

    @Test("a full journal is logged once, and tried again after its last refusal is five seconds old")
    func diskFull() {
        let error = JournalError(.noSpace, "no space left on device")
        self.condition.diskFull(error, now: self.now)
        self.condition.diskFull(error, now: self.now + .seconds(3))
        #expect(self.log.count("no room for leases") == 1)
        #expect(self.condition.takesNothing)
        #expect(!self.retryDisk(after: 8))
        #expect(self.retryDisk(after: 9))
        #expect(!self.condition.takesNothing)
        #expect(!self.retryDisk(after: 99), "it is not full any more")
        self.condition.diskFull(error, now: self.now + .seconds(100))
        #expect(self.log.count("no room for leases") == 2)
    }

    private func retryDisk(after seconds: Int) -> Bool { self.condition.retryDisk(now: self.now + .seconds(seconds)) }

    @Test("a shortage is logged when it begins and when it is over, whatever is lacking meanwhile")
    func shortage() {
        func lack(_ reason: String) -> Shortage { Shortage(reason: reason, since: self.now, until: self.now) }
        let changes = [nil, lack("files"), lack("ports"), nil, nil].map { self.condition.note($0) }
        #expect(changes == [false, true, false, true, false])
        #expect(self.log.count("this satellite is short of resources") == 1)
        #expect(self.log.count("this satellite has the resources again") == 1)
        _ = self.condition.note(lack("memory"))
        #expect(self.condition.takesNothing)
        #expect(self.condition.facts.shortage == "memory")
    }

    @Test("a resolver that fails is logged once, with the first reason, and so is that it works again")
    func resolver() {
        for trouble in [nil, "refused", "timeout"] { self.condition.note(resolverTrouble: trouble) }
        #expect(self.condition.facts.resolverTrouble == "refused")
        for trouble in [nil, nil] as [String?] { self.condition.note(resolverTrouble: trouble) }
        #expect(self.log.count("no name server answers") == 1)
        #expect(self.log.count("name servers answer again") == 1)
        #expect(!self.condition.takesNothing, "recipients wait, and more may be taken")
    }

    @Test("a journal that fails is logged once, ends the satellite, and is its error whatever else has happened")
    func failure() async {
        #expect(self.condition.error == nil)
        self.condition.beginShutdown()
        #expect(self.condition.supersede().code == .superseded)
        #expect(self.condition.error?.code == .superseded)
        self.condition.fail(JournalError(.inputOutput, "first"))
        self.condition.fail(JournalError(.broken, "second"))
        #expect(self.log.count("journal failed") == 1)
        #expect(self.condition.error?.code == .journalFailed)
        #expect(self.condition.error?.description.hasSuffix("first") == true)
        #expect(self.condition.hasFailed)
        #expect(await !self.condition.untilEnd())
    }

    @Test("an orderly end begins when it is asked for, takes nothing more and is no error")
    func shutdown() async {
        #expect(!self.condition.isStopping)
        self.condition.beginShutdown()
        self.condition.beginShutdown()
        #expect(await self.condition.untilEnd())
        #expect(self.condition.takesNothing)
        #expect(self.condition.error == nil)
    }
}
