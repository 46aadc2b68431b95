// SPDX-License-Identifier: Apache-2.0

/// Answers which hosts take mail for a domain.
///
/// Two sides: ``UnboundResolver`` asks the DNS, ``FakeResolver`` a zone text. Both feed their answers through the same
/// rules, `MailRouting`.
public protocol MailResolver: Sendable {
    /// The hosts that take mail for a domain, RFC 5321 §5.1.
    ///
    /// - Parameter asciiDomain: A-labels, any case, a final dot is ignored; no address literal.
    /// - Returns: Never throws: a lookup that fails is a ``MailRoute`` too. Ends within the resolver's deadline.
    func route(for asciiDomain: String) async -> MailRoute

    /// The TXT records of a name, each with its character-strings joined; empty if there are none or the lookup failed.
    func textRecords(_ name: String) async -> [String]
}

/// Where mail for a domain goes.
public enum MailRoute: Sendable, Hashable {
    /// The hosts to try, sorted by preference; those of equal preference are for the caller to shuffle.
    ///
    /// 1 or more hosts, each with 1 or more addresses. `site` is the canonical name of the set of hosts: equal for
    /// domains that are served by the same ones, whatever the order. `validity` is how long the answer may be kept.
    case hosts([MailHost], site: String, validity: Duration)
    /// The domain takes no mail, RFC 7505: a permanent failure.
    case refusesMail
    /// The domain does not exist, or has neither MX nor address: a permanent failure; the text says which.
    case noSuchDomain(String)
    /// The DNS did not answer, or answered with an error that may pass; the text says which.
    case temporaryFailure(String)
}

/// One host that takes mail for a domain.
public struct MailHost: Sendable, Hashable {
    /// Lower-case name without the final dot.
    public var name: String
    /// The MX preference, lower first; 0 if the domain has no MX and stands for itself.
    public var preference: Int
    /// Numeric addresses in the order received, IPv6 after IPv4; 1 or more.
    public var addresses: [String]

    /// Composes a host.
    public init(name: String, preference: Int, addresses: [String]) {
        self.name = name
        self.preference = preference
        self.addresses = addresses
    }
}
