// SPDX-License-Identifier: Apache-2.0

/// Whom to ask, and the bounds.
public struct UnboundConfiguration: Sendable, Hashable {
    /// Servers that answer for the whole DNS, as `192.0.2.1` or `192.0.2.1@5353`, tried in turn.
    public var forwardTo: [String] = []
    /// A file in the form of `/etc/resolv.conf` that names such servers; used if ``forwardTo`` is empty.
    ///
    /// If it is `nil` too, the root servers are asked and the way down is walked from there.
    public var resolvConf: String?
    /// A file with the root servers' addresses, instead of those built in.
    public var rootHints: String?
    /// A file with DNSSEC trust anchors; forged answers then are failures.
    ///
    /// `nil` does not validate.
    public var trustAnchors: String?
    /// How long one question may take, waiting included.
    public var timeout: Duration = .seconds(15)
    /// Questions under way, at most.
    public var parallelLookups = 256
    /// Questions waiting for their turn, at most; further ones fail at once, temporarily.
    public var waitingLookups = 16_384
    /// Bytes of the message cache, and again of the record cache, in libunbound.
    public var cacheBytes = 32 * 1_048_576
    /// Which addresses may be connected to.
    public var addressPolicy: AddressPolicy = .publicOnly

    /// The defaults: recursion from the root, public addresses only.
    public init() {}
}

/// Why a resolver could not be set up.
public struct ResolverError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was being done and why it failed.
    public let description: String

    init(_ description: String) { self.description = description }
}
