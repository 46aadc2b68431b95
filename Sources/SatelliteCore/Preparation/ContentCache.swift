// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import DKIM
import MailFormat
import MailMerge
import MailingModel

/// Content revisions by the hash of their blob: fetched, compiled and provided with signing keys once, for all who ask.
actor ContentCache {
    private let cache: BlobCache
    private let uplink: any MasterUplink
    private let keys: SigningKeyCache
    private let limit: Int
    private var known: [BlobHash: (result: Result<Revision, RevisionFailure>, used: UInt64)] = [:]
    private var waiters: [BlobHash: [CheckedContinuation<Result<Revision, RevisionFailure>, Never>]] = [:]
    private var clock: UInt64 = 0

    init(cache: BlobCache, uplink: any MasterUplink, keys: SigningKeyCache, limit: Int) {
        self.cache = cache
        self.uplink = uplink
        self.keys = keys
        self.limit = max(1, limit)
    }

    /// The revision, as soon as everything it needs is here; waits while the master is away.
    func revision(_ hash: BlobHash) async -> Result<Revision, RevisionFailure> {
        self.clock += 1
        if let entry = self.known[hash] {
            self.known[hash]?.used = self.clock
            return entry.result
        }
        if self.waiters[hash] != nil {
            return await withCheckedContinuation { self.waiters[hash]?.append($0) }
        }
        self.waiters[hash] = []
        let result = await self.load(hash)
        self.remember(result, as: hash)
        for waiter in self.waiters.removeValue(forKey: hash) ?? [] { waiter.resume(returning: result) }
        return result
    }

    /// A blob's bytes, from the cache or the master; waits while the master is away.
    func blob(_ hash: BlobHash) async throws(RevisionFailure) -> [UInt8] {
        if let bytes = self.cache.bytes(of: hash) { return bytes }
        var pause = Duration.milliseconds(100)
        var corruptions = 0
        while !Task.isCancelled {
            do {
                let bytes = try await self.uplink.blob(hash)
                self.cache.store(bytes, as: hash)
                return bytes
            } catch let error as ClusterLinkError {
                switch error.code {
                case .noSuchBlob: throw RevisionFailure(mayPass: true, text: "the master has no blob \(hash)")
                case .blobTooLarge: throw RevisionFailure(mayPass: false, text: error.description)
                case .corruptBlob, .malformed:
                    corruptions += 1
                    if corruptions >= 3 { throw RevisionFailure(mayPass: true, text: error.description) }
                default: break
                }
            } catch {
                corruptions += 1
                if corruptions >= 3 { throw RevisionFailure(mayPass: true, text: "blob \(hash): \(error)") }
            }
            // A cancelled wait ends the loop.
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(5))
        }
        throw RevisionFailure(mayPass: true, text: "the satellite is stopping")
    }

    private func load(_ hash: BlobHash) async -> Result<Revision, RevisionFailure> {
        do throws(RevisionFailure) {
            let bytes = try await self.blob(hash)
            let content = try Self.decode(bytes)
            let compiled = try await Self.compile(content)
            return .success(
                Revision(content: compiled, signer: try await self.signer(content), mailFrom: Self.reversePath(content))
            )
        } catch {
            return .failure(error)
        }
    }

    private static func decode(_ bytes: [UInt8]) throws(RevisionFailure) -> MailingContent {
        do {
            return try MailingContent(canonicalBytes: bytes)
        } catch {
            throw RevisionFailure(mayPass: false, text: "the content revision cannot be read: \(error)")
        }
    }

    @concurrent
    private static func compile(_ content: MailingContent) async throws(RevisionFailure) -> CompiledContent {
        do {
            return try CompiledContent(content)
        } catch {
            throw RevisionFailure(mayPass: false, text: "the content does not compile: \(error)")
        }
    }

    /// The header From's address as a reverse path; kept as written if it is no address, so that the refusal names it.
    private static func reversePath(_ content: MailingContent) -> String {
        (try? EmailAddress(parsing: content.mailFrom))?.envelopeText ?? content.mailFrom
    }

    private func signer(_ content: MailingContent) async throws(RevisionFailure) -> MessageSigner? {
        var signers: [DKIMSigner] = []
        for setting in content.dkim where setting.enabled {
            let name = "the DKIM key for \(setting.domain) (selector \(setting.selector))"
            guard let key = try await self.keys.key(setting.key, name) else {
                throw RevisionFailure(mayPass: true, text: "\(name) is not at the master")
            }
            do {
                signers.append(
                    try DKIMSigner(
                        domain: setting.domain,
                        selector: setting.selector,
                        key: key,
                        identity: setting.identity
                    )
                )
            } catch {
                throw RevisionFailure(mayPass: false, text: "\(name) cannot be used: \(error)")
            }
        }
        return signers.isEmpty ? nil : MessageSigner(signers)
    }

    /// Keeps what will not change: revisions, and failures that lie in the content.
    private func remember(_ result: Result<Revision, RevisionFailure>, as hash: BlobHash) {
        if case .failure(let failure) = result, failure.mayPass { return }
        self.known[hash] = (result, self.clock)
        while self.known.count > self.limit, let oldest = self.known.min(by: { $0.value.used < $1.value.used }) {
            self.known[oldest.key] = nil
        }
    }
}

/// A content revision ready to be sent: compiled, with its signatures; shared by all recipients of all its leases.
final class Revision: Sendable {
    /// What all messages come from.
    let content: CompiledContent
    /// Signs them; `nil` if nothing is to be signed.
    let signer: MessageSigner?
    /// The reverse path of leases without a return path domain.
    let mailFrom: String

    init(content: CompiledContent, signer: MessageSigner?, mailFrom: String) {
        self.content = content
        self.signer = signer
        self.mailFrom = mailFrom
    }
}

/// Why no recipient of a lease can be sent to.
struct RevisionFailure: Error, Hashable {
    /// Whether trying later could help: something is missing, rather than wrong.
    var mayPass: Bool
    /// What is missing or wrong.
    var text: String

    /// What becomes of each recipient.
    var verdict: DeliveryOutcome {
        let trace = AttemptTrace(stage: .render, text: self.text)
        return self.mayPass ? .deferred(trace) : .unrenderable(trace)
    }
}
