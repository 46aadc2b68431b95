// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DKIM
import DaemonSupport
import Foundation

/// The demo's cluster and sink, and the play on them.
struct DemoStage: Sendable {
    let directory: ClusterDirectory
    let recipients: Int
    let signing: DemoCommand.Signing
    private let plan: ClusterSupervisor.Plan
    private let sink: ChildProcess?
    private let key: (pem: String, record: String)?

    private static let signingDomain = "news.telstar.example"
    private static let selector = "demo"

    /// Lays everything out in the directory; nothing runs yet.
    init(
        directory: ClusterDirectory,
        satellites: Int,
        recipients: Int,
        foreignSink: String?,
        signing: DemoCommand.Signing,
        verify: Bool,
        settings: [(key: String, value: String)]
    ) throws {
        self.directory = directory
        self.recipients = recipients
        self.signing = signing
        // The sink's journal and the counters of an earlier run would be taken for this one's.
        let present = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        guard present.isEmpty else {
            throw StartFailure(
                .usage,
                "the directory \(directory.path) was used before: it holds \(present.sorted()[0]); give one that is empty or absent"
            )
        }
        try directory.create(satellites: satellites)
        let key: DKIMPrivateKey? =
            switch signing {
            case .rsa: try DKIMPrivateKey.makeRSA2048()
            case .ed25519: DKIMPrivateKey.makeEd25519()
            case .none: nil
            }
        self.key = key.map { ($0.pem, $0.publicRecord) }
        let target = try foreignSink.map { try ListenAddress($0, key: "--sink") }
        let port = try target?.port ?? FreePort.pick(1)[0]
        let zone = directory.path + "/zone"
        let hosts = target.map { [$0.host] } ?? Self.sinkAddresses
        try AtomicFile.write(zone, contents: Array(Self.zone(hosts: hosts, record: key?.publicRecord).utf8))
        if target == nil {
            let script = directory.path + "/sink.script"
            try AtomicFile.write(script, contents: Array(Self.script.utf8))
            var arguments = [
                "sink", "--listen", Self.sinkAddresses.map { "\($0):\(port)" }.joined(separator: ","), "--journal",
                directory.path + "/sink.jsonl", "--script", script, "--maildir", directory.path + "/received",
                "--maildir-limit", "1",
            ]
            if verify { arguments += ["--verify-dkim", "--fake-dns", zone] }
            self.sink = ChildProcess(name: "sink", arguments: arguments, log: directory.log(of: "sink"))
        } else {
            self.sink = nil
        }
        self.plan = ClusterSupervisor.Plan(
            directory: directory,
            satellites: satellites,
            smtpPort: port,
            fakeDNS: zone,
            settings: settings
        )
    }

    /// The sink's addresses: the hosts of different providers, so that there are several sites.
    private static let sinkAddresses = (2...5).map { "127.0.0.\($0)" }

    private static func zone(hosts: [String], record: String?) -> String {
        var lines = ["# Every domain's mail goes to one of a few hosts, as it does out there."]
        for (index, domain) in DemoAudience.domains.enumerated() {
            lines.append("\(domain.name) MX 10 mx\(index % hosts.count).sink.test")
        }
        for (index, host) in hosts.enumerated() { lines.append("mx\(index).sink.test A \(host)") }
        lines.append("* MX 10 mx0.sink.test")
        if let record { lines.append("\(Self.selector)._domainkey.\(Self.signingDomain) TXT \"\(record)\"") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let script = """
        # What some of the demo's recipients meet.
        at rcpt to defer.*: reply 451 4.3.2 Please come back later
        at rcpt to refuse.*: reply 550 5.1.1 No such person here

        """

    /// Runs the sink and the cluster, plays, and ends them; or keeps them until a signal.
    ///
    /// - Returns: Whether everything agreed.
    func perform(keep: Bool) async throws -> Bool {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let sink = self.sink {
                let (ready, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
                group.addTask {
                    defer { signal.finish() }
                    try await sink.run { event in
                        if case .ready = event { signal.yield() }
                        if case .died(let status, _) = event { Output.problem("sink died (status \(status))") }
                    }
                }
                var serves = false
                for await _ in ready {
                    serves = true
                    break
                }
                guard serves else { throw try await Self.reason(in: &group, else: "the sink has ended") }
            }
            let supervisor = try await ClusterSupervisor(self.plan) { line in
                if line.contains("died") { Output.problem(line) }
            }
            group.addTask { try await supervisor.run() }
            guard let cluster = await supervisor.whenReady() else {
                throw try await Self.reason(in: &group, else: "the cluster has ended")
            }
            let passed = try await DemoPlay(
                stage: self,
                cluster: cluster,
                supervisor: supervisor,
                sinkPID: self.sink?.pid
            )
            .perform()
            if keep {
                // At once, also where standard output is a pipe: whoever waits for the cluster reads this line.
                Output.line(
                    "\nThe cluster stays up until Ctrl-C.\n  API: \(cluster.apiURL)/CloudMailing  user admin, password \(cluster.apiKey)"
                )
                Output.line("  status: \(cluster.statusURL)\n  described in \(self.directory.file)")
                await SignalWait.forTermination()
            }
            await supervisor.stop(patience: .seconds(20))
            self.sink?.stop()
            try await group.waitForAll()
            return passed
        }
    }

    /// Why something that was to serve does not: the first failure of a task, which is thrown.
    private static func reason(
        in group: inout ThrowingTaskGroup<Void, any Error>,
        else reason: String
    ) async throws -> StartFailure {
        _ = try await group.next()
        return StartFailure(.unavailable, reason)
    }

    /// The signature of the demo's mailing as the control API's members.
    var signature: [[String: String]] {
        guard let key = self.key else { return [] }
        return [["domain": Self.signingDomain, "selector": Self.selector, "private_key": key.pem]]
    }
}

extension DemoStage {
    /// The sink's journal, unless the sink is a foreign one.
    var journal: String? { self.sink == nil ? nil : self.directory.path + "/sink.jsonl" }
    /// The message that the sink kept.
    var firstMessage: String? {
        let folder = self.directory.path + "/received/new"
        // Without a sink of ours there is no folder, and nothing to show.
        return (try? FileManager.default.contentsOfDirectory(atPath: folder))?.first.map { folder + "/" + $0 }
    }
}
