// SPDX-License-Identifier: Apache-2.0

/// One option of a daemon: everything that is known of it, in one place.
///
/// The key is a dotted path such as `smtp.maxMessagesPerConnection`. From it follow the position in the YAML file, the
/// environment variable (`TELSTAR_SMTP_MAX_MESSAGES_PER_CONNECTION`) and the flag
/// (`--set smtp.maxMessagesPerConnection=50`).
public struct ConfigurationOption<Value: Sendable>: Sendable {
    /// The option as a row of an ``OptionTable``.
    public let definition: OptionDefinition

    /// The dotted path.
    public var key: String { self.definition.key }
}

/// An option without its Swift type, as a row of an ``OptionTable``.
public struct OptionDefinition: Sendable {
    /// The dotted path.
    public let key: String
    /// What it means, in one or more sentences.
    public let doc: String
    /// What a number counts, such as `messages`; empty if it says so itself.
    public let unit: String
    /// Whether a reload takes a new value over; else it needs a restart.
    public let isReloadable: Bool
    /// Whether the value must never be shown.
    public let isSecret: Bool

    let kind: OptionKind
    /// The value used when nothing is given, or `nil` if one must be given.
    let defaultValue: (any Sendable)?

    /// The type as text.
    public var typeDescription: String { self.kind.name }
    /// The range as text, or `nil` if there is none.
    public var rangeDescription: String? { self.kind.range }
    /// The default as it would be written, or `nil` if a value must be given.
    public var defaultText: String? { self.defaultValue.map { self.kind.text(of: $0) } }
}

extension ConfigurationOption where Value == String {
    /// An option that is text.
    ///
    /// A `default` of `nil` makes the option a required one.
    public static func string(
        _ key: String,
        default: String?,
        doc: String,
        reloadable: Bool = false,
        secret: Bool = false
    ) -> Self {
        Self(.string, key, `default`, doc: doc, reloadable: reloadable, secret: secret)
    }

    /// An option that names a file or folder.
    ///
    /// A `default` of `nil` makes the option a required one.
    public static func path(_ key: String, default: String?, doc: String, reloadable: Bool = false) -> Self {
        Self(.path, key, `default`, doc: doc, reloadable: reloadable)
    }

    /// An option that is one of a few words.
    public static func choice(
        _ key: String,
        of words: [String],
        default: String,
        doc: String,
        reloadable: Bool = false
    ) -> Self {
        Self(.choice(words), key, `default`, doc: doc, reloadable: reloadable)
    }
}

extension ConfigurationOption where Value == Bool {
    /// An option that is true or false.
    public static func bool(_ key: String, default: Bool, doc: String, reloadable: Bool = false) -> Self {
        Self(.bool, key, `default`, doc: doc, reloadable: reloadable)
    }
}

extension ConfigurationOption where Value == Int {
    /// An option that is a whole number.
    ///
    /// `unit` is what it counts, in the plural.
    public static func int(
        _ key: String,
        default: Int,
        range: ClosedRange<Int>,
        unit: String = "",
        doc: String,
        reloadable: Bool = false
    ) -> Self {
        Self(.int(range), key, `default`, unit: unit, doc: doc, reloadable: reloadable)
    }

    /// An option that is a size in bytes, written with a binary unit.
    public static func size(
        _ key: String,
        default: Int,
        range: ClosedRange<Int> = 0...(.max),
        doc: String,
        reloadable: Bool = false
    ) -> Self {
        Self(.size(range), key, `default`, doc: doc, reloadable: reloadable)
    }
}

extension ConfigurationOption where Value == Duration {
    /// An option that is a length of time, in whole milliseconds.
    public static func duration(
        _ key: String,
        default: Duration,
        range: ClosedRange<Duration> = .zero ... .seconds(100 * 365 * 86_400),
        doc: String,
        reloadable: Bool = false
    ) -> Self {
        Self(.duration(range), key, `default`, doc: doc, reloadable: reloadable)
    }
}

extension ConfigurationOption where Value == [String] {
    /// An option that is a list of texts: a YAML list, or items separated by commas.
    public static func list(_ key: String, default: [String] = [], doc: String, reloadable: Bool = false) -> Self {
        Self(.list, key, `default`, doc: doc, reloadable: reloadable)
    }
}

extension ConfigurationOption {
    private init(
        _ kind: OptionKind,
        _ key: String,
        _ defaultValue: Value?,
        unit: String = "",
        doc: String,
        reloadable: Bool,
        secret: Bool = false
    ) {
        self.definition = OptionDefinition(
            key: key,
            doc: doc,
            unit: unit,
            isReloadable: reloadable,
            isSecret: secret,
            kind: kind,
            defaultValue: defaultValue
        )
    }
}
