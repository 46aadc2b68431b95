// SPDX-License-Identifier: Apache-2.0

import Logging
import MailDNS
import MailFormat
import MailingModel

/// A lease whose recipients are to be prepared.
struct Preparation: Sendable {
    var lease: HeldLease
    var indices: [Int]
}

/// Finds content and destinations of recipients, and queues them in the scheduler.
final class Preparer: Sendable {
    private let configuration: SatelliteConfiguration
    private let content: ContentCache
    private let routes: MXCache
    private let scheduler: SharedScheduler
    private let condition: Condition
    private let logger: Logger
    private let waiting: AsyncStream<Preparation>
    private let continuation: AsyncStream<Preparation>.Continuation

    init(
        _ configuration: SatelliteConfiguration,
        content: ContentCache,
        routes: MXCache,
        scheduler: SharedScheduler,
        condition: Condition,
        logger: Logger
    ) {
        self.configuration = configuration
        self.content = content
        self.routes = routes
        self.scheduler = scheduler
        self.condition = condition
        self.logger = logger
        (self.waiting, self.continuation) = AsyncStream.makeStream(of: Preparation.self)
    }

    /// Has recipients of a lease prepared that the scheduler holds; from any thread.
    func prepare(_ lease: HeldLease, _ indices: [Int]) {
        self.continuation.yield(Preparation(lease: lease, indices: indices))
    }

    /// Prepares several leases at a time, so that a slow one holds up nobody else, until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await preparation in self.waiting {
                group.addTask { await self.carryOut(preparation) }
            }
        }
    }

    private func carryOut(_ preparation: Preparation) async {
        let lease = preparation.lease
        let now = ContinuousClock.now
        var recipients = preparation.indices.map { QueuedRecipient(lease: lease, index: $0, since: now) }
        switch await self.content.revision(lease.grant.content) {
        case .failure(let failure):
            guard !Task.isCancelled else { return }
            self.logger.error(
                "content cannot be used; its recipients are not sent to, and are reported with the reason",
                metadata: [
                    "mailing": "\(lease.grant.mailing)", "lease": "\(lease.serial)", "reason": "\(failure.text)",
                ]
            )
            return self.decide(recipients, failure.verdict)
        case .success(let revision):
            for index in recipients.indices { recipients[index].revision = revision }
        }
        let ready = await self.fetchAttachments(of: recipients)
        await self.route(ready)
    }

    private func decide(_ recipients: [QueuedRecipient], _ verdict: DeliveryOutcome) {
        guard !recipients.isEmpty else { return }
        var recipients = recipients
        for index in recipients.indices { recipients[index].verdict = verdict }
        self.scheduler.change { scheduler, now in scheduler.decide(recipients, now: now) }
    }

    /// Puts every attachment into the cache; recipients whose attachments cannot be had are decided.
    private func fetchAttachments(of recipients: [QueuedRecipient]) async -> [QueuedRecipient] {
        guard recipients.contains(where: { !$0.entry.attachments.isEmpty }) else { return recipients }
        var present: Set<BlobHash> = []
        var missing: [BlobHash: RevisionFailure] = [:]
        var ready: [QueuedRecipient] = []
        for recipient in recipients {
            var failure: RevisionFailure?
            for hash in recipient.entry.attachments where failure == nil && !present.contains(hash) {
                failure = missing[hash]
                guard failure == nil else { break }
                do {
                    _ = try await self.content.blob(hash)
                    present.insert(hash)
                } catch {
                    missing[hash] = error
                    failure = error
                }
            }
            if Task.isCancelled { return [] }
            if let failure { self.decide([recipient], failure.verdict) } else { ready.append(recipient) }
        }
        return ready
    }

    private func route(_ recipients: [QueuedRecipient]) async {
        var byDomain: [String: [QueuedRecipient]] = [:]
        for var recipient in recipients {
            do {
                let address = try EmailAddress(parsing: recipient.entry.address)
                recipient.address = address
                byDomain[address.asciiDomain, default: []].append(recipient)
            } catch {
                self.decide([recipient], .failed(AttemptTrace(stage: .lookup, text: "bad address: \(error)")))
            }
        }
        await withDiscardingTaskGroup { group in
            for (domain, recipients) in byDomain {
                group.addTask {
                    let route = await self.destination(domain)
                    guard !Task.isCancelled else { return }
                    self.send(recipients, to: route, domain)
                }
            }
        }
    }

    private func destination(_ domain: String) async -> MailRoute {
        guard let address = Self.literal(domain) else { return await self.lookUp(domain) }
        guard self.configuration.acceptsAddressLiterals else {
            return .noSuchDomain("\(domain): address literals are not accepted")
        }
        return .hosts([MailHost(name: domain, preference: 0, addresses: [address])], site: domain, validity: .zero)
    }

    /// Looks a domain up, once more if that fails for now.
    ///
    /// If it is the resolver that fails, or this process that lacks a socket to ask with, it goes on until that is over, and
    /// nobody has had an attempt. But a resolver that fails for as long as a site may is believed: it may be the domains.
    private func lookUp(_ domain: String) async -> MailRoute {
        let began = ContinuousClock.now
        var wait = self.configuration.lookupRetry
        var isRepeated = false
        while true {
            let route = await self.routes.route(for: domain)
            guard case .temporaryFailure(let text) = route else {
                self.condition.note(resolverTrouble: nil)
                return route
            }
            if let lack = LocalResources.shortage() {
                self.scheduler.change { scheduler, now in
                    scheduler.lacked(lack, now: now)
                    return SchedulerActions()
                }
            } else if await self.routes.isUnable, ContinuousClock.now - began < self.configuration.siteOutage {
                self.condition.note(resolverTrouble: text)
            } else if isRepeated, self.scheduler.withLock({ $0.shortage == nil }) {
                return route
            }
            isRepeated = true
            guard (try? await Task.sleep(for: wait)) != nil else { return route }  // Cancelled.
            wait = min(wait * 2, max(.seconds(30), self.configuration.lookupRetry))
            await self.routes.forget(domain)
        }
    }

    /// The numeric address of an address literal, RFC 5321 §4.1.3.
    private static func literal(_ domain: String) -> String? {
        guard domain.hasPrefix("["), domain.hasSuffix("]") else { return nil }
        let inner = domain.dropFirst().dropLast()
        return inner.lowercased().hasPrefix("ipv6:") ? String(inner.dropFirst(5)) : String(inner)
    }

    private func send(_ recipients: [QueuedRecipient], to route: MailRoute, _ domain: String) {
        switch route {
        case .hosts(let hosts, let site, _):
            guard recipients.first?.lease.grant.testing == true else {
                let hosts = hosts.map { SiteHost(name: $0.name, preference: $0.preference, addresses: $0.addresses) }
                let destination = SiteRoute(name: site, hosts: hosts, port: self.configuration.smtpPort)
                return self.scheduler.change { scheduler, now in
                    scheduler.assign(recipients, to: destination, key: site, now: now)
                }
            }
            self.sendToTestTarget(recipients, hosts, site)
        case .refusesMail:
            self.decide(recipients, lookup: .refusesMail, "\(domain) takes no mail (null MX)")
        case .noSuchDomain(let text): self.decide(recipients, lookup: .noSuchDomain, text)
        case .temporaryFailure(let text): self.decide(recipients, lookup: .temporary, text)
        }
    }

    private func sendToTestTarget(_ recipients: [QueuedRecipient], _ hosts: [MailHost], _ site: String) {
        guard let target = self.configuration.testTarget else {
            let text = "the satellite has no test target, and a test mailing goes nowhere else"
            return self.decide(recipients, .deferred(AttemptTrace(stage: .connect, text: text)))
        }
        let hosts = hosts.prefix(1).map { SiteHost(name: $0.name, preference: 0, addresses: [target.address]) }
        let destination = SiteRoute(name: "test: \(site)", hosts: hosts, port: target.port)
        self.scheduler.change { scheduler, now in
            scheduler.assign(recipients, to: destination, key: "test: \(site)", now: now)
        }
    }

    private func decide(_ recipients: [QueuedRecipient], lookup failure: OutcomePolicy.LookupFailure, _ text: String) {
        let trace = AttemptTrace(stage: .lookup, text: text)
        switch OutcomePolicy.verdict(lookup: failure) {
        case .failed: self.decide(recipients, .failed(trace))
        case .deferred, .delivered: self.decide(recipients, .deferred(trace))
        }
    }
}
