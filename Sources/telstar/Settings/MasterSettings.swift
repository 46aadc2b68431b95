// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import Listening
import MailFormat
import MailingModel
import MasterCore

/// The master's options and what they configure.
struct MasterSettings: Sendable {
    private static let dataDirectory = ConfigurationOption.path(
        "dataDirectory",
        default: "/var/lib/telstar",
        doc: "Holds the store, the keys and the control socket; readable for the master's user only."
    )
    private static let storeURL = ConfigurationOption.string(
        "store.url",
        default: "",
        doc:
            "`sqlite:PATH`, or `postgresql://USER:PASSWORD@HOST/DATABASE`; empty is store.sqlite in the data directory.",
        secret: true
    )
    private static let storeSilence = ConfigurationOption.duration(
        "store.masterSilence",
        default: .seconds(6),
        range: .seconds(1) ... .seconds(600),
        doc: "PostgreSQL only: how long a master may be silent before a standby takes over."
    )
    private static let storeUnsafe = ConfigurationOption.bool(
        "store.acceptUnsafeServer",
        default: false,
        doc: "PostgreSQL only: takes a server with fsync off, which loses mail at a power cut; for benchmarks."
    )
    private static let storeReconcile = ConfigurationOption.duration(
        "store.reconcileEvery",
        default: .seconds(86_400),
        doc: "How often the counters are compared with a recount, mailing by mailing; 0s never does."
    )
    private static let keepMailings = ConfigurationOption.duration(
        "retention.finishedMailings",
        default: .zero,
        doc: "How long after its end a mailing is deleted with its recipients and events; 0s keeps it for ever."
    )
    private static let keepEvents = ConfigurationOption.duration(
        "retention.events",
        default: .zero,
        doc: "The age above which events of the feed are purged, of running mailings too; 0s keeps them for ever."
    )
    private static let apiListen = ConfigurationOption.string(
        "api.listen",
        default: "0.0.0.0:33610",
        doc: "HOST:PORT of the API over HTTPS; empty switches it off."
    )
    private static let apiPlainListen = ConfigurationOption.string(
        "api.plainListen",
        default: "",
        doc: "HOST:PORT of the API without TLS; empty, the default, switches it off."
    )
    private static let apiCertificate = ConfigurationOption.path(
        "api.certificateFile",
        default: "",
        doc: "Certificate chain, PEM; empty makes a self-signed one in the data directory at the first start."
    )
    private static let apiCertificateKey = ConfigurationOption.path(
        "api.certificateKeyFile",
        default: "",
        doc: "The certificate's private key, PEM."
    )
    private static let apiMaximumBody = ConfigurationOption.size(
        "api.maximumBody",
        default: 16 * 1024 * 1024,
        range: 65_536...(1 << 30),
        doc: "The greatest body of a request."
    )
    private static let apiAccessLog = ConfigurationOption.bool(
        "api.accessLog",
        default: false,
        doc: "Logs every request over the network: its id, path without query, status, key, address and time."
    )
    private static let statusListen = ConfigurationOption.string(
        "status.listen",
        default: "127.0.0.1:33680",
        doc: "HOST:PORT of /healthz, /readyz, /status and /metrics."
    )
    private static let linkListen = ConfigurationOption.string(
        "link.listen",
        default: "tcp://0.0.0.0:33620",
        doc: "Where satellites connect."
    )
    private static let linkContentListen = ConfigurationOption.string(
        "link.contentListen",
        default: "tcp://0.0.0.0:33621",
        doc: "Where satellites fetch content."
    )
    private static let linkEnrolListen = ConfigurationOption.string(
        "link.enrolListen",
        default: "tcp://0.0.0.0:33622",
        doc: "Where satellites enrol; empty switches it off."
    )
    private static let linkHeartbeat = ConfigurationOption.duration(
        "link.heartbeat",
        default: .seconds(2),
        range: .milliseconds(100) ... .seconds(60),
        doc: "The time between heartbeats; a peer that misses three in a row is considered lost."
    )
    private static let leaseSize = ConfigurationOption.int(
        "lease.size",
        default: 1000,
        range: 1...10_000,
        unit: "recipients",
        doc: "Recipients in one lease at most."
    )
    private static let leaseLifetime = ConfigurationOption.duration(
        "lease.lifetime",
        default: .seconds(120),
        range: .seconds(1) ... .seconds(86_400),
        doc: "How long a satellite may be silent before its never-started recipients are leased again."
    )
    private static let leaseQuarantine = ConfigurationOption.duration(
        "lease.quarantine",
        default: .seconds(86_400),
        doc: "How long a satellite may be silent before its started recipients become uncertain."
    )
    private static let finishGrace = ConfigurationOption.duration(
        "finishGrace",
        default: .seconds(30),
        doc: "How long after its start and its last accepted recipients a complete mailing is closed."
    )
    private static let retryGiveUpAfter = ConfigurationOption.duration(
        "retry.giveUpAfter",
        default: .seconds(5 * 86_400),
        doc: "How long after its first attempt a deferred recipient is given up, with the last reply."
    )
    private static let retryFirst = ConfigurationOption.duration(
        "retry.first",
        default: .seconds(600),
        doc: "The wait before the second and the third attempt."
    )
    private static let retrySecond = ConfigurationOption.duration(
        "retry.second",
        default: .seconds(3600),
        doc: "The wait before the attempts after those, up to the tenth."
    )
    private static let retryThird = ConfigurationOption.duration(
        "retry.third",
        default: .seconds(6 * 3600),
        doc: "The wait before every later attempt."
    )
    private static let autoescape = ConfigurationOption.bool(
        "cloudmailing.autoescape",
        default: true,
        doc:
            "Escape merge fields in HTML parts, which CloudMailing never did. An API key and a mailing can override it."
    )
    private static let returnPathDomain = ConfigurationOption.string(
        "returnPath.domain",
        default: "",
        doc: "The domain of VERP reverse paths; empty makes the header From's address the reverse path."
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

    /// Every option, in the order of the sample.
    static let table = OptionTable(
        prefix: "telstar",
        groups: [
            .init(
                "Where the master keeps what it owns.",
                [
                    Self.dataDirectory.definition, Self.storeURL.definition, Self.storeSilence.definition,
                    Self.storeUnsafe.definition, Self.storeReconcile.definition,
                ]
            ),
            .init("What is kept, and for how long.", [Self.keepMailings.definition, Self.keepEvents.definition]),
            .init(
                "The API.",
                [
                    Self.apiListen.definition, Self.apiPlainListen.definition, Self.apiCertificate.definition,
                    Self.apiCertificateKey.definition, Self.apiMaximumBody.definition,
                    Self.apiAccessLog.definition,
                ]
            ),
            .init("Monitoring.", [Self.statusListen.definition, Self.logLevel.definition, Self.logFormat.definition]),
            ListenerOptions.group,
            .init(
                "The cluster link.",
                [
                    Self.linkListen.definition, Self.linkContentListen.definition, Self.linkEnrolListen.definition,
                    Self.linkHeartbeat.definition,
                ]
            ),
            .init(
                "Leases.",
                [Self.leaseSize.definition, Self.leaseLifetime.definition, Self.leaseQuarantine.definition]
            ),
            .init(
                "Mailings.",
                [
                    Self.finishGrace.definition, Self.retryFirst.definition, Self.retrySecond.definition,
                    Self.retryThird.definition, Self.retryGiveUpAfter.definition, Self.autoescape.definition,
                    Self.returnPathDomain.definition,
                ]
            ),
        ],
        renamed: ["finish_grace": Self.finishGrace.key]
    )

    /// The values as read.
    let values: Settings

    /// Reads the file, the environment and the flags.
    ///
    /// - Throws: ``StartFailure`` for an unreadable file, `SettingsError` for what is wrong in it.
    static func load(file: String?, overrides: [(key: String, value: String)]) throws -> MasterSettings {
        MasterSettings(
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

    /// Which database holds the store.
    ///
    /// - Throws: ``StartFailure`` for a URL of another kind.
    func storeLocation() throws -> StoreLocation {
        try StoreLocation(url: self.values[Self.storeURL], default: self.directory + "/store.sqlite")
    }

    /// How long a master may be silent before a standby takes over.
    var masterSilence: Duration { self.values[Self.storeSilence] }
    /// Whether a database server that may lose commits will do.
    var acceptsUnsafeServer: Bool { self.values[Self.storeUnsafe] }
    /// The operator's socket.
    var controlSocket: String { self.directory + "/control.sock" }

    /// The API's HTTPS listener.
    func apiListen() throws -> ListenAddress? {
        try ListenAddress(optional: self.values[Self.apiListen], key: "api.listen")
    }
    /// The API's plain listener.
    func apiPlainListen() throws -> ListenAddress? {
        try ListenAddress(optional: self.values[Self.apiPlainListen], key: "api.plainListen")
    }
    /// The health listener.
    func statusListen() throws -> ListenAddress? {
        try ListenAddress(optional: self.values[Self.statusListen], key: "status.listen")
    }
    /// Whether every request over the network is logged.
    var logsRequests: Bool { self.values[Self.apiAccessLog] }
    /// What bounds the connections of the HTTP listeners.
    var connectionLimits: ConnectionLimits { ListenerOptions.limits(self.values) }
    /// The certificate files, if they are given.
    var certificateFiles: (chain: String, key: String)? {
        let chain = self.values[Self.apiCertificate]
        return chain.isEmpty ? nil : (chain, self.values[Self.apiCertificateKey])
    }
    /// The greatest body of a request, bytes.
    var maximumBodyBytes: Int { self.values[Self.apiMaximumBody] }
    /// Where the link listens.
    var link: (control: String, content: String, enrolment: String?) {
        let enrol = self.values[Self.linkEnrolListen]
        return (self.values[Self.linkListen], self.values[Self.linkContentListen], enrol.isEmpty ? nil : enrol)
    }
    /// The link's heartbeat.
    var heartbeat: Duration { self.values[Self.linkHeartbeat] }
    /// The log's level and format.
    var log: (level: String, format: String) { (self.values[Self.logLevel], self.values[Self.logFormat]) }

    /// When a deferred recipient is tried again.
    var retry: RetrySchedule {
        RetrySchedule(
            steps: [
                .init(below: 3, delay: self.values[Self.retryFirst]),
                .init(below: 10, delay: self.values[Self.retrySecond]),
            ],
            finalDelay: self.values[Self.retryThird],
            giveUpAfter: self.values[Self.retryGiveUpAfter]
        )
    }

    /// The domain of VERP reverse paths in A-labels; empty if there is none.
    ///
    /// - Throws: ``StartFailure`` for what is no domain that mail comes back to.
    func returnPathDomain() throws -> String {
        let text = self.values[Self.returnPathDomain]
        guard !text.isEmpty else { return "" }
        let key = "returnPath.domain"
        guard !text.hasPrefix("[") else {
            throw StartFailure(.configuration, "\(key) has to be a domain, not the address literal '\(text)'")
        }
        do {
            return try DomainName.ascii(text)
        } catch {
            throw StartFailure(.configuration, "\(key) has to be a domain, not '\(text)': \(error.description)")
        }
    }

    /// What steers the core.
    ///
    /// - Throws: ``StartFailure``.
    func core() throws -> MasterConfiguration {
        var core = MasterConfiguration()
        core.leasing.maximumRecipients = self.values[Self.leaseSize]
        core.leasing.lifetime = self.values[Self.leaseLifetime]
        core.leasing.quarantine = self.values[Self.leaseQuarantine]
        func unlessZero(_ duration: Duration) -> Duration? { duration == .zero ? nil : duration }
        core.upkeep.keepMailings = unlessZero(self.values[Self.keepMailings])
        core.upkeep.keepEvents = unlessZero(self.values[Self.keepEvents])
        core.upkeep.recountEvery = unlessZero(self.values[Self.storeReconcile])
        core.finishGrace = self.values[Self.finishGrace]
        core.autoescape = self.values[Self.autoescape]
        core.returnPathDomain = try self.returnPathDomain()
        core.version = Telstar.version
        return core
    }
}
