// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// The operations' statements in PostgreSQL's dialect, translated once as a rule.
final class StatementTexts: Sendable {
    /// The most that are kept: each partition has statements of its own.
    private static let most = 1_024

    private let known = Mutex<[String: String]>([:])

    /// A statement in PostgreSQL's dialect.
    func translation(of sql: String) -> String {
        if let text = self.known.withLock({ $0[sql] }) { return text }
        let text = PostgreSQLStatement.translate(sql)
        self.known.withLock { known in
            if known.count >= Self.most { known.removeAll() }
            known[sql] = text
        }
        return text
    }
}
