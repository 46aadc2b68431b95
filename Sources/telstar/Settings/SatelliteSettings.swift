// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import Listening
import SMTP
import SatelliteCore

/// The satellite's options and what they configure.
struct SatelliteSettings: Sendable {
    private static let dataDirectory = ConfigurationOption.path(
        "dataDirectory",
        default: "/var/lib/telstar-satellite",
        doc: "Holds the journal, cached content and the link's key; readable for the satellite's user only."
    )
    private static let serial = ConfigurationOption.string(
        "serial",
        default: nil,
        doc: "The satellite's name, as the master knows it."
    )
    private static let endpoints = ConfigurationOption.list(
        "master.endpoints",
        default: ["tcp://127.0.0.1:33620"],
        doc: "The masters: the active one and its standbys."
    )
    private static let contentEndpoints = ConfigurationOption.list(
        "master.contentEndpoints",
        default: ["tcp://127.0.0.1:33621"],
        doc: "Where each master serves content, in the same order."
    )
    private static let masterKey = ConfigurationOption.string(
        "master.publicKey",
        default: "",
        doc: "The master's public key, as `telstar master --show-key` prints it; empty if the satellite enrols."
    )
    private static let enrolEndpoint = ConfigurationOption.string(
        "enrol.endpoint",
        default: "",
        doc: "Where the master takes enrolments, such as tcp://master:33622."
    )
    private static let enrolKeyFile = ConfigurationOption.path(
        "enrol.sharedKeyFile",
        default: "",
        doc: "File of the secret shared with the master; empty means that the master has this satellite's public key."
    )
    private static let statusListen = ConfigurationOption.string(
        "status.listen",
        default: "127.0.0.1:33690",
        doc: "HOST:PORT of /healthz, /readyz, /status and /metrics."
    )
    private static let logLevel = ConfigurationOption.choice(
        "log.level",
        of: ["trace", "debug", "info", "notice", "warning", "error", "critical"],
        default: "info",
        doc: "The least severe level that is logged."
    )
    private static let logFormat = ConfigurationOption.choice(
        "log.format",
        of: ["logfmt", "json"],
        default: "logfmt",
        doc: "The format of log lines, which go to standard error."
    )
    private static let heloName = ConfigurationOption.string(
        "smtp.heloName",
        default: "",
        doc: "The name given with EHLO, with its domain; empty is the host's full name, or its address if it has none."
    )
    private static let port = ConfigurationOption.int(
        "smtp.port",
        default: 25,
        range: 1...65_535,
        doc: "The port of mail servers."
    )
    private static let localAddress = ConfigurationOption.string(
        "smtp.localAddress",
        default: "",
        doc: "The address to connect from; empty leaves it to the system."
    )
    private static let tls = ConfigurationOption.bool(
        "smtp.tls",
        default: true,
        doc: "Use STARTTLS where it is offered."
    )
    private static let maximumConnections = ConfigurationOption.int(
        "smtp.maxConnections",
        default: 500,
        range: 1...20_000,
        unit: "connections",
        doc:
            "Open at the same time, to all sites together, at most; half of the limit of open files (ulimit -n) is never exceeded."
    )
    private static let connectionsPerSite = ConfigurationOption.int(
        "smtp.maxConnectionsPerSite",
        default: 20,
        range: 1...10_000,
        unit: "connections",
        doc: "Open at the same time to the hosts of one site, at most."
    )
    private static let messagesPerConnection = ConfigurationOption.int(
        "smtp.maxMessagesPerConnection",
        default: 100,
        range: 1...100_000,
        unit: "messages",
        doc: "Sent over one connection before it is closed."
    )
    private static let connectTimeout = ConfigurationOption.duration(
        "smtp.connectTimeout",
        default: .seconds(30),
        doc: "How long connecting to a host may take."
    )
    private static let finalDotTimeout = ConfigurationOption.duration(
        "smtp.finalDotTimeout",
        default: .seconds(600),
        doc: "How long the reply to the final dot is awaited; RFC 5321 asks for 600 s."
    )
    private static let transactionDeadline = ConfigurationOption.duration(
        "smtp.transactionDeadline",
        default: .seconds(1200),
        doc: "How long one message may take in all."
    )
    private static let siteBackoff = ConfigurationOption.duration(
        "smtp.siteBackoff",
        default: .seconds(60),
        doc: "The first pause of a site whose hosts all failed or that refuses everybody; doubles up to 15 minutes."
    )
    private static let siteOutage = ConfigurationOption.duration(
        "smtp.siteOutage",
        default: .seconds(300),
        doc: "How long a site may fail before its recipients are deferred untried; until then they wait."
    )
    private static let testTarget = ConfigurationOption.string(
        "testTarget",
        default: "",
        doc: "ADDRESS:PORT where mailings with `testing` go instead of the MX."
    )
    private static let fakeZone = ConfigurationOption.path(
        "dns.fakeZone",
        default: "",
        doc: "A zone file that answers DNS queries in place of the network; see docs/fake-dns.md."
    )
    private static let forwardTo = ConfigurationOption.list(
        "dns.forwardTo",
        doc: "Resolvers to ask, as ADDRESS or ADDRESS@PORT; empty asks the root servers."
    )
    private static let bulkCredit = ConfigurationOption.int(
        "credit.bulk",
        default: 5000,
        range: 1...1_000_000,
        unit: "recipients",
        doc: "Of bulk mailings, held at most, waiting and started together."
    )
    private static let expressCredit = ConfigurationOption.int(
        "credit.express",
        default: 500,
        range: 1...100_000,
        unit: "recipients",
        doc: "Of test sends, held at most."
    )
    private static let maximumStarted = ConfigurationOption.int(
        "credit.started",
        default: 2000,
        range: 1...100_000,
        unit: "recipients",
        doc: "Started and not yet with a connection, at most."
    )
    private static let contentCache = ConfigurationOption.size(
        "content.cache",
        default: 2 << 30,
        range: (1 << 20)...(1 << 40),
        doc: "Disk space for cached content and attachments."
    )

    /// Every option, in the order of the sample.
    static let table = OptionTable(
        prefix: "telstar",
        groups: [
            .init(
                "Who the satellite is and where it keeps what it holds.",
                [Self.serial.definition, Self.dataDirectory.definition]
            ),
            .init(
                "The master.",
                [
                    Self.endpoints.definition, Self.contentEndpoints.definition, Self.masterKey.definition,
                    Self.enrolEndpoint.definition, Self.enrolKeyFile.definition,
                ]
            ),
            .init("Monitoring.", [Self.statusListen.definition, Self.logLevel.definition, Self.logFormat.definition]),
            ListenerOptions.group,
            .init(
                "Delivery.",
                [
                    Self.heloName.definition, Self.port.definition, Self.localAddress.definition, Self.tls.definition,
                    Self.maximumConnections.definition, Self.connectionsPerSite.definition,
                    Self.messagesPerConnection.definition, Self.connectTimeout.definition,
                    Self.finalDotTimeout.definition,
                    Self.transactionDeadline.definition, Self.siteBackoff.definition, Self.siteOutage.definition,
                    Self.testTarget.definition,
                ]
            ),
            .init("The DNS.", [Self.fakeZone.definition, Self.forwardTo.definition]),
            .init(
                "How much is held.",
                [
                    Self.bulkCredit.definition, Self.expressCredit.definition, Self.maximumStarted.definition,
                    Self.contentCache.definition,
                ]
            ),
        ]
    )

    /// The values as read.
    let values: Settings

    /// Reads the file, the environment and the flags.
    ///
    /// - Throws: ``StartFailure`` for an unreadable file, `SettingsError` for what is wrong in it.
    static func load(file: String?, overrides: [(key: String, value: String)]) throws -> SatelliteSettings {
        SatelliteSettings(
            values: try self.table.read(
                yaml: try file.map(ConfigurationFile.read),
                environment: ProcessInfo.processInfo.environment,
                reserved: ReservedVariables.all,
                flags: overrides.map { "\($0.key)=\($0.value)" }
            )
        )
    }

    /// The data directory, absolute.
    var directory: String { URL(fileURLWithPath: self.values[Self.dataDirectory]).standardizedFileURL.path }
    /// The satellite's name.
    var name: String { self.values[Self.serial] }
    /// The masters' control and content addresses, in pairs.
    ///
    /// - Throws: ``StartFailure`` if the lists differ in length.
    func masters() throws -> [(control: String, content: String)] {
        let control = self.values[Self.endpoints]
        let content = self.values[Self.contentEndpoints]
        guard !control.isEmpty, control.count == content.count else {
            throw StartFailure(
                .configuration,
                "master.endpoints and master.contentEndpoints need as many addresses, one or more"
            )
        }
        return Array(zip(control, content))
    }
    /// The master's public key, Z85.
    var masterPublicKey: String { self.values[Self.masterKey] }
    /// Where and with which secret to enrol, if the satellite shall.
    var enrolment: (endpoint: String, keyFile: String)? {
        let file = self.values[Self.enrolKeyFile]
        return file.isEmpty ? nil : (self.values[Self.enrolEndpoint], file)
    }
    /// The health listener.
    func statusListen() throws -> ListenAddress? {
        try ListenAddress(optional: self.values[Self.statusListen], key: "status.listen")
    }
    /// What bounds the connections of the status listener.
    var connectionLimits: ConnectionLimits { ListenerOptions.limits(self.values) }
    /// SMTP connections at most, as configured; more than half of the limit of open files are never made.
    var wantedConnections: Int { self.values[Self.maximumConnections] }
    /// The log's level and format.
    var log: (level: String, format: String) { (self.values[Self.logLevel], self.values[Self.logFormat]) }
    /// The zone file, if the network is not to be asked.
    var zoneFile: String? {
        let path = self.values[Self.fakeZone]
        return path.isEmpty ? nil : path
    }
    /// The resolvers to ask.
    var resolvers: [String] { self.values[Self.forwardTo] }

    /// The name for EHLO, RFC 5321 §4.1.4; empty if the host has no full name.
    ///
    /// - Throws: ``StartFailure`` for a configured one that receivers refuse.
    private func heloName() throws -> String {
        let name = self.values[Self.heloName]
        guard !name.isEmpty else { return HostName.full() ?? "" }
        if let objection = SMTPHostName.objection(to: name) {
            throw StartFailure(
                .configuration,
                "smtp.heloName: \(objection); give the satellite's full host name, such as mail1.example.org "
                    + "(RFC 5321, 4.1.4)"
            )
        }
        return name
    }

    /// What steers the core.
    ///
    /// - Throws: ``StartFailure`` for a bad test target or EHLO name.
    func core() throws -> SatelliteConfiguration {
        var core = SatelliteConfiguration(
            serial: self.name,
            heloName: try self.heloName(),
            dataDirectory: self.directory
        )
        core.softwareVersion = Telstar.version
        core.smtpPort = self.values[Self.port]
        let local = self.values[Self.localAddress]
        core.localAddress = local.isEmpty ? nil : local
        core.usesTLS = self.values[Self.tls]
        core.maximumConnections = Descriptors.share(self.wantedConnections, part: 2)
        // Each look-up has a socket of its own; together they stay within what is kept back for the process itself.
        core.maximumLookups = Descriptors.share(core.maximumLookups, part: 16)
        core.connectionsPerSite = self.values[Self.connectionsPerSite]
        core.messagesPerConnection = self.values[Self.messagesPerConnection]
        core.connectTimeout = self.values[Self.connectTimeout]
        core.finalDotTimeout = self.values[Self.finalDotTimeout]
        core.transactionDeadline = self.values[Self.transactionDeadline]
        core.siteBackoff = self.values[Self.siteBackoff]
        core.siteOutage = self.values[Self.siteOutage]
        core.testTarget = try ListenAddress(optional: self.values[Self.testTarget], key: "testTarget").map {
            SatelliteConfiguration.TestTarget(address: $0.host == "localhost" ? "127.0.0.1" : $0.host, port: $0.port)
        }
        core.bulkCredit = self.values[Self.bulkCredit]
        core.expressCredit = self.values[Self.expressCredit]
        core.maximumStarted = self.values[Self.maximumStarted]
        core.contentCacheBytes = self.values[Self.contentCache]
        return core
    }
}
