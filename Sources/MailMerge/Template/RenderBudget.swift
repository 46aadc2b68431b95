// SPDX-License-Identifier: Apache-2.0

/// How much work a message may be, and how large.
public struct RenderBudget: Sendable, Hashable {
    /// Steps left: statements, passes of loops, operations, and one per 64 bytes that an operation handles.
    public var steps: Int
    /// The most bytes that the output, and any value on the way to it, may have.
    public var bytes: Int

    /// Composes a budget.
    ///
    /// - Parameters:
    ///   - steps: Default 100,000, a hundred times what an elaborate newsletter takes.
    ///   - bytes: Default 1 MiB for one message.
    public init(steps: Int = 100_000, bytes: Int = 1 << 20) {
        self.steps = steps
        self.bytes = bytes
    }

    mutating func consume(_ steps: Int = 1) throws(RenderError) {
        self.steps -= steps
        if self.steps < 0 { throw RenderError(.steps, "the template takes too many steps") }
    }

    /// Pays for a value that holds so many bytes.
    mutating func pay(bytes count: Int) throws(RenderError) {
        guard count <= self.bytes else { throw RenderError(.size, "a value grows beyond \(self.bytes) bytes") }
        try self.consume(1 + count >> 6)
    }

    /// Pays for a list of so many items.
    mutating func pay(items count: Int) throws(RenderError) {
        guard count <= self.bytes >> 4 else {
            throw RenderError(.size, "a list grows beyond \(self.bytes >> 4) items")
        }
        try self.consume(1 + count)
    }
}
