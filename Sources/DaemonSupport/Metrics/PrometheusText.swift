// SPDX-License-Identifier: Apache-2.0

/// Writes metrics in the text that Prometheus reads.
///
/// Source: Prometheus documentation, "Exposition formats", text format version 0.0.4.
struct PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var bytes: [UInt8] = []

    mutating func family(_ name: String, type: String, help: String) {
        self.raw("# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(type)\n")
    }

    mutating func sample(_ name: String, _ labels: String, _ value: String) {
        self.raw(labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n")
    }

    private mutating func raw(_ text: String) {
        self.bytes.append(contentsOf: text.utf8)
    }

    /// Labels as they stand between the braces, ordered by name; of two of one name the last counts.
    static func labels(_ pairs: [(String, String)]) -> String {
        var values: [String: String] = [:]
        for (name, value) in pairs {
            values[Self.labelName(name)] = value
        }
        return values.sorted { $0.key < $1.key }
            .map { "\($0.key)=\"\(Self.escaped($0.value, quotes: true))\"" }
            .joined(separator: ",")
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }

    static func metricName(_ name: String, isCounter: Bool) -> String {
        let allowed = Self.sanitized(name, colons: true)
        return isCounter && !allowed.hasSuffix("_total") ? allowed + "_total" : allowed
    }

    private static func labelName(_ name: String) -> String {
        let allowed = Self.sanitized(name, colons: false)
        // Histograms own `le`, and names with two underscores are Prometheus's own.
        if allowed == "le" { return "le_" }
        return allowed.hasPrefix("__") ? "x" + allowed : allowed
    }

    private static func sanitized(_ name: String, colons: Bool) -> String {
        var text = ""
        for character in name.unicodeScalars {
            switch character {
            case "a"..."z", "A"..."Z", "_": text.unicodeScalars.append(character)
            case ":" where colons: text.unicodeScalars.append(character)
            case "0"..."9":
                if text.isEmpty { text = "_" }
                text.unicodeScalars.append(character)
            default: text.append("_")
            }
        }
        return text.isEmpty ? "_" : text
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
