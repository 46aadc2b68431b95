// SPDX-License-Identifier: Apache-2.0

/// From a domain to the hosts that take its mail: RFC 5321 §5.1, RFC 7505.
///
/// The rules are here once; where answers come from is the caller's.
enum MailRouting {
    /// MX hosts looked at; the rest, by preference, is left out.
    static let maximumHosts = 20
    /// Addresses taken of one host.
    static let maximumAddresses = 16
    /// How long a route may be kept, whatever the records say.
    static let validity = 60...86_400

    /// What the answer to the MX question leads to.
    enum Step: Hashable, Sendable {
        case done(MailRoute)
        /// Ask for the addresses of these, in order of preference.
        case lookUp([Target], timeToLive: Int, isImplicit: Bool)
    }

    /// A host to look up.
    struct Target: Hashable, Sendable {
        var name: String
        var preference: Int
    }

    /// The route to a domain.
    static func route(
        for domain: String,
        policy: AddressPolicy,
        asking ask: @Sendable @escaping (String, DNSType) async -> DNSAnswer
    ) async -> MailRoute {
        let name = self.normalised(domain)
        guard self.isName(name) else { return .noSuchDomain("\(domain) is not a domain name") }
        switch self.step(name, mx: await ask(name, .mx)) {
        case .done(let route): return route
        case .lookUp(let targets, let timeToLive, let isImplicit):
            let answers = await withTaskGroup(of: (Int, DNSAnswer, DNSAnswer).self) { group in
                for (index, target) in targets.enumerated() {
                    group.addTask {
                        async let four = ask(target.name, .a)
                        async let six = ask(target.name, .aaaa)
                        return (index, await four, await six)
                    }
                }
                var answers = [[DNSAnswer]](repeating: [], count: targets.count)
                for await (index, four, six) in group { answers[index] = [four, six] }
                return answers
            }
            return self.route(name, targets, answers, policy, timeToLive: timeToLive, isImplicit: isImplicit)
        }
    }

    /// Reads the answer to the MX question.
    static func step(_ domain: String, mx answer: DNSAnswer) -> Step {
        switch answer {
        case .failure(let text): return .done(.temporaryFailure("MX of \(domain): \(text)"))
        case .noName: return .done(.noSuchDomain("\(domain) does not exist (NXDOMAIN)"))
        case .noData(let timeToLive):
            return .lookUp([Target(name: domain, preference: 0)], timeToLive: timeToLive, isImplicit: true)
        case .records(let records, let timeToLive):
            var preferences: [String: Int] = [:]
            for case .mx(let preference, let target) in records {
                preferences[target] = min(preference, preferences[target] ?? .max)
            }
            // A root target says "no mail" only where it stands alone, RFC 7505 §3; among others it is a mistake.
            if preferences.removeValue(forKey: "") != nil, preferences.isEmpty { return .done(.refusesMail) }
            let targets = preferences.map { Target(name: $0.key, preference: $0.value) }
                .sorted { ($0.preference, $0.name) < ($1.preference, $1.name) }
            guard !targets.isEmpty else {
                return .done(.temporaryFailure("the MX records of \(domain) cannot be read"))
            }
            return .lookUp(Array(targets.prefix(self.maximumHosts)), timeToLive: timeToLive, isImplicit: false)
        }
    }

    /// Joins the hosts with their addresses; `answers` holds for each target its A and its AAAA answer.
    static func route(
        _ domain: String,
        _ targets: [Target],
        _ answers: [[DNSAnswer]],
        _ policy: AddressPolicy,
        timeToLive: Int,
        isImplicit: Bool
    ) -> MailRoute {
        var hosts: [MailHost] = []
        var shortest = timeToLive
        var failure: String?
        var isBlocked = false
        for (target, answers) in zip(targets, answers) {
            var addresses: [String] = []
            for answer in answers {
                switch answer {
                case .failure(let text): failure = failure ?? "address of \(target.name): \(text)"
                case .noData, .noName: break
                case .records(let records, let timeToLive):
                    shortest = min(shortest, timeToLive)
                    for case .address(let address) in records { addresses.append(address) }
                }
            }
            let allowed = policy == .any ? addresses : addresses.filter(NumericAddress.isPublic)
            if allowed.count < addresses.count { isBlocked = true }
            guard !allowed.isEmpty else { continue }
            hosts.append(
                MailHost(
                    name: target.name,
                    preference: target.preference,
                    addresses: Array(allowed.prefix(self.maximumAddresses))
                )
            )
        }
        guard hosts.isEmpty else {
            // The whole set names the site, so that it is the same while one of its hosts has no address.
            let site = targets.map(\.name).sorted().joined(separator: ",")
            let seconds = min(max(shortest, self.validity.lowerBound), self.validity.upperBound)
            return .hosts(hosts, site: site, validity: .seconds(seconds))
        }
        if let failure { return .temporaryFailure(failure) }
        if isBlocked { return .noSuchDomain("no MX host of \(domain) has an address on the public Internet") }
        return .noSuchDomain(
            isImplicit ? "\(domain) has neither MX nor address records" : "no MX host of \(domain) has an address"
        )
    }

    /// Lower case, without the final dot.
    static func normalised(_ name: String) -> String {
        let lower = name.lowercased()
        return lower.hasSuffix(".") ? String(lower.dropLast()) : lower
    }

    /// Whether a text can be asked for: ASCII labels of 1…63 bytes, 253 in all, RFC 1035 §2.3.4.
    static func isName(_ name: String) -> Bool {
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return name.utf8.count <= 253
            && labels.allSatisfy { (1...63).contains($0.count) && $0.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
    }
}
