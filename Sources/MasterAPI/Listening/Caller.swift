// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import MasterCore
import NIOCore
import Synchronization

/// The caller of a long answer and its connection: the answer ends when the caller's key is revoked.
struct Caller: Sendable {
    /// How long an answer has to end by itself once its key is revoked; then its connection is closed.
    private static let patience = TimeAmount.seconds(5)

    static let revoked = ControlRefusal(.unauthorized, "unauthorized", "the API key was revoked")

    let master: Master
    /// The key's public id; `nil` for the operator's socket, which has none.
    let key: String?
    let channel: any Channel

    /// Whether the caller's key is still in force; checked before every piece.
    var mayGoOn: Bool { self.key.map { self.master.isInForce(key: $0) } ?? true }

    /// Begins an answer, whose connection is closed if it does not end soon after its key was revoked: it may wait for a
    /// reader that takes nothing, or for bytes that do not come.
    ///
    /// - Returns: To be ended with the answer.
    func begin() -> LongAnswer { LongAnswer(self, patience: Self.patience) }
}

/// An answer in progress.
final class LongAnswer: Sendable {
    private let state = Mutex<(isOver: Bool, watch: KeyWatch?)>((false, nil))

    fileprivate init(_ caller: Caller, patience: TimeAmount) {
        guard let key = caller.key else { return }
        let channel = caller.channel
        let watch = caller.master.watch(key: key) {
            channel.eventLoop.scheduleTask(in: patience) {
                if !self.state.withLock({ $0.isOver }) { channel.close(promise: nil) }
            }
        }
        self.state.withLock { $0.watch = watch }
    }

    /// The answer has ended, and its connection may serve other requests.
    func end() {
        let watch = self.state.withLock { state in
            state.isOver = true
            return state.watch.take()
        }
        watch?.end()
    }
}

/// A request's context that knows its connection.
struct APIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
    }
}
