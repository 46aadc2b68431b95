// SPDX-License-Identifier: Apache-2.0

/// A wait that took too long.
public struct DeadlineExceeded: Error {
    /// The error of a wait of the test's own.
    public init() {}
}

/// Runs an operation that must end in time.
public func within<Value: Sendable>(
    _ limit: Duration = .seconds(180),
    _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw DeadlineExceeded()
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw DeadlineExceeded() }
        return value
    }
}
