// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import MasterStore
import Synchronization

/// Answers the satellites' requests for DKIM keys, one after the other; tries again for as long as the store fails.
final class SigningKeyRequests: Sendable {
    /// A satellite asks for few keys; one that asks without end is not served.
    static let maximumQueued = 1_024

    private let store: MailingStore
    private let channel: any SatelliteChannel
    private let time: MasterTime
    private let health: StoreHealth
    private let logger: Logger
    private let queue = Mutex<[(session: SatelliteSession, key: BlobHash)]>([])
    private let signal = Signal()

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        time: MasterTime,
        health: StoreHealth,
        logger: Logger
    ) {
        self.store = store
        self.channel = channel
        self.time = time
        self.health = health
        self.logger = logger
    }

    /// Queues a request; it is dropped while ``maximumQueued`` others wait, and its satellite repeats it.
    func add(_ key: BlobHash, from session: SatelliteSession) {
        self.queue.withLock { queue in
            if queue.count < Self.maximumQueued { queue.append((session, key)) }
        }
        self.signal.notify()
    }

    /// Answers until cancelled; a key that is unknown or cannot be read is answered without one.
    func run() async {
        while !Task.isCancelled {
            guard let request = self.queue.withLock({ $0.first }) else {
                await self.signal.wait()
                continue
            }
            do {
                let pem = try await self.store.signingKey(request.key)
                self.health.succeeded("reading a signing key")
                _ = await self.channel.send(.signingKey(request.key, pem: pem), to: request.session)
                self.queue.withLock { _ = $0.removeFirst() }
            } catch let error as StoreError where !error.isOutage {
                self.logger.error(
                    "a signing key cannot be read; messages that need it are not sent",
                    metadata: ["key": "\(request.key)", "error": "\(error)"]
                )
                _ = await self.channel.send(.signingKey(request.key, pem: nil), to: request.session)
                self.queue.withLock { _ = $0.removeFirst() }
            } catch {
                await self.health.pause(after: error, while: "reading a signing key", by: self.time)
            }
        }
    }
}
