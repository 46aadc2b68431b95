// SPDX-License-Identifier: Apache-2.0

/// A daemon's YAML file.
enum ConfigurationFile {
    /// Its text.
    ///
    /// - Throws: ``StartFailure`` if it cannot be read.
    static func read(_ path: String) throws -> String { try NamedFile.text(path, "the configuration") }
}
