// SPDX-License-Identifier: Apache-2.0

/// A table that large mailings have of their own beside the shared one, by the shared one's name.
enum PartitionedTable: String, Sendable {
    case recipients = "recipient"
    case deliveries = "delivery"
}

/// A database whose tables are being changed, all in one transaction.
protocol SchemaEditor {
    /// Runs SQL statements.
    func run(_ script: String) throws
    /// The names of the shared table and of those of all partitions, also of deleted mailings of which something is left.
    func tables(_ table: PartitionedTable) throws -> [String]
    /// Notes that the tables are of this version.
    func note(version: Int) throws
}

extension SchemaEditor {
    /// Runs SQL for the shared table and for those of all partitions, which have to stay alike.
    func run(onEach table: PartitionedTable, _ script: (_ table: String) -> String) throws {
        for name in try self.tables(table) { try self.run(script(name)) }
    }
}

/// A change of the tables, from one version of the schema to the next; never edited once it is released.
struct SchemaStep: Sendable {
    /// What it does, for operators, in a few words.
    let name: String
    let apply: @Sendable (any SchemaEditor) throws -> Void

    /// A step that does not concern the tables of partitions.
    init(_ name: String, _ script: String) {
        self.name = name
        self.apply = { try $0.run(script) }
    }

    /// A step with code of its own.
    init(_ name: String, apply: @escaping @Sendable (any SchemaEditor) throws -> Void) {
        self.name = name
        self.apply = apply
    }

    /// Carries out the steps from a version on; step `i` leads from version `i` to `i + 1`.
    static func run(
        _ steps: [SchemaStep],
        from version: Int,
        on editor: any SchemaEditor,
        onStep: (SchemaProgress) -> Void
    ) throws {
        for number in version..<steps.count {
            let step = steps[number]
            var progress = SchemaProgress(
                step: step.name,
                version: number + 1,
                newest: steps.count,
                isNewStore: version == 0,
                isDone: false
            )
            onStep(progress)
            try step.apply(editor)
            try editor.note(version: number + 1)
            progress.isDone = true
            onStep(progress)
        }
    }
}

/// How far the tables of a store have been brought up to date.
///
/// Nothing is committed before the last step is done.
public struct SchemaProgress: Sendable, Hashable {
    /// What the step does.
    public var step: String
    /// The version that it leads to.
    public var version: Int
    /// The version of this program.
    public var newest: Int
    /// Whether the store had no tables before.
    public var isNewStore: Bool
    /// Whether the step is done; `false` as it begins.
    public var isDone: Bool
}
