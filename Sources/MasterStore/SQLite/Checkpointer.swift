// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import GRDBSQLite
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Moves the write-ahead log into the database file when it has grown, after the waiting operations were answered.
///
/// SQLite's own checkpoints are off: they run inside a commit and make one caller wait. A reader that holds an old
/// snapshot makes the attempt give up at once, and it is repeated when the log has grown by as much again.
final class Checkpointer: Sendable {
    private let logPath: String
    private let threshold: Int
    private let next: Mutex<Int>

    /// Makes a checkpointer; `threshold` is the size of the log, in bytes, from which it is moved.
    init(databasePath: String, threshold: Int) {
        self.logPath = databasePath + "-wal"
        self.threshold = threshold
        self.next = Mutex(threshold)
    }

    /// Moves the log if it is large enough.
    func runIfNeeded(_ database: Database) {
        let size = self.logSize()
        guard size >= self.next.withLock({ $0 }) else { return }
        self.run(database)
        let left = self.logSize()
        self.next.withLock { $0 = left + self.threshold }
    }

    /// Moves the log now, as far as readers allow.
    func run(_ database: Database) {
        guard let connection = database.sqliteConnection else { return }
        sqlite3_busy_timeout(connection, 20)
        defer { sqlite3_busy_timeout(connection, 5_000) }
        sqlite3_wal_checkpoint_v2(connection, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    }

    private func logSize() -> Int {
        var information = stat()
        guard stat(self.logPath, &information) == 0 else { return 0 }
        return Int(information.st_size)
    }
}
