// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@Suite("When a deferred recipient is tried again")
struct RetryScheduleTests {
    private let minute: Int64 = 60_000

    @Test(
        "waits as CloudMailing did: 10 minutes, then an hour, then six",
        arguments: [(1, 10), (2, 10), (3, 60), (9, 60), (10, 360), (1000, 360), (Int.max, 360)]
    )
    func defaults(tries: Int, minutes: Int) {
        let next = RetrySchedule().nextTry(
            afterTries: tries,
            firstTry: Timestamp(milliseconds: 0),
            now: Timestamp(milliseconds: 5)
        )
        #expect(next == Timestamp(milliseconds: 5 + Int64(minutes) * self.minute))
    }

    @Test("makes its last attempt when the age is reached, and gives up then")
    func givesUp() {
        let schedule = RetrySchedule()
        let first = Timestamp(seconds: 1000)
        let end = first.advanced(by: .seconds(5 * 86_400))
        let late = Timestamp(milliseconds: end.milliseconds - 1)
        #expect(schedule.nextTry(afterTries: 20, firstTry: first, now: late) == end)
        #expect(schedule.nextTry(afterTries: 20, firstTry: first, now: end) == nil)
    }

    @Test("saturates instead of overflowing")
    func saturates() {
        let schedule = RetrySchedule(steps: [], finalDelay: .seconds(Int64.max / 2), giveUpAfter: .seconds(Int64.max))
        let now = Timestamp(milliseconds: .max - 10)
        #expect(
            schedule.nextTry(afterTries: 1, firstTry: Timestamp(milliseconds: .min), now: now)
                == Timestamp(milliseconds: .max)
        )
        #expect(
            schedule.nextTry(afterTries: 1, firstTry: now, now: now) == Timestamp(milliseconds: .max)
        )
    }

    @Test("takes the steps that it was given")
    func configured() {
        let schedule = RetrySchedule(
            steps: [.init(below: 2, delay: .seconds(1))],
            finalDelay: .seconds(2),
            giveUpAfter: .seconds(100)
        )
        #expect(schedule.delay(afterTries: 1) == .seconds(1))
        #expect(schedule.delay(afterTries: 2) == .seconds(2))
    }
}
