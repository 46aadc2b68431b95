// SPDX-License-Identifier: Apache-2.0

import Configuration

/// All options of a daemon, in the order in which the sample shows them.
///
/// A value is looked for in the flags, then the environment, then the file, and is the default at last.
public struct OptionTable: Sendable {
    /// Options under one heading of the sample.
    public struct Group: Sendable {
        /// The heading's text, one sentence.
        public let doc: String
        /// The options.
        public let options: [OptionDefinition]

        /// Composes a group.
        public init(_ doc: String, _ options: [OptionDefinition]) {
            self.doc = doc
            self.options = options
        }
    }

    /// The groups in order.
    public let groups: [Group]
    /// What environment variables begin with, in lower case and without the underscore.
    public let prefix: String
    /// Keys of earlier versions and the keys that took their place.
    public let renamed: [String: String]

    private let definitions: [String: OptionDefinition]

    /// Composes a table; every key must be there once, and each default must fit its option.
    public init(prefix: String, groups: [Group], renamed: [String: String] = [:]) {
        self.prefix = prefix
        self.groups = groups
        self.renamed = renamed
        var definitions: [String: OptionDefinition] = [:]
        for option in groups.flatMap(\.options) {
            precondition(definitions[option.key] == nil, "option \(option.key) is defined twice")
            if let text = option.defaultText {
                precondition((try? option.kind.value(of: text)) != nil, "the default of \(option.key) is not allowed")
            }
            definitions[option.key] = option
        }
        self.definitions = definitions
    }

    /// The environment variable for a key, such as `TELSTAR_SMTP_MAX_MESSAGES_PER_CONNECTION`.
    public func environmentVariable(for key: String) -> String {
        var name = self.prefix.uppercased() + "_"
        var previous: Character?
        for character in key {
            if let previous, previous.isLowercase, character.isUppercase { name.append("_") }
            name.append(character.isLetter || character.isNumber ? Character(character.uppercased()) : "_")
            previous = character
        }
        return name
    }

    /// Reads the settings.
    ///
    /// - Parameters:
    ///   - yaml: The file's text, or `nil` if there is none.
    ///   - environment: The process's environment. Variables without the prefix are skipped, and so are those that
    ///     Kubernetes sets for a service whose name begins with it; any other that is no option is a problem.
    ///   - reserved: Variables with the prefix that are no options of this table and may be set all the same.
    ///   - flags: `key=value` for each `--set`; of two for one key the last counts.
    /// - Returns: A value for each option of the table.
    /// - Throws: ``SettingsError`` with every problem found: unknown keys, values that do not fit, required ones missing.
    public func read(
        yaml: String? = nil,
        environment: [String: String] = [:],
        reserved: Set<String> = [],
        flags: [String] = []
    ) throws -> Settings {
        var problems = self.unknownVariables(environment, reserved: reserved)
        let flagValues = self.flagValues(flags, &problems)
        let fileValues = yaml.map { self.fileValues($0, &problems) } ?? [:]
        let layers: [(source: SettingSource, provider: any ConfigProvider)] = [
            (.flag, InMemoryProvider(name: "flags", values: flagValues)),
            (
                .environment,
                EnvironmentVariablesProvider(environmentVariables: environment)
                    .prefixKeys(with: ConfigKey([self.prefix]))
            ),
            (.file, InMemoryProvider(name: "file", values: fileValues)),
        ]
        var values: [String: SettingValue] = [:]
        for option in self.groups.flatMap(\.options) {
            if let value = self.lookUp(option, in: layers, &problems) {
                values[option.key] = value
            }
        }
        guard problems.isEmpty else { throw SettingsError(problems: problems) }
        return Settings(values: values, order: self.groups.flatMap(\.options))
    }

    /// The option's key that is nearest to a mistyped one, or `nil` if none is near.
    public func nearestKey(to key: String) -> String? { NearestName.find(key, among: self.definitions.keys) }

    /// Whether there is an option of that key.
    public func contains(_ key: String) -> Bool { self.definitions[key] != nil }

    /// The environment variables of all options.
    public var environmentVariables: Set<String> {
        Set(self.definitions.keys.map { self.environmentVariable(for: $0) })
    }

    // MARK: Layers

    private func flagValues(_ flags: [String], _ problems: inout [String]) -> [AbsoluteConfigKey: ConfigValue] {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for flag in flags {
            guard let mark = flag.firstIndex(of: "=") else {
                problems.append("--set \(flag): write it as key=value")
                continue
            }
            let key = flag[..<mark].trimmingSpace()
            guard let option = self.definitions[key] else {
                problems.append(self.unknown(key, in: "--set"))
                continue
            }
            let text = String(flag[flag.index(after: mark)...])
            values[Self.configKey(key)] = Self.value(option, .scalar(text))
        }
        return values
    }

    private func fileValues(_ yaml: String, _ problems: inout [String]) -> [AbsoluteConfigKey: ConfigValue] {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        let groups = Set(self.definitions.keys.flatMap(Self.prefixes))
        switch YAMLText.flatten(yaml) {
        case .failure(let problem):
            problems.append(problem.description)
        case .success(let entries):
            for entry in entries {
                guard let option = self.definitions[entry.key] else {
                    if entry.content != .empty || !groups.contains(entry.key) {
                        problems.append(self.unknown(entry.key, in: "line \(entry.line)"))
                    }
                    continue
                }
                switch (entry.content, option.kind) {
                case (.empty, _):
                    problems.append("\(entry.key) (line \(entry.line)) has no value")
                case (.list, .list), (.scalar, _):
                    values[Self.configKey(entry.key)] = Self.value(option, entry.content)
                case (.list, _):
                    problems.append("\(entry.key) (line \(entry.line)) must be a \(option.kind.name), not a list")
                }
            }
        }
        return values
    }

    private static func value(_ option: OptionDefinition, _ content: YAMLText.Content) -> ConfigValue {
        switch (option.kind, content) {
        case (.list, .scalar(let text)): ConfigValue(.stringArray(ListText.parse(text)), isSecret: option.isSecret)
        case (_, .list(let items)): ConfigValue(.stringArray(items), isSecret: option.isSecret)
        case (_, .scalar(let text)): ConfigValue(.string(text), isSecret: option.isSecret)
        case (_, .empty): ConfigValue(.string(""), isSecret: option.isSecret)
        }
    }

    private static func configKey(_ key: String) -> AbsoluteConfigKey {
        AbsoluteConfigKey(key.split(separator: ".").map(String.init))
    }

    /// `a` and `a.b` for `a.b.c`.
    private static func prefixes(_ key: String) -> [String] {
        let parts = key.split(separator: ".")
        return (1..<max(parts.count, 1)).map { parts[..<$0].joined(separator: ".") }
    }

    // MARK: Look-up

    private func lookUp(
        _ option: OptionDefinition,
        in layers: [(source: SettingSource, provider: any ConfigProvider)],
        _ problems: inout [String]
    ) -> SettingValue? {
        let isList = if case .list = option.kind { true } else { false }
        for layer in layers {
            let key = Self.configKey(option.key)
            // These providers hold every value in the type asked for, so they have no other failure than absence.
            let found = try? layer.provider.value(forKey: key, type: isList ? .stringArray : .string).value?.content
            switch found {
            case .stringArray(let items):
                return SettingValue(
                    value: items.map { $0.trimmingSpace() }.filter { !$0.isEmpty },
                    source: layer.source
                )
            case .string(let text):
                do throws(OptionMismatch) {
                    return SettingValue(value: try option.kind.value(of: text.trimmingSpace()), source: layer.source)
                } catch {
                    let shown = option.isSecret ? "" : ", not '\(text)'"
                    problems.append("\(self.name(option.key, layer.source)) \(error.expected)\(shown)")
                    return nil
                }
            default:
                continue
            }
        }
        guard let value = option.defaultValue else {
            problems.append("\(option.key) must be given: \(option.doc)")
            return nil
        }
        return SettingValue(value: value, source: .default)
    }

    private func name(_ key: String, _ source: SettingSource) -> String {
        source == .environment ? "\(self.environmentVariable(for: key)) (\(key))" : key
    }

    private func unknown(_ key: String, in source: String) -> String {
        if let new = self.renamed[key] { return "the option \(key) (\(source)) is called \(new) now; rename it" }
        let near = NearestName.find(key, among: self.definitions.keys).map { "; did you mean \($0)?" } ?? ""
        return "unknown option \(key) (\(source))\(near)"
    }

    /// A problem for each variable that has the prefix and is neither an option nor reserved.
    private func unknownVariables(_ environment: [String: String], reserved: Set<String>) -> [String] {
        let known = self.environmentVariables
        let start = self.prefix.uppercased() + "_"
        return environment.keys.sorted().compactMap { name in
            guard name.hasPrefix(start), !known.contains(name), !reserved.contains(name),
                !Self.isServiceLink(name.dropFirst(start.count - 1), environment[name] ?? "")
            else { return nil }
            let near = NearestName.find(name, among: known.union(reserved)).map { "; did you mean \($0)?" } ?? ""
            return "environment variable \(name) is not an option\(near)"
        }
    }

    /// Whether Kubernetes sets such a variable in each container for a service of the same namespace.
    ///
    /// - Source: Kubernetes documentation, "Service", section "Environment variables".
    private static func isServiceLink(_ suffix: Substring, _ value: String) -> Bool {
        if suffix.hasSuffix("_SERVICE_HOST") || suffix.hasSuffix("_SERVICE_PORT") || suffix.contains("_SERVICE_PORT_") {
            return true
        }
        if suffix.hasSuffix("_PORT"), value.contains("://") { return true }
        return suffix.contains(#/_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/#)
    }
}
