// SPDX-License-Identifier: Apache-2.0

import InMemoryLogging
import Logging
import Synchronization
import Testing

@testable import MasterCore

@Suite("Attempts to authenticate that failed")
struct FailedAttemptsTests {
    /// A throttle with a clock that the test moves.
    private final class Attempts: Sendable {
        let memory = InMemoryLogHandler()
        private let elapsed = Mutex(Duration.zero)

        func make(_ change: (inout FailedAttempts.Limits) -> Void = { _ in }) -> FailedAttempts {
            var limits = FailedAttempts.Limits()
            change(&limits)
            let memory = self.memory
            return FailedAttempts(
                limits: limits,
                elapsed: { self.elapsed.withLock(\.self) },
                logger: Logger(label: "test") { _ in memory }
            )
        }

        func pass(_ time: Duration) { self.elapsed.withLock { $0 += time } }
    }

    @Test("twenty of one address are let through, the next has to wait, and not longer than it says")
    func address() throws {
        let test = Attempts()
        let attempts = test.make()
        for _ in 1...20 { #expect(attempts.failed(address: "192.0.2.1", credential: nil) == nil) }
        let pause = try #require(attempts.failed(address: "192.0.2.1", credential: nil))
        #expect(pause > .zero && pause <= .seconds(6))
        #expect(attempts.failed(address: "192.0.2.2", credential: nil) == nil)
        test.pass(pause)
        #expect(attempts.failed(address: "192.0.2.1", credential: nil) == nil)
    }

    @Test("ten a minute are never noticed")
    func slow() {
        let test = Attempts()
        let attempts = test.make()
        for _ in 1...500 {
            #expect(attempts.failed(address: "192.0.2.1", credential: "key") == nil)
            test.pass(.seconds(6))
        }
    }

    @Test("a credential is guessed by many addresses")
    func credential() {
        let attempts = Attempts().make()
        let answers = (1...40).map { attempts.failed(address: "192.0.2.\($0)", credential: "key") }
        #expect(answers.prefix(20).allSatisfy { $0 == nil } && answers.suffix(20).allSatisfy { $0 != nil })
        #expect(attempts.failed(address: "192.0.2.99", credential: "other") == nil)
    }

    @Test("however many fail, the wait stays short")
    func flood() throws {
        let attempts = Attempts().make()
        var last: Duration?
        for _ in 1...100_000 { last = attempts.failed(address: "192.0.2.1", credential: nil) }
        #expect(try #require(last) <= .seconds(66))
    }

    @Test("memory is bounded, and who fails most is remembered")
    func memory() {
        let attempts = Attempts().make { $0.remembered = 100 }
        for _ in 1...30 { _ = attempts.failed(address: "worst", credential: nil) }
        for number in 1...10_000 {
            _ = attempts.failed(address: "address \(number)", credential: "credential \(number)")
            #expect(attempts.remembered <= 200)
        }
        #expect(attempts.failed(address: "worst", credential: nil) != nil)
    }

    @Test("they are logged once a minute, with their number")
    func logged() {
        let test = Attempts()
        let attempts = test.make()
        for _ in 1...50 { _ = attempts.failed(address: "192.0.2.1", credential: nil) }
        #expect(test.memory.entries.map { $0.metadata["count"] } == ["1"])
        test.pass(.seconds(60))
        _ = attempts.failed(address: "192.0.2.7", credential: nil)
        #expect(test.memory.entries.map { $0.metadata["count"] } == ["1", "50"])
        #expect(test.memory.entries.last?.metadata["last_address"] == "192.0.2.7")
        for _ in 1...3 { _ = attempts.failed(address: "192.0.2.8", credential: nil) }
        attempts.logRest()
        #expect(test.memory.entries.count == 2)
        test.pass(.seconds(60))
        attempts.logRest()
        attempts.logRest()
        #expect(test.memory.entries.map { $0.metadata["count"] } == ["1", "50", "3"])
    }
}
