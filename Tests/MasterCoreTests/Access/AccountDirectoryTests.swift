// SPDX-License-Identifier: Apache-2.0

import Dispatch
import MailingModel
import Secrets
import Synchronization
import Testing

@testable import MasterCore
@testable import MasterStore

/// Compares chosen secrets without their cost, counts how often and how many at a time.
private final class Comparisons: Sendable {
    private struct State {
        var count = 0
        var running = 0
        var most = 0
        var refused = 0
    }

    private let state = Mutex(State())
    /// Every comparison passes it; nobody does while it is held.
    private let gate = DispatchSemaphore(value: 1)

    var count: Int { self.state.withLock { $0.count } }
    var running: Int { self.state.withLock { $0.running } }
    var most: Int { self.state.withLock { $0.most } }
    var refused: Int { self.state.withLock { $0.refused } }

    /// Counts a call that was refused before any comparison.
    func noteRefusal() { self.state.withLock { $0.refused += 1 } }

    /// Keeps comparisons from ending, until ``release()``.
    func hold() { self.gate.wait() }

    func release() { self.gate.signal() }

    func compare(_ hash: PasswordHash, _ secret: String) -> Bool {
        self.state.withLock { state in
            state.count += 1
            state.running += 1
            state.most = max(state.most, state.running)
        }
        self.gate.wait()
        self.gate.signal()
        self.state.withLock { $0.running -= 1 }
        return hash.text == Self.text(secret)
    }

    /// A text that stands for the hash of a chosen secret.
    static func text(_ secret: String) -> String { "scrypt$\(secret)" }
}

@Suite("The directory of accounts")
struct AccountDirectoryTests {
    private struct Parts {
        let parts: TestParts
        let comparisons = Comparisons()
        let directory: AccountDirectory
        let account: Account

        init(_ parts: TestParts) async throws {
            self.parts = parts
            let comparisons = self.comparisons
            self.directory = AccountDirectory { comparisons.compare($0, $1) }
            self.account = try await parts.store.addAccount(named: "acme", at: ManualClock.epoch)
            try await self.directory.reload(from: parts.store)
        }

        /// Adds a credential to the store, and to the directory as an operation does.
        func add(_ name: String, _ api: APIName = .sendclean, hash: String) async throws -> CredentialRecord {
            let changes = self.directory.changes
            let record = try await self.addToStore(name, api, hash: hash)
            #expect(self.directory.insert(record, since: changes))
            return record
        }

        func addToStore(_ name: String, _ api: APIName = .sendclean, hash: String) async throws -> CredentialRecord {
            try await self.parts.store.addCredential(
                CredentialRecord(
                    id: CredentialID(rawValue: 0),
                    account: self.account.id,
                    api: api,
                    name: name,
                    secretHash: hash,
                    created: ManualClock.epoch
                )
            )
        }

        func authenticate(_ name: String, _ secret: String, _ api: APIName = .sendclean) async throws -> CredentialID? {
            try await self.directory.authenticate(api: api, name: name, secret: secret)?.id
        }
    }

    private func run(_ body: (Parts) async throws -> Void) async throws {
        try await TestParts.run { try await body(try await Parts($0)) }
    }

    @Test("finds a credential by its API, its name and its secret, and by nothing else")
    func authentication() async throws {
        try await self.run { test in
            let first = try await test.add("7", hash: Comparisons.text("sesame"))
            let second = try await test.add("7", .sendcloud, hash: Comparisons.text("other"))
            #expect(try await test.authenticate("7", "sesame") == first.id)
            #expect(try await test.authenticate("7", "other", .sendcloud) == second.id)
            #expect(try await test.authenticate("7", "other") == nil)
            #expect(try await test.authenticate("7", "sesame", .sendcloud) == nil)
            #expect(try await test.authenticate("7", "sesame", .inboxfirst) == nil)
            #expect(try await test.authenticate("8", "sesame") == nil)
            #expect(try await test.authenticate("", "") == nil)
            #expect(test.directory.account(test.account.id) == test.account)
        }
    }

    @Test("compares once for every wrong secret and every unknown name, also where the secret was generated")
    func constantWork() async throws {
        try await self.run { test in
            let (secret, hash) = CredentialHash.generate()
            let generated = try await test.add("generated", hash: hash.text)
            _ = try await test.add("chosen", hash: Comparisons.text("sesame"))
            _ = try await test.add("damaged", hash: "no hash")
            for (count, name) in ["generated", "chosen", "damaged", "unknown"].enumerated() {
                #expect(try await test.authenticate(name, "wrong") == nil)
                #expect(test.comparisons.count == count + 1)
            }
            #expect(try await test.authenticate("generated", secret) == generated.id)
            #expect(test.comparisons.count == 4)
        }
    }

    @Test("compares a right secret once, and remembers it until the credential is removed")
    func remembering() async throws {
        try await self.run { test in
            let record = try await test.add("7", hash: Comparisons.text("sesame"))
            for _ in 0..<5 { #expect(try await test.authenticate("7", "sesame") == record.id) }
            #expect(test.comparisons.count == 1)
            #expect(try await test.authenticate("7", "wrong") == nil)
            #expect(try await test.authenticate("7", "sesame") == record.id)
            #expect(test.comparisons.count == 2)
            try await test.parts.store.removeCredential(record.id, of: test.account.id, at: ManualClock.epoch)
            test.directory.remove(record.id)
            #expect(try await test.authenticate("7", "sesame") == nil)
            let next = try await test.add("7", hash: Comparisons.text("another"))
            #expect(try await test.authenticate("7", "sesame") == nil)
            #expect(try await test.authenticate("7", "another") == next.id)
            #expect(test.comparisons.count == 5)
        }
    }

    @Test("compares two secrets at a time when a thousand wrong ones come at once")
    func manyWrong() async throws {
        try await self.run { test in
            _ = try await test.add("7", hash: Comparisons.text("sesame"))
            let answers = try await withThrowingTaskGroup(of: CredentialID?.self) { group in
                for number in 0..<1_000 {
                    group.addTask { try await test.authenticate(number % 2 == 0 ? "7" : "unknown", "wrong \(number)") }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count == 1_000 && answers.allSatisfy { $0 == nil })
            #expect(test.comparisons.count == 1_000 && (1...2).contains(test.comparisons.most))
        }
    }

    @Test("refuses further secrets when too many wait, and compares the others")
    func tooMany() async throws {
        try await self.run { test in
            test.comparisons.hold()
            let count = SlowHashing.parallel + SlowHashing.maximumWaiting + 50
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<count {
                    group.addTask {
                        do {
                            _ = try await test.authenticate("unknown", "\(number)")
                        } catch let error as MasterError where error.code == .busy {
                            test.comparisons.noteRefusal()
                        }
                    }
                }
                try await TestFailure.unless("50 are refused") { test.comparisons.refused == 50 }
                test.comparisons.release()
                try await group.waitForAll()
            }
            #expect(test.comparisons.count == count - 50)
        }
    }

    @Test("compares for those who still wait, and not for those whose call has ended")
    func cancellation() async throws {
        try await self.run { test in
            test.comparisons.hold()
            let running = (0..<2).map { number in Task { try await test.authenticate("unknown", "\(number)") } }
            try await TestFailure.unless("two are compared") { test.comparisons.running == 2 }
            let waiting = Task { try await test.authenticate("unknown", "2") }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { _ = try await waiting.value }
            test.comparisons.release()
            for task in running { #expect(try await task.value == nil) }
            #expect(test.comparisons.count == 2)
        }
    }

    @Test("compares a secret that comes in many calls at once for the first of them")
    func sameSecret() async throws {
        try await self.run { test in
            let record = try await test.add("7", hash: Comparisons.text("sesame"))
            try await withThrowingTaskGroup(of: CredentialID?.self) { group in
                for _ in 0..<100 { group.addTask { try await test.authenticate("7", "sesame") } }
                for try await id in group { #expect(id == record.id) }
            }
            #expect((1...2).contains(test.comparisons.count))
        }
    }

    @Test("refuses a credential that is removed while its secret is compared")
    func removedMeanwhile() async throws {
        try await self.run { test in
            let record = try await test.add("7", hash: Comparisons.text("sesame"))
            test.comparisons.hold()
            let call = Task { try await test.authenticate("7", "sesame") }
            try await TestFailure.unless("it is compared") { test.comparisons.running == 1 }
            test.directory.remove(record.id)
            test.comparisons.release()
            #expect(try await call.value == nil)
        }
    }

    @Test("neither restores what was removed nor hides what was added, if it reads the store meanwhile")
    func staleReading() async throws {
        try await self.run { test in
            let removed = try await test.add("removed", hash: Comparisons.text("a"))
            test.parts.faults.afterNextOwn("credentials") {
                try await test.parts.store.removeCredential(removed.id, of: test.account.id, at: ManualClock.epoch)
                test.directory.remove(removed.id)
                _ = try await test.add("added", hash: Comparisons.text("b"))
            }
            try await FaultyEngine.$isOwnReading.withValue(true) {
                try await test.directory.reload(from: test.parts.store)
            }
            #expect(try await test.authenticate("removed", "a") == nil)
            #expect(try await test.authenticate("added", "b") != nil)
            // Whoever adds while another changes something reads the store.
            let changes = test.directory.changes
            let late = try await test.addToStore("late", hash: Comparisons.text("c"))
            test.directory.remove(late.id)
            #expect(!test.directory.insert(late, since: changes))
        }
    }

    @Test("notifies whoever watches a credential once, when it or its account is removed")
    func watching() async throws {
        try await self.run { test in
            let first = try await test.add("1", hash: "x")
            let second = try await test.add("2", hash: "x")
            let calls = Atomic(0)
            _ = test.directory.observe(first.id) { calls.add(1, ordering: .relaxed) }
            test.directory.forget(test.directory.observe(first.id) { calls.add(100, ordering: .relaxed) })
            _ = test.directory.observe(second.id) { calls.add(10, ordering: .relaxed) }
            test.directory.remove(first.id)
            #expect(calls.load(ordering: .relaxed) == 1)
            test.directory.remove(
                try await test.parts.store.removeAccount(test.account.id, at: ManualClock.epoch)
            )
            #expect(calls.load(ordering: .relaxed) == 11)
            _ = test.directory.observe(second.id) { calls.add(1_000, ordering: .relaxed) }
            #expect(calls.load(ordering: .relaxed) == 1_011)
            #expect(test.directory.account(test.account.id) == nil && !test.directory.isInForce(second.id))
        }
    }
}
