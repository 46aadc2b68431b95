// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import DaemonSupport
import Foundation
import OperatorAPI
import Synchronization
import ZeroMQ

/// A whole local cluster as child processes: configured, paired, started, restarted, described and ended together.
actor ClusterSupervisor {
    /// What a cluster is made of.
    struct Plan: Sendable {
        var directory: ClusterDirectory
        var satellites = 1
        var store: String?
        var apiKey: String?
        var apiPort = 0
        var smtpPort: Int?
        var testTarget: String?
        var fakeDNS: String?
        /// `key=value` for whichever role knows the key.
        var settings: [(key: String, value: String)] = []
    }

    private let plan: Plan
    private let master: ChildProcess
    private let satellites: [ChildProcess]
    private let description: ClusterFile
    private let say: @Sendable (String) -> Void
    private var readyChildren: Set<String> = []
    private var isDescribed = false
    private let ready: AsyncStream<ClusterFile>
    private let tellReady: AsyncStream<ClusterFile>.Continuation

    /// Writes the configuration files, pairs the satellites and makes the API key; nothing runs yet.
    ///
    /// - Parameters:
    ///   - plan: What the cluster is made of.
    ///   - say: Prints a line of progress.
    /// - Throws: ``StartFailure`` if another cluster uses the directory or a setting is unknown.
    init(_ plan: Plan, say: @escaping @Sendable (String) -> Void) async throws {
        self.plan = plan
        self.say = say
        let directory = plan.directory
        let ports = try Ports(plan: plan)
        let masterOverrides = try plan.settings.filter { try SettingsRouting.roles(of: $0.key).contains(.master) }
        let satelliteOverrides = try plan.settings.filter { try SettingsRouting.roles(of: $0.key).contains(.satellite) }
        let store = plan.store ?? "sqlite:\(directory.master)/store.sqlite"

        let masterKeys = try LinkKeyFile.loadOrMake(in: directory.master)
        var satelliteKeys: [String] = []
        for number in 1...max(plan.satellites, 1) where number <= plan.satellites {
            satelliteKeys.append(try LinkKeyFile.loadOrMake(in: directory.satellite(number)).publicKeyText)
        }
        try Self.write(
            Self.masterSettings(plan, ports: ports, store: store),
            to: directory.configuration(of: "master")
        )
        for number in 0..<plan.satellites {
            try Self.write(
                Self.satelliteSettings(plan, number: number + 1, ports: ports, masterKey: masterKeys.publicKeyText),
                to: directory.configuration(of: "satellite-\(number + 1)")
            )
        }
        let key = try await Self.pair(
            plan,
            overrides: masterOverrides,
            satelliteKeys: satelliteKeys
        )

        self.master = ChildProcess(
            name: "master",
            arguments: ["master", "--config", directory.configuration(of: "master")] + Self.flags(masterOverrides),
            log: directory.log(of: "master")
        )
        let satelliteFlags = Self.flags(satelliteOverrides)
        self.satellites = (0..<plan.satellites).map { number in
            let name = "satellite-\(number + 1)"
            return ChildProcess(
                name: name,
                arguments: ["satellite", "--config", directory.configuration(of: name)] + satelliteFlags,
                log: directory.log(of: name)
            )
        }
        let children = ["master"] + (0..<plan.satellites).map { "satellite-\($0 + 1)" }
        self.description = ClusterFile(
            apiURL: "https://127.0.0.1:\(ports.api)",
            apiPlainURL: "http://127.0.0.1:\(ports.plain)",
            statusURL: "http://127.0.0.1:\(ports.status)/status",
            satelliteStatusURLs: ports.satelliteStatus.map { "http://127.0.0.1:\($0)/status" },
            apiKey: key,
            protocolVersion: Int(LinkProtocol.supportedVersions.upperBound),
            store: store,
            pids: [:],
            configs: Dictionary(uniqueKeysWithValues: children.map { ($0, directory.configuration(of: $0)) }),
            logs: Dictionary(uniqueKeysWithValues: children.map { ($0, directory.log(of: $0)) }),
            dir: directory.path
        )
        (self.ready, self.tellReady) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Runs the children until cancellation, then ends them: satellites first, so that they can report.
    func run() async throws {
        let satellites = self.satellites
        let master = self.master
        try await withThrowingTaskGroup(of: Void.self) { group in
            for child in [master] + satellites {
                group.addTask {
                    // Cancellation must not reach the child before its turn to stop has come.
                    try await child.run { event in await self.note(event, of: child.name) }
                }
            }
            do {
                for try await _ in group {}
            } catch {
                // One that will never serve: the others are of no use without it, and nobody need wait for all of them.
                self.tellReady.finish()
                await self.stop(patience: .seconds(10))
                throw error
            }
        }
    }

    /// Ends the children in order and returns when they have been asked.
    ///
    /// - Parameter patience: How long satellites may take to finish what they are sending.
    func stop(patience: Duration) async {
        self.satellites.forEach { $0.stop() }
        let deadline = ContinuousClock.now.advanced(by: patience)
        while self.satellites.contains(where: { $0.pid != nil }), ContinuousClock.now < deadline {
            // A cancelled sleep only makes the next look come sooner; the deadline bounds the loop.
            try? await Task.sleep(for: .milliseconds(20))
        }
        self.satellites.forEach { $0.kill() }
        self.master.stop()
        while self.master.pid != nil, ContinuousClock.now < deadline.advanced(by: .seconds(20)) {
            try? await Task.sleep(for: .milliseconds(20))
        }
        self.master.kill()
    }

    /// Ends everything at once.
    func killAll() {
        self.satellites.forEach { $0.kill() }
        self.master.kill()
    }

    /// The description, once every child serves; `nil` if ``run()`` has failed before.
    func whenReady() async -> ClusterFile? {
        for await file in self.ready { return file }
        return nil
    }

    /// The process numbers by child name, of those that run.
    var pids: [String: Int32] {
        var pids: [String: Int32] = [:]
        for child in [self.master] + self.satellites { pids[child.name] = child.pid }
        return pids
    }

    private func note(_ event: ChildProcess.Event, of child: String) {
        switch event {
        case .ready(let pid):
            self.readyChildren.insert(child)
            self.say("\(child) serves (process \(pid))")
            self.describeIfReady()
        case .died(let status, let wait):
            self.readyChildren.remove(child)
            self.say(
                "\(child) died (status \(status)); it starts again in \(wait), its log is \(self.plan.directory.log(of: child))"
            )
        }
    }

    private func describeIfReady() {
        guard self.readyChildren.count == 1 + self.satellites.count else { return }
        var file = self.description
        file.pids = [
            "master": [self.master.pid].compactMap(\.self),
            "satellite": self.satellites.compactMap(\.pid),
            "cluster": [getpid()],
        ]
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try AtomicFile.write(self.plan.directory.file, contents: Array(try encoder.encode(file)) + [0x0A])
        } catch {
            self.say("cluster.json cannot be written: \(error); the cluster runs on")
        }
        guard !self.isDescribed else { return }
        self.isDescribed = true
        self.tellReady.yield(file)
        self.tellReady.finish()
    }
}

extension ClusterSupervisor {
    /// The ports of one cluster, fixed at its start so that a restarted child is found where it was.
    private struct Ports {
        var api, plain, status, link, content, enrol: Int
        var satelliteStatus: [Int]

        init(plan: Plan) throws {
            let ports = try FreePort.pick(6 + plan.satellites)
            self.api = plan.apiPort == 0 ? ports[0] : plan.apiPort
            self.plain = ports[1]
            self.status = ports[2]
            self.link = ports[3]
            self.content = ports[4]
            self.enrol = ports[5]
            self.satelliteStatus = Array(ports[6...])
        }
    }

    private static func flags(_ overrides: [(key: String, value: String)]) -> [String] {
        overrides.flatMap { ["--set", "\($0.key)=\($0.value)"] }
    }

    private static func masterSettings(_ plan: Plan, ports: Ports, store: String) -> String {
        """
        # Written by `telstar cluster` at each start; change it with --set.
        dataDirectory: \(yaml(plan.directory.master))
        store:
          url: \(yaml(store))
        api:
          listen: "127.0.0.1:\(ports.api)"
          plainListen: "127.0.0.1:\(ports.plain)"
        status:
          listen: "127.0.0.1:\(ports.status)"
        link:
          listen: "tcp://127.0.0.1:\(ports.link)"
          contentListen: "tcp://127.0.0.1:\(ports.content)"
          enrolListen: "tcp://127.0.0.1:\(ports.enrol)"

        """
    }

    private static func satelliteSettings(_ plan: Plan, number: Int, ports: Ports, masterKey: String) -> String {
        var text = """
            # Written by `telstar cluster` at each start; change it with --set.
            dataDirectory: \(yaml(plan.directory.satellite(number)))
            serial: "satellite-\(number)"
            master:
              endpoints: ["tcp://127.0.0.1:\(ports.link)"]
              contentEndpoints: ["tcp://127.0.0.1:\(ports.content)"]
              publicKey: \(yaml(masterKey))
            status:
              listen: "127.0.0.1:\(ports.satelliteStatus[number - 1])"

            """
        if let port = plan.smtpPort { text += "smtp:\n  port: \(port)\n" }
        if let target = plan.testTarget { text += "testTarget: \(yaml(target))\n" }
        if let zone = plan.fakeDNS {
            text += "dns:\n  fakeZone: \(yaml(URL(fileURLWithPath: zone).standardizedFileURL.path))\n"
        }
        return text
    }

    /// A double-quoted YAML scalar.
    private static func yaml(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    private static func write(_ text: String, to path: String) throws {
        try AtomicFile.write(path, contents: Array(text.utf8))
    }

    /// Allows the satellites and makes sure that the API key exists, in the store itself: no master runs yet.
    private static func pair(
        _ plan: Plan,
        overrides: [(key: String, value: String)],
        satelliteKeys: [String]
    ) async throws -> String {
        let settings = try MasterSettings.load(
            file: plan.directory.configuration(of: "master"),
            overrides: overrides
        )
        let kept = try? String(contentsOfFile: plan.directory.key, encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return try await OfflineStore.with(settings) { store in
            let present = Dictionary(
                try await store.satellites().map { ($0.serial, $0) },
                uniquingKeysWith: { first, _ in first }
            )
            for (index, key) in satelliteKeys.enumerated() {
                let serial = "satellite-\(index + 1)"
                guard present[serial]?.publicKeys.contains(key) != true else { continue }
                if present[serial] != nil { try await store.removeSatellite(serial, force: true) }
                _ = try await store.addSatellite(
                    .init(serial: serial, publicKey: key, sharedKey: nil, group: nil, weight: 1)
                )
            }
            let secret = try await store.ensureKey(secret: plan.apiKey ?? kept, name: "cluster")
            try AtomicFile.write(plan.directory.key, contents: Array((secret + "\n").utf8))
            return secret
        }
    }
}
