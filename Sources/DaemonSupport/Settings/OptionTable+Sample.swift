// SPDX-License-Identifier: Apache-2.0

extension OptionTable {
    /// A YAML file that names every option with its meaning, type, range and default, all commented out.
    ///
    /// The sample reads back as no setting at all.
    public var sample: String {
        var writer = SampleWriter()
        for group in self.groups {
            writer.heading(group.doc)
            for option in group.options {
                writer.option(option, variable: self.environmentVariable(for: option.key))
            }
        }
        return writer.text
    }
}

private struct SampleWriter {
    private(set) var text = ""
    private var open: [Substring] = []

    mutating func heading(_ doc: String) {
        self.text += (self.text.isEmpty ? "" : "\n") + "# ---- \(doc)\n"
    }

    mutating func option(_ option: OptionDefinition, variable: String) {
        let parts = option.key.split(separator: ".")
        let groups = Array(parts.dropLast())
        let common = zip(self.open, groups).prefix { $0 == $1 }.count
        for level in common..<groups.count {
            self.text += Self.indent(level) + "\(groups[level]):\n"
        }
        self.open = groups
        let indent = Self.indent(groups.count)
        for line in Self.wrapped(option.doc, width: 100) {
            self.text += "\(indent)# \(line)\n"
        }
        var facts = ["Type: \(option.typeDescription)"]
        if let range = option.rangeDescription { facts.append("Range: \(range)") }
        if !option.unit.isEmpty { facts.append("Unit: \(option.unit)") }
        facts.append(
            option.defaultValue == nil ? "Required" : option.isReloadable ? "Reload takes it over" : "Needs a restart"
        )
        self.text += "\(indent)# \(facts.joined(separator: ". ")). \(variable)\n"
        self.text += "\(indent)#\(parts.last ?? ""): \(Self.yaml(option))\n"
    }

    private static func indent(_ level: Int) -> String { String(repeating: "  ", count: level) }

    private static func yaml(_ option: OptionDefinition) -> String {
        switch (option.kind, option.defaultValue) {
        case (_, nil): "…"
        case (.list, let list as [String]): "[\(list.map(self.quoted).joined(separator: ", "))]"
        case (.string, let text as String), (.path, let text as String), (.choice, let text as String):
            self.quoted(text)
        default: option.defaultText ?? ""
        }
    }

    /// A YAML scalar, in double quotes unless it is plain beyond doubt.
    private static func quoted(_ text: String) -> String {
        let isPlain =
            text.first.map { $0.isLetter || $0 == "/" } == true
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-".contains($0)) }
            && !["true", "false", "yes", "no", "on", "off", "null"].contains(text.lowercased())
        guard !isPlain else { return text }
        var escaped = ""
        for character in text {
            if character == "\"" || character == "\\" { escaped.append("\\") }
            escaped.append(character)
        }
        return "\"\(escaped)\""
    }

    private static func wrapped(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(whereSeparator: \.isWhitespace) {
            if !line.isEmpty, line.count + word.count >= width {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? "\(word)" : " \(word)"
        }
        return line.isEmpty ? lines : lines + [line]
    }
}
