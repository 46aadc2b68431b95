// SPDX-License-Identifier: Apache-2.0

import MailingModel

@testable import MasterStore

/// A database with one partition that only writes down what a step of the schema does.
final class SchemaRecorder: SchemaEditor {
    private var scripts: [String] = []

    func run(_ script: String) throws { self.scripts.append(script) }
    func tables(_ table: PartitionedTable) throws -> [String] { [table.rawValue, table.rawValue + "_7"] }
    func note(version: Int) throws {}

    /// All that a step runs.
    static func script(of step: SchemaStep) throws -> String {
        let recorder = SchemaRecorder()
        try step.apply(recorder)
        return recorder.scripts.joined(separator: "\n")
    }

    /// A hash of it.
    static func fingerprint(of step: SchemaStep) throws -> UInt64 {
        StableHash.fnv1a(try Self.script(of: step).utf8)
    }
}
