// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport

/// Which role a `--set` of a cluster is for: whichever knows the key.
enum SettingsRouting {
    /// A role with options of its own.
    enum Role: String, CaseIterable {
        case master, satellite

        var table: OptionTable {
            switch self {
            case .master: MasterSettings.table
            case .satellite: SatelliteSettings.table
            }
        }
    }

    /// Splits `key=value`.
    static func parse(_ text: String) throws -> (key: String, value: String) {
        guard let mark = text.firstIndex(of: "="), mark > text.startIndex else {
            throw ValidationError("--set takes key=value, not '\(text)'")
        }
        return (String(text[..<mark]), String(text[text.index(after: mark)...]))
    }

    /// The roles that know a key, one or both.
    ///
    /// - Throws: ``StartFailure`` that names the nearest key, if none does.
    static func roles(of key: String) throws -> [Role] {
        let roles = Role.allCases.filter { $0.table.contains(key) }
        guard roles.isEmpty else { return roles }
        let near = Role.allCases.compactMap { $0.table.nearestKey(to: key) }.first.map { "; did you mean \($0)?" } ?? ""
        throw StartFailure(.configuration, "unknown option \(key)\(near)")
    }
}
