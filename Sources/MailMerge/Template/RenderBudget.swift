// SPDX-License-Identifier: Apache-2.0

/// How much work a message may be, and how large.
public struct RenderBudget: Sendable, Hashable {
    /// Steps left: statements, passes of loops, operations, and one per 64 octets that an operation handles.
    public var steps: Int
    /// The most octets that the output, and any value on the way to it, may have.
    public var octets: Int

    /// Composes a budget.
    ///
    /// - Parameters:
    ///   - steps: Default 100,000, a hundred times what an elaborate newsletter takes.
    ///   - octets: Default 1 MiB for one message.
    public init(steps: Int = 100_000, octets: Int = 1 << 20) {
        self.steps = steps
        self.octets = octets
    }

    mutating func spend(_ steps: Int = 1) throws(RenderError) {
        self.steps -= steps
        if self.steps < 0 { throw RenderError(.steps, "the template takes too many steps") }
    }

    /// Pays for a value that holds so many octets.
    mutating func pay(octets count: Int) throws(RenderError) {
        guard count <= self.octets else { throw RenderError(.size, "a value grows beyond \(self.octets) octets") }
        try self.spend(1 + count >> 6)
    }

    /// Pays for a list of so many items.
    mutating func pay(items count: Int) throws(RenderError) {
        guard count <= self.octets >> 4 else {
            throw RenderError(.size, "a list grows beyond \(self.octets >> 4) items")
        }
        try self.spend(1 + count)
    }
}
