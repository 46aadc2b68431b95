// SPDX-License-Identifier: Apache-2.0

/// Asks the DNS by libunbound, which caches, retries and, if configured, validates.
///
/// Questions go to a thread of the resolver's own; the caller's task is suspended meanwhile. Ends when it is released.
public final class UnboundResolver: MailResolver {
    private let policy: AddressPolicy
    private let lookups: LookupQueue

    /// Sets libunbound up and starts the thread; nothing is asked yet.
    ///
    /// - Throws: ``ResolverError`` if a file or address of the configuration cannot be read.
    public init(_ configuration: UnboundConfiguration) throws {
        self.policy = configuration.addressPolicy
        self.lookups = try LookupQueue(
            bound: configuration.waitingLookups + configuration.parallelLookups,
            timeout: configuration.timeout
        )
        try LookupThread.start(self.lookups, configuration)
    }

    deinit { self.lookups.stop() }

    /// The hosts that take mail for a domain, RFC 5321 §5.1 and RFC 7505.
    public func route(for asciiDomain: String) async -> MailRoute {
        let lookups = self.lookups
        return await MailRouting.route(for: asciiDomain, policy: self.policy) { name, type in
            await lookups.answer(name, type)
        }
    }

    /// The TXT records of a name.
    public func textRecords(_ name: String) async -> [String] {
        let name = MailRouting.normalised(name)
        guard MailRouting.isName(name), case .records(let records, _) = await self.lookups.answer(name, .txt) else {
            return []
        }
        return records.compactMap { if case .text(let text) = $0 { text } else { nil } }
    }
}
