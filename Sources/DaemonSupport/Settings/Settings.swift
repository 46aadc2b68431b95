// SPDX-License-Identifier: Apache-2.0

/// Where a setting's value comes from, the weakest first.
public enum SettingSource: String, Hashable, Sendable {
    /// Nothing was given.
    case `default`
    /// The YAML file.
    case file
    /// An environment variable.
    case environment
    /// A `--set` flag.
    case flag
}

struct SettingValue: Sendable {
    let value: any Sendable
    let source: SettingSource
}

/// The values of all options of a table; immutable, a reload makes a new one.
public struct Settings: Sendable {
    /// A value that is not the default.
    public struct Difference: Hashable, Sendable {
        /// The option's key.
        public let key: String
        /// The value as it would be written; `<set>` for a secret.
        public let text: String
        /// Where it comes from.
        public let source: SettingSource
    }

    private let values: [String: SettingValue]
    private let order: [OptionDefinition]

    init(values: [String: SettingValue], order: [OptionDefinition]) {
        self.values = values
        self.order = order
    }

    /// An option's value; the option must be one of the table that these settings were read with.
    public subscript<Value>(option: ConfigurationOption<Value>) -> Value {
        guard let value = self.values[option.key]?.value as? Value else {
            preconditionFailure("option \(option.key) is not in the table that these settings were read with")
        }
        return value
    }

    /// Where an option's value comes from.
    public func source<Value>(of option: ConfigurationOption<Value>) -> SettingSource {
        self.values[option.key]?.source ?? .default
    }

    /// The values that differ from their defaults, in the table's order.
    public var differences: [Difference] {
        self.order.compactMap { option in
            guard let value = self.values[option.key], let text = self.text(option), text != option.defaultText else {
                return nil
            }
            return Difference(key: option.key, text: option.isSecret ? "<set>" : text, source: value.source)
        }
    }

    /// The keys whose values differ in other settings read with the same table.
    ///
    /// - Returns: Those that a reload takes over and those that need a restart, each in the table's order.
    public func changes(to other: Settings) -> (reloadable: [String], needingRestart: [String]) {
        let changed = self.order.filter { self.text($0) != other.text($0) }
        return (changed.filter(\.isReloadable).map(\.key), changed.filter { !$0.isReloadable }.map(\.key))
    }

    private func text(_ option: OptionDefinition) -> String? {
        self.values[option.key].map { option.kind.text(of: $0.value) }
    }
}

/// What is wrong with a configuration.
public struct SettingsError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Each problem in one line that names the key; at least one.
    public let problems: [String]

    /// All problems in one line.
    public var description: String { self.problems.joined(separator: "; ") }
}
