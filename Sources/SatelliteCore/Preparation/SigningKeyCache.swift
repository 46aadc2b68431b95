// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import DKIM
import MailingModel

/// Signing keys, requested once and kept in memory only.
actor SigningKeyCache {
    private struct Waiting {
        var continuations: [CheckedContinuation<String?, Never>] = []
        var requestedAt: ContinuousClock.Instant
    }

    private let uplink: any MasterUplink
    private let timeout: Duration
    private var keys: [BlobHash: DKIMPrivateKey] = [:]
    private var waiting: [BlobHash: Waiting] = [:]
    private var isStopped = false

    init(uplink: any MasterUplink, timeout: Duration) {
        self.uplink = uplink
        self.timeout = timeout
    }

    /// The key of that name, or `nil` if the master has none.
    ///
    /// Waits while the master is away.
    func key(_ hash: BlobHash, _ name: String) async throws(RevisionFailure) -> DKIMPrivateKey? {
        if let key = self.keys[hash] { return key }
        guard let pem = await self.ask(hash) else { return nil }
        do {
            let key = try DKIMPrivateKey(pem: pem)
            self.keys[hash] = key
            return key
        } catch {
            throw RevisionFailure(mayPass: true, text: "\(name) cannot be read: \(error)")
        }
    }

    /// Takes the master's answer.
    func received(_ hash: BlobHash, pem: String?) {
        for continuation in self.waiting.removeValue(forKey: hash)?.continuations ?? [] {
            continuation.resume(returning: pem)
        }
    }

    /// Asks again for what was not answered in time.
    func repeatRequests(now: ContinuousClock.Instant) async {
        for (hash, waiting) in self.waiting where now - waiting.requestedAt > self.timeout {
            self.waiting[hash]?.requestedAt = now
            await self.uplink.transmit(.signingKeyRequest(hash))
        }
    }

    /// Lets everybody go who still waits.
    func stop() {
        self.isStopped = true
        for hash in Array(self.waiting.keys) { self.received(hash, pem: nil) }
    }

    private func ask(_ hash: BlobHash) async -> String? {
        guard !self.isStopped else { return nil }
        let isFirst = self.waiting[hash] == nil
        if isFirst { self.waiting[hash] = Waiting(requestedAt: .now) }
        if isFirst { await self.uplink.transmit(.signingKeyRequest(hash)) }
        // The answer, or the end, may have come during the wait above: then it is asked for again by the next one.
        guard !self.isStopped else { return nil }
        return await withCheckedContinuation { continuation in
            self.waiting[hash, default: Waiting(requestedAt: .now - self.timeout)].continuations.append(continuation)
        }
    }
}
