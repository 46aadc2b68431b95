// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Synchronization

@testable import MasterStore

/// A store's engine that fails on demand, and counts what it is asked; everything else is the engine beneath.
final class FaultyEngine: StoreEngine {
    private struct State {
        var failing: [String: StoreError.Code] = [:]
        var calls: [String: Int] = [:]
        var emptyClaims = 0
        var afterLeases: (@Sendable () async throws -> Void)?
        var afterOwnReading: [String: @Sendable () async throws -> Void] = [:]
    }

    private let inner: any StoreEngine
    private let state = Mutex(State())

    init(_ inner: any StoreEngine) { self.inner = inner }

    var identity: StoreIdentity { self.inner.identity }
    var position: StorePosition { self.inner.position }
    var context: StoreContext { self.inner.context }
    var queue: WriteQueue { self.inner.queue }
    var sharedLeadership: Leadership? { self.inner.sharedLeadership }

    // MARK: Faults

    /// Lets operations fail from now on; `nil` lets everything succeed.
    func fail(_ operations: [String], with code: StoreError.Code?) {
        self.state.withLock { state in
            state.failing = [:]
            if let code { for operation in operations { state.failing[operation] = code } }
        }
    }

    /// Lets so many claims find nothing.
    func swallowClaims(_ count: Int) { self.state.withLock { $0.emptyClaims = count } }

    /// Lets something happen between the next reading of leases and its return.
    func afterNextLeases(_ happen: @escaping @Sendable () async throws -> Void) {
        self.state.withLock { $0.afterLeases = happen }
    }

    /// Whether it is the test itself that reads, and not the master that runs beside it.
    @TaskLocal static var isOwnReading = false

    /// Lets something happen between the test's next reading by an operation and its return.
    func afterNextOwn(_ operation: String, _ happen: @escaping @Sendable () async throws -> Void) {
        self.state.withLock { $0.afterOwnReading[operation] = happen }
    }

    /// How often a step of an operation was carried out or refused.
    func calls(of operation: String) -> Int { self.state.withLock { $0.calls[operation] ?? 0 } }

    private func pass(_ operation: StoreOperation) throws {
        let code = self.state.withLock { state -> StoreError.Code? in
            state.calls[operation.name, default: 0] += 1
            return state.failing[operation.name]
        }
        if let code { throw StoreError(code, "\(operation.name) fails because the test says so") }
    }

    // MARK: The engine

    func read<Answer: Sendable>(
        _ operation: StoreOperation,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        try self.pass(operation)
        let answer = try await self.inner.read(operation, step)
        let happen = self.state.withLock { state -> (@Sendable () async throws -> Void)? in
            if Self.isOwnReading { return state.afterOwnReading.removeValue(forKey: operation.name) }
            guard operation == "leases" else { return nil }
            defer { state.afterLeases = nil }
            return state.afterLeases
        }
        try await happen?()
        return answer
    }

    func write<Answer: Sendable>(
        _ operation: StoreOperation,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        try self.pass(operation)
        if operation == "claim", let nothing = [LeaseGrant]() as? Answer {
            let isSwallowed = self.state.withLock { state in
                defer { state.emptyClaims = max(0, state.emptyClaims - 1) }
                return state.emptyClaims > 0
            }
            if isSwallowed { return nothing }
        }
        return try await self.inner.write(operation, step)
    }

    func backup(to path: String) async throws { try await self.inner.backup(to: path) }
    func adopt() async throws { try await self.inner.adopt() }
    func close() async throws { try await self.inner.close() }
}
