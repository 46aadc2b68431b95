// SPDX-License-Identifier: Apache-2.0

public import SatelliteJournal

/// What a satellite may do and how much of it; every bound has its name here.
public struct SatelliteConfiguration: Sendable {
    /// The satellite's name, for its handshake and for logs.
    public var serial: String
    /// The program's version, for its handshake.
    public var softwareVersion = "0"
    /// The name given with EHLO; empty gives the address literal of each connection's local address.
    public var heloName: String
    /// The directory of journal and cached content.
    public var dataDirectory: String
    /// Bounds of the journal.
    public var journal = Journal.Configuration()

    /// Bulk recipients held at most, waiting and started together.
    ///
    /// Default 5,000.
    public var bulkCredit = 5_000
    /// Express recipients held at most.
    ///
    /// Default 500.
    public var expressCredit = 500
    /// How far ahead starts are requested at the present rate.
    ///
    /// Default 15 s.
    public var startAhead: Duration = .seconds(15)
    /// Recipients of a site for which starts are requested ahead whatever its rate, at least.
    ///
    /// Default 32.
    public var startBlock = 32
    /// Recipients requested ahead or started and not yet with a connection, at most.
    ///
    /// Default 2,000.
    public var maximumStarted = 2_000
    /// How long a recipient that was never started is kept before it is returned.
    ///
    /// Default 10 minutes.
    public var waitingLimit: Duration = .seconds(600)
    /// How long a started recipient waits for a connection before it is deferred.
    ///
    /// Default 5 minutes.
    public var startedLimit: Duration = .seconds(300)

    /// Connections of all sites, at most.
    ///
    /// Default 500.
    public var maximumConnections = 500
    /// Connections of one site, at most.
    ///
    /// Default 20.
    public var connectionsPerSite = 20
    /// Connections beyond the former two that only express recipients open, per site and eightfold in all.
    ///
    /// Default 2.
    public var expressConnections = 2
    /// Recipients for each of which a further connection is opened.
    ///
    /// Default 20.
    public var recipientsPerConnection = 20
    /// Recipients that a connection takes at a time, at most.
    ///
    /// Default 16.
    public var connectionBlock = 16
    /// Messages after which a connection is ended.
    ///
    /// Default 100.
    public var messagesPerConnection = 100
    /// How long a connection waits for more work.
    ///
    /// Default 5 s.
    public var connectionIdle: Duration = .seconds(5)
    /// How long a connection may be made.
    ///
    /// Default 30 s.
    public var connectTimeout: Duration = .seconds(30)
    /// How long the reply to the final dot is awaited.
    ///
    /// Default 600 s, RFC 5321 §4.5.3.2.6.
    public var finalDotTimeout: Duration = .seconds(600)
    /// How long one transaction may take in all.
    ///
    /// Default 20 minutes.
    public var transactionDeadline: Duration = .seconds(1_200)
    /// Whether STARTTLS is used where it is offered.
    public var usesTLS = true
    /// The port of mail servers.
    ///
    /// Default 25.
    public var smtpPort = 25
    /// The local address to connect from, numeric; `nil` leaves it to the system.
    public var localAddress: String?
    /// Where test mailings go instead of the MX: host, numeric address, port.
    public var testTarget: TestTarget?
    /// How often a recipient may come back from connections that never began with it.
    ///
    /// Default 5.
    public var maximumRequeues = 5
    /// The first pause after all hosts of a site have failed; doubles up to ``siteBackoffCeiling``.
    ///
    /// Default 60 s.
    public var siteBackoff: Duration = .seconds(60)
    /// The longest pause of a site.
    ///
    /// Default 15 minutes.
    public var siteBackoffCeiling: Duration = .seconds(900)
    /// How long a site may fail before its recipients are deferred as they come; until then they wait, and only who
    /// was tried has had an attempt.
    ///
    /// Default 5 minutes.
    public var siteOutage: Duration = .seconds(300)
    /// Replies in a row that are about the sender, our configuration or the channel, after which a site is paused.
    ///
    /// Default 5.
    public var throttlingRepliesBeforePause = 5
    /// The first pause in opening connections after the process had nothing left to open them with; doubles.
    ///
    /// Default 1 s.
    public var shortagePause: Duration = .seconds(1)
    /// The longest such pause.
    ///
    /// Default 30 s.
    public var shortagePauseCeiling: Duration = .seconds(30)
    /// How long an address that refused a connection is tried last.
    ///
    /// Default 5 minutes.
    public var addressBackoff: Duration = .seconds(300)
    /// How long a host with which TLS failed, and which takes plaintext, is spoken to in plaintext.
    ///
    /// Default 1 hour; it ends before if plaintext is refused or TLS works.
    public var brokenTLSMemory: Duration = .seconds(3_600)

    /// Look-ups under way, at most.
    ///
    /// Default 64.
    public var maximumLookups = 64
    /// Domains whose routes are remembered, at most.
    ///
    /// Default 50,000.
    public var maximumRoutes = 50_000
    /// How long a failed look-up is remembered.
    ///
    /// Default 60 s.
    public var failedLookupMemory: Duration = .seconds(60)
    /// The first wait before a look-up that failed for now is repeated once, and again while it is the resolver that fails.
    ///
    /// Default 2 s; doubles up to 30 s.
    public var lookupRetry: Duration = .seconds(2)
    /// Domains in a row whose look-up failed for now, without any that succeeded, after which the resolver is held unable.
    ///
    /// Default 10.
    public var failuresOfResolver = 10

    /// Whether `user@[192.0.2.1]` is delivered; else it fails, because a list's owner must not choose addresses to speak to.
    ///
    /// Default no.
    public var acceptsAddressLiterals = false

    /// Bytes of content and attachments kept on disk, at most.
    ///
    /// Default 2 GiB.
    public var contentCacheBytes = 2 << 30
    /// Compiled content revisions kept, at least; those of leases held stay.
    ///
    /// Default 64.
    public var maximumRevisions = 64
    /// How long a signing key is awaited before it is asked for again.
    ///
    /// Default 10 s.
    public var signingKeyTimeout: Duration = .seconds(10)

    /// How long outcomes wait for company.
    ///
    /// Default 25 ms.
    public var reportWindow: Duration = .milliseconds(25)
    /// Outcomes in one batch, at most.
    ///
    /// Default 500.
    public var reportBatch = 500
    /// Batches sent and not acknowledged, at most.
    ///
    /// Default 8.
    public var reportsInFlight = 8
    /// How long no acknowledgement may come before what is in flight is sent again.
    ///
    /// Default 15 s.
    public var reportRepetition: Duration = .seconds(15)

    /// How long started recipients may still be sent after a shutdown was asked for.
    ///
    /// Default 10 s.
    public var shutdownDrain: Duration = .seconds(10)
    /// How long messages past DATA are awaited at a shutdown.
    ///
    /// Default 610 s.
    public var shutdownLimit: Duration = .seconds(610)
    /// How long unacknowledged reports hold up a shutdown.
    ///
    /// Default 10 s.
    public var shutdownReports: Duration = .seconds(10)
    /// The time between looks at deadlines and rates.
    ///
    /// Default 250 ms.
    public var tick: Duration = .milliseconds(250)

    /// Where test mailings go.
    public struct TestTarget: Sendable, Hashable {
        /// The numeric address.
        public var address: String
        /// The port.
        public var port: Int

        /// Composes a target.
        public init(address: String, port: Int) {
            self.address = address
            self.port = port
        }
    }

    /// A configuration with default bounds.
    public init(serial: String, heloName: String, dataDirectory: String) {
        self.serial = serial
        self.heloName = heloName
        self.dataDirectory = dataDirectory
    }
}
