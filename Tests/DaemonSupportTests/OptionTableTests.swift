// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Testing

private enum Options {
    static let host = ConfigurationOption.string("api.host", default: "127.0.0.1", doc: "Address to listen on.")
    static let port = ConfigurationOption.int(
        "api.port",
        default: 33610,
        range: 0...65535,
        doc: "Port to listen on; 0 lets the system choose."
    )
    static let key = ConfigurationOption.string("api.key", default: "", doc: "The key.", secret: true)
    static let messages = ConfigurationOption.int(
        "smtp.maxMessagesPerConnection",
        default: 100,
        range: 1...10_000,
        unit: "messages",
        doc: "Messages sent over one connection before it is closed.",
        reloadable: true
    )
    static let timeout = ConfigurationOption.duration(
        "smtp.finalDotTimeout",
        default: .seconds(600),
        range: .seconds(1) ... .seconds(3600),
        doc: "Wait for the reply after the final dot."
    )
    static let memory = ConfigurationOption.size(
        "cache.memory",
        default: 64 << 20,
        range: 0...(1 << 40),
        doc: "Memory."
    )
    static let tls = ConfigurationOption.bool("smtp.tls", default: true, doc: "Use TLS where offered.")
    static let networks = ConfigurationOption.list("api.trustedNetworks", default: ["127.0.0.0/8"], doc: "Networks.")
    static let level = ConfigurationOption.choice(
        "log.level",
        of: ["debug", "info"],
        default: "info",
        doc: "Least severe level.",
        reloadable: true
    )
    static let folder = ConfigurationOption.path("dataDirectory", default: "/var/lib/x", doc: "Where data is.")

    static let table = OptionTable(
        prefix: "telstar",
        groups: [
            OptionTable.Group("General", [folder.definition, level.definition]),
            OptionTable.Group(
                "The API",
                [host.definition, port.definition, key.definition, networks.definition]
            ),
            OptionTable.Group("Delivery", [messages.definition, timeout.definition, tls.definition]),
            OptionTable.Group("Cache", [memory.definition]),
        ]
    )
}

@Suite("Option table")
struct OptionTableTests {
    private func problems(yaml: String? = nil, environment: [String: String] = [:], flags: [String] = []) -> [String] {
        do {
            _ = try Options.table.read(yaml: yaml, environment: environment, flags: flags)
            return []
        } catch let error as SettingsError {
            return error.problems
        } catch {
            return ["\(error)"]
        }
    }

    @Test("without anything given every value is its default")
    func defaults() throws {
        let settings = try Options.table.read()
        #expect(settings[Options.port] == 33610)
        #expect(settings[Options.host] == "127.0.0.1")
        #expect(settings[Options.timeout] == .seconds(600))
        #expect(settings[Options.memory] == 64 << 20)
        #expect(settings[Options.tls])
        #expect(settings[Options.networks] == ["127.0.0.0/8"])
        #expect(settings.differences.isEmpty)
        #expect(settings.source(of: Options.port) == .default)
    }

    @Test("the file's values are read in their types")
    func readsFile() throws {
        let settings = try Options.table.read(
            yaml: """
                dataDirectory: /srv/telstar
                api:
                  host: "::1"
                  port: 0
                  trustedNetworks:
                    - 10.0.0.0/8
                    - ::1
                smtp:
                  maxMessagesPerConnection: 20
                  finalDotTimeout: 1m30s
                  tls: no
                cache: { memory: 2GiB }
                """
        )
        #expect(settings[Options.folder] == "/srv/telstar")
        #expect(settings[Options.host] == "::1")
        #expect(settings[Options.port] == 0)
        #expect(settings[Options.networks] == ["10.0.0.0/8", "::1"])
        #expect(settings[Options.messages] == 20)
        #expect(settings[Options.timeout] == .seconds(90))
        #expect(!settings[Options.tls])
        #expect(settings[Options.memory] == 2 << 30)
    }

    @Test("a flag outdoes the environment, which outdoes the file, which outdoes the default")
    func layers() throws {
        let yaml = "smtp:\n  maxMessagesPerConnection: 1\n"
        let environment = ["TELSTAR_SMTP_MAX_MESSAGES_PER_CONNECTION": "2"]
        let key = Options.messages
        #expect(try Options.table.read(yaml: yaml)[key] == 1)
        #expect(try Options.table.read(yaml: yaml, environment: environment)[key] == 2)
        let settings = try Options.table.read(
            yaml: yaml,
            environment: environment,
            flags: ["smtp.maxMessagesPerConnection=3", "smtp.maxMessagesPerConnection=4"]
        )
        #expect(settings[key] == 4)
        #expect(settings.source(of: key) == .flag)
    }

    @Test("lists come from the environment and flags separated by commas")
    func readsLists() throws {
        #expect(
            try Options.table.read(environment: ["TELSTAR_API_TRUSTED_NETWORKS": "a, b,,c "])[Options.networks]
                == ["a", "b", "c"]
        )
        #expect(try Options.table.read(flags: ["api.trustedNetworks=a,b"])[Options.networks] == ["a", "b"])
        #expect(try Options.table.read(flags: ["api.trustedNetworks="])[Options.networks] == [])
        #expect(try Options.table.read(yaml: "api: {trustedNetworks: []}")[Options.networks] == [])
    }

    @Test("every option has an environment variable that sets it")
    func namesVariables() throws {
        #expect(Options.table.environmentVariable(for: "dataDirectory") == "TELSTAR_DATA_DIRECTORY")
        let values = [
            "dataDirectory": "/x", "log.level": "debug", "api.host": "h", "api.port": "1", "api.key": "k",
            "api.trustedNetworks": "n", "smtp.maxMessagesPerConnection": "1", "smtp.finalDotTimeout": "2s",
            "smtp.tls": "false", "cache.memory": "1",
        ]
        for option in Options.table.groups.flatMap(\.options) {
            let name = Options.table.environmentVariable(for: option.key)
            let value = try #require(values[option.key])
            let settings = try Options.table.read(environment: [name: value])
            #expect(settings.differences.map(\.key) == [option.key])
            #expect(settings.differences.first?.source == .environment)
        }
    }

    @Test(
        "an unknown key is refused with its position and the nearest name",
        arguments: [
            (
                "smtp:\n  maxMessagePerConnection: 1",
                "unknown option smtp.maxMessagePerConnection (line 2); did you mean smtp.maxMessagesPerConnection?"
            ),
            ("api:\n  prot: 1", "unknown option api.prot (line 2); did you mean api.port?"),
            ("smtp:\n  port: 1", "unknown option smtp.port (line 2); did you mean api.port?"),
            ("quite: {other: 1}", "unknown option quite.other (line 1)"),
            ("quite:", "unknown option quite (line 1)"),
        ]
    )
    func refusesUnknown(yaml: String, problem: String) {
        #expect(self.problems(yaml: yaml) == [problem])
    }

    @Test("unknown flags are refused, and so is one without a value")
    func refusesFlags() {
        #expect(self.problems(flags: ["api.pott=1"]) == ["unknown option api.pott (--set); did you mean api.port?"])
        #expect(self.problems(flags: ["api.port"]) == ["--set api.port: write it as key=value"])
    }

    @Test(
        "a wrong value is refused with the key and what it must be",
        arguments: [
            ("api: {port: many}", "api.port must be a whole number, not 'many'"),
            ("api: {port: 70000}", "api.port must be 0 to 65535, not '70000'"),
            ("api: {port: 1.5}", "api.port must be a whole number, not '1.5'"),
            ("smtp: {tls: 1}", "smtp.tls must be true or false, not '1'"),
            ("smtp: {finalDotTimeout: ten}", "smtp.finalDotTimeout must be a duration (ms, s, m, h, d), not 'ten'"),
            ("smtp: {finalDotTimeout: 2h}", "smtp.finalDotTimeout must be 1s to 1h, not '2h'"),
            ("cache: {memory: 1MB}", "cache.memory must be a size (bytes, KiB, MiB, GiB), not '1MB'"),
            ("log: {level: loud}", "log.level must be one of debug, info, not 'loud'"),
            ("api: {port: [1]}", "api.port (line 1) must be a whole number, not a list"),
            ("api: {port: }", "api.port (line 1) has no value"),
        ]
    )
    func refusesValues(yaml: String, problem: String) {
        #expect(self.problems(yaml: yaml) == [problem])
    }

    @Test("a wrong value in the environment is reported by the variable's name")
    func namesVariable() {
        #expect(
            self.problems(environment: ["TELSTAR_API_PORT": "x"])
                == ["TELSTAR_API_PORT (api.port) must be a whole number, not 'x'"]
        )
    }

    @Test("all problems are reported at once")
    func tellsAll() {
        let problems = self.problems(yaml: "api: {port: x}\nsmpt: {tls: no}", environment: ["TELSTAR_LOG_LEVEL": "x"])
        #expect(problems.count == 3)
    }

    @Test(
        "what is not YAML, or no mapping, or given twice is refused with its line",
        arguments: ["a: [", "- 1", "x", "a: 1\na: 2", "? [1]\n: 2"]
    )
    func refusesYAML(yaml: String) {
        #expect(self.problems(yaml: yaml).count == 1)
    }

    @Test(
        "an empty file, and groups without content, set nothing",
        arguments: ["", "# nothing\n", "---\n", "smtp:\napi:\n"]
    )
    func emptyFile(yaml: String) throws {
        #expect(try Options.table.read(yaml: yaml).differences.isEmpty)
    }

    @Test("a required option that is not given is refused")
    func required() throws {
        let name = ConfigurationOption.string("name", default: nil, doc: "The name.")
        let table = OptionTable(prefix: "telstar", groups: [OptionTable.Group("All", [name.definition])])
        let error = #expect(throws: SettingsError.self) { try table.read() }
        #expect(error?.description == "name must be given: The name.")
        #expect(try table.read(flags: ["name=n"])[name] == "n")
    }

    @Test("values that differ are listed in order, secrets without their text")
    func listsDifferences() throws {
        let settings = try Options.table.read(
            yaml: "api: {key: hidden, port: 33610}\nsmtp: {finalDotTimeout: 90s}",
            flags: ["cache.memory=1GiB"]
        )
        #expect(
            settings.differences.map { "\($0.key)=\($0.text) \($0.source)" } == [
                "api.key=<set> file", "smtp.finalDotTimeout=1m30s file", "cache.memory=1GiB flag",
            ]
        )
        #expect(
            !self.problems(environment: ["TELSTAR_API_KEY": "hidden", "TELSTAR_API_PORT": "x"]).joined().contains(
                "hidden"
            )
        )
    }

    @Test("says which changes a reload takes over and which need a restart")
    func comparesSettings() throws {
        let old = try Options.table.read(flags: ["api.port=1"])
        let new = try Options.table.read(flags: ["api.port=2", "log.level=debug"])
        #expect(old.changes(to: new).reloadable == ["log.level"])
        #expect(old.changes(to: new).needingRestart == ["api.port"])
    }

    @Test("a variable with the prefix that is not an option is refused, with the name that is near")
    func refusesUnknownVariables() {
        #expect(
            self.problems(environment: ["TELSTAR_API_PROT": "1", "TELSTAR_SIZE_OF_NOTHING": "x", "PATH": "/bin"]) == [
                "environment variable TELSTAR_API_PROT is not an option; did you mean TELSTAR_API_PORT?",
                "environment variable TELSTAR_SIZE_OF_NOTHING is not an option",
            ]
        )
    }

    @Test("a reserved variable, and what Kubernetes sets for a service, are skipped")
    func skipsReservedVariables() throws {
        let links = [
            "TELSTAR_SERVICE_HOST": "10.0.0.1", "TELSTAR_API_SERVICE_PORT": "443",
            "TELSTAR_API_SERVICE_PORT_HTTPS": "443",
            "TELSTAR_WEB_PORT": "tcp://10.0.0.1:443", "TELSTAR_WEB_PORT_443_TCP": "tcp://10.0.0.1:443",
            "TELSTAR_WEB_PORT_443_TCP_ADDR": "10.0.0.1", "TELSTAR_WEB_PORT_53_UDP_PROTO": "udp", "TELSTAR_DIR": "/srv",
        ]
        #expect(try Options.table.read(environment: links, reserved: ["TELSTAR_DIR"]).differences.isEmpty)
        #expect(self.problems(environment: links).count == 1)
        #expect(self.problems(environment: ["TELSTAR_WEB_PORT": "443"]).count == 1)
    }

    @Test("a key that was renamed is refused with its new name")
    func refusesFormerNames() {
        let table = OptionTable(prefix: "telstar", groups: Options.table.groups, renamed: ["smtp.use_tls": "smtp.tls"])
        #expect {
            _ = try table.read(yaml: "smtp:\n  use_tls: true\n", flags: ["smtp.use_tls=true"])
        } throws: {
            ($0 as? SettingsError)?.problems == [
                "the option smtp.use_tls (--set) is called smtp.tls now; rename it",
                "the option smtp.use_tls (line 2) is called smtp.tls now; rename it",
            ]
        }
    }

    @Test("the sample names every option and reads back as nothing set")
    func writesSample() throws {
        let sample = Options.table.sample
        #expect(try Options.table.read(yaml: sample).differences.isEmpty)
        for option in Options.table.groups.flatMap(\.options) {
            #expect(sample.contains(Options.table.environmentVariable(for: option.key)))
        }
        #expect(
            sample.contains(
                """
                # ---- Delivery
                smtp:
                  # Messages sent over one connection before it is closed.
                  # Type: whole number. Range: 1 to 10000. Unit: messages. Reload takes it over. TELSTAR_SMTP_MAX_MESSAGES_PER_CONNECTION
                  #maxMessagesPerConnection: 100
                """
            )
        )
    }

    @Test("the sample with its comment marks taken off reads back as the defaults")
    func sampleValuesFit() throws {
        let lines = Options.table.sample.split(separator: "\n", omittingEmptySubsequences: false)
        let yaml = lines.map { line in
            guard let mark = line.firstIndex(of: "#"), line.index(after: mark) < line.endIndex else {
                return String(line)
            }
            let next = line[line.index(after: mark)]
            return next.isLetter ? String(line[..<mark]) + String(line[line.index(after: mark)...]) : String(line)
        }.joined(separator: "\n")
        let settings = try Options.table.read(yaml: yaml)
        #expect(settings.differences.isEmpty)
        #expect(settings.source(of: Options.timeout) == .file)
        #expect(settings.source(of: Options.networks) == .file)
    }
}

@Suite("Start failure")
struct StartFailureTests {
    @Test("is one line, with the code that supervisors know")
    func oneLine() {
        #expect(StartFailure(.unavailable, "a\nb\r\nc").description == "a b c")
        #expect(ExitCode.configuration.rawValue == 78)
        #expect(ExitCode.unavailable.rawValue == 69)
        #expect(ExitCode.usage.rawValue == 64)
        let error = #expect(throws: SettingsError.self) { try Options.table.read(flags: ["x", "y"]) }
        #expect(error.map { StartFailure($0).exitCode } == .configuration)
        #expect(StartFailure(CancellationError()).exitCode == .unavailable)
    }
}
