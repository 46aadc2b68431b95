// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation

/// A daemon's YAML file.
enum ConfigurationFile {
    /// Its text.
    ///
    /// - Throws: ``StartFailure`` if it cannot be read.
    static func read(_ path: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw StartFailure(
                .configuration,
                "the configuration \(path) cannot be read: \(error.localizedDescription)"
            )
        }
    }
}
