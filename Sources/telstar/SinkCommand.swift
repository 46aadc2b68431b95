// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import Foundation
import Logging
import MailDNS
import SMTP
import SMTPSink
import Secrets

/// `telstar sink`: a receiving server for tests and demos.
struct SinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sink",
        abstract: "Receive mail, keep a journal of it, and misbehave as a script says.",
        discussion: "The journal's lines and the script's language are described in docs/sink.md."
    )

    @Option(help: "Addresses as 127.0.0.1:2525 or [::1]:2525, separated by commas; port 0 takes a free one.")
    var listen: String
    @Option(help: "Append a JSON line for each accepted message to this file.") var journal: String?
    @Option(help: "A script of replies and faults; without it everything is accepted.") var script: String?
    @Option(help: "Write accepted messages into this maildir.") var maildir: String?
    @Option(help: "Write at most so many messages into the maildir.") var maildirLimit: Int?
    @Option(help: "The name in the greeting.") var hostName = "sink.localhost"
    @Flag(help: "Verify DKIM signatures; the keys are looked up in the DNS or in --fake-dns.") var verifyDkim = false
    @Option(
        name: .customLong("fake-dns"),
        help: "A zone file that answers DNS queries in place of the network; see docs/fake-dns.md."
    ) var fakeDNS: String?
    @Flag(help: "Do not offer STARTTLS.") var noTls = false
    @Option(help: "Threads that serve connections.") var threads = 1

    func run() async throws {
        Lifeline.watch()
        try await StartFailure.reported {
            let output = LogOutput(format: .logfmt, level: .info)
            let logger = output.logger(label: "sink")
            let sink = SMTPSink(configuration: try self.settings(), logger: logger)
            let notifier = SupervisorNotifier(environment: ProcessInfo.processInfo.environment)
            try await Daemon.run(
                [
                    Piece {
                        do {
                            try await sink.run { addresses in
                                Output.line("sink listens on " + addresses.joined(separator: ", "))
                                notifier.ready(status: "listening")
                            }
                        } catch let error as SinkError {
                            throw StartFailure(error.code == .file ? .unwritableFile : .unavailable, "\(error)")
                        }
                    }
                ],
                logger: logger
            )
        }
    }

    private func settings() throws -> SinkConfiguration {
        var settings = SinkConfiguration(
            addresses: self.listen.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) },
            hostName: self.hostName,
            journalPath: self.journal,
            maildirPath: self.maildir
        )
        settings.maildirLimit = self.maildirLimit
        settings.threads = self.threads
        if let path = self.script {
            do {
                settings.script = try SinkScript(parsing: try NamedFile.text(path, "the sink's script"))
            } catch let error as SinkScriptError {
                throw StartFailure(.configuration, "the script \(path), \(error)")
            }
        }
        if !self.noTls {
            let made = try SelfSignedCertificate.make(
                commonName: self.hostName,
                at: Int64(Date().timeIntervalSince1970)
            )
            settings.tls = try SMTPServerTLS(
                certificatePEM: Array(made.certificatePEM.utf8),
                privateKeyPEM: Array(made.privateKeyPEM.utf8)
            )
        }
        if self.verifyDkim {
            let resolver = try Resolvers.make(zoneFile: self.fakeDNS, forwardTo: [])
            settings.keyRecord = { domain, selector in
                await resolver.textRecords("\(selector)._domainkey.\(domain)").first
            }
        }
        return settings
    }
}

/// The DNS as a daemon's settings ask for it.
enum Resolvers {
    /// A zone file if one is named, else the network.
    ///
    /// - Throws: ``StartFailure`` for a zone file that cannot be read.
    static func make(zoneFile: String?, forwardTo: [String]) throws -> any MailResolver {
        if let path = zoneFile {
            do {
                return try FakeResolver(zoneFile: try NamedFile.text(path, "the zone file"))
            } catch let error as ZoneError {
                throw StartFailure(.configuration, "the zone file \(path), \(error)")
            }
        }
        var configuration = UnboundConfiguration()
        configuration.forwardTo = forwardTo
        do {
            return try UnboundResolver(configuration)
        } catch {
            throw StartFailure(.unavailable, "the DNS resolver cannot be started: \(error)")
        }
    }
}
