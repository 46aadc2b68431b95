// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// The verbs' statements in PostgreSQL's words, each translated once.
final class StatementTexts: Sendable {
    private let known = Mutex<[String: String]>([:])

    /// A statement in PostgreSQL's words.
    func translation(of sql: String) -> String {
        if let text = self.known.withLock({ $0[sql] }) { return text }
        let text = PostgreSQLStatement.translate(sql)
        self.known.withLock { $0[sql] = text }
        return text
    }
}
