// SPDX-License-Identifier: Apache-2.0

/// Notifies one waiting task that there is something to do; any number of calls before it looks are one.
struct Signal: Sendable {
    let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    init() {
        (self.stream, self.continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// May be called from any thread.
    func notify() { self.continuation.yield() }

    /// Ends the stream.
    func finish() { self.continuation.finish() }
}
