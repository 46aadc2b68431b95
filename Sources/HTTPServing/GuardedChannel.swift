// SPDX-License-Identifier: Apache-2.0

import HummingbirdCore
import Listening
import Logging
import NIOCore

/// A connection that is counted, refused if there are too many, and closed if its other side is silent for too long.
struct GuardedChannel<Base: ServerChildChannel>: ServerChildChannel {
    typealias Value = Base.Value

    let base: Base
    let ledger: ConnectionLedger
    let isSecure: Bool

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
        let refusal = self.ledger.admit(channel)
        do {
            if refusal == nil {
                try channel.pipeline.syncOperations.addHandler(
                    ConnectionGuard(self.ledger, isSecure: self.isSecure),
                    position: .first
                )
            } else if !self.isSecure {
                try channel.pipeline.syncOperations.addHandler(RefusalHandler(), position: .first)
            } else {
                // An answer would take a handshake, which is the dearest part of a connection.
                channel.close(promise: nil)
                return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
            }
        } catch {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(error)
        }
        return self.base.setup(channel: channel, logger: logger)
    }

    func handle(value: Base.Value, logger: Logger) async { await self.base.handle(value: value, logger: logger) }
}
