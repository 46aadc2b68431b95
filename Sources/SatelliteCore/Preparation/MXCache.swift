// SPDX-License-Identifier: Apache-2.0

import MailDNS

/// Routes of domains: looked up in bounded parallel, once for all who ask, and remembered as long as they hold.
actor MXCache {
    private let resolver: any MailResolver
    private let maximumLookups: Int
    private let maximumRoutes: Int
    private let failedMemory: Duration
    private var known: [String: (route: MailRoute, until: ContinuousClock.Instant)] = [:]
    private var waiters: [String: [CheckedContinuation<MailRoute, Never>]] = [:]
    private var lookups = 0
    /// Domains whose look-up failed for now since the last one that did not.
    private var failing: Set<String> = []
    private let failuresOfResolver: Int
    private var queue: [CheckedContinuation<Void, Never>] = []

    init(resolver: any MailResolver, configuration: SatelliteConfiguration) {
        self.resolver = resolver
        self.maximumLookups = max(1, configuration.maximumLookups)
        self.maximumRoutes = configuration.maximumRoutes
        self.failedMemory = configuration.failedLookupMemory
        self.failuresOfResolver = max(1, configuration.failuresOfResolver)
    }

    /// Where mail for a domain goes.
    func route(for domain: String) async -> MailRoute {
        if let entry = self.known[domain] {
            if ContinuousClock.now < entry.until { return entry.route }
            self.known[domain] = nil
        }
        if self.waiters[domain] != nil {
            return await withCheckedContinuation { self.waiters[domain]?.append($0) }
        }
        self.waiters[domain] = []
        await self.enter()
        let route = await self.resolver.route(for: domain)
        self.leave()
        self.remember(route, for: domain)
        for waiter in self.waiters.removeValue(forKey: domain) ?? [] { waiter.resume(returning: route) }
        return route
    }

    /// Whether it is the resolver that fails, rather than the domains: many failed in a row and none was found.
    var isUnable: Bool { self.failing.count >= self.failuresOfResolver }

    /// Makes the next question about a domain go to the resolver.
    func forget(_ domain: String) { self.known[domain] = nil }

    private func enter() async {
        if self.lookups < self.maximumLookups {
            self.lookups += 1
        } else {
            await withCheckedContinuation { self.queue.append($0) }  // leave() hands its slot over.
        }
    }

    private func leave() {
        if self.queue.isEmpty { self.lookups -= 1 } else { self.queue.removeFirst().resume() }
    }

    private func remember(_ route: MailRoute, for domain: String) {
        let validity: Duration =
            switch route {
            case .hosts(_, _, let validity): max(.seconds(1), min(validity, .seconds(86_400)))
            case .refusesMail, .noSuchDomain: .seconds(300)
            case .temporaryFailure: self.failedMemory
            }
        if case .temporaryFailure = route {
            if self.failing.count < self.failuresOfResolver { self.failing.insert(domain) }
        } else {
            self.failing.removeAll()
        }
        if self.known.count >= self.maximumRoutes { self.known.removeAll(keepingCapacity: true) }
        self.known[domain] = (route, .now + validity)
    }
}
