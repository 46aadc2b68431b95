// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// How a store in an SQLite file is opened.
public struct SQLiteConfiguration: Sendable {
    /// The database file; `-wal`, `-shm` and `.lock` files lie beside it.
    public var path: String
    /// When deferred recipients are tried again.
    public var retry: RetrySchedule
    /// How many callers may read at the same time; 1 or more.
    public var readers: Int
    /// The size of the write-ahead log, in bytes, from which it is moved into the database file.
    public var checkpointSize: Int
    /// How many recipients a mailing may have before further ones go to tables of its own; 0 or more.
    public var partitionThreshold: Int

    /// Composes a configuration.
    ///
    /// - Parameters:
    ///   - path: The database file; made if there is none.
    ///   - retry: CloudMailing's schedule by default.
    ///   - readers: 3 by default.
    ///   - checkpointSize: 32 MiB by default.
    ///   - partitionThreshold: ``Partition/threshold`` by default; others are for tests.
    public init(
        path: String,
        retry: RetrySchedule = RetrySchedule(),
        readers: Int = 3,
        checkpointSize: Int = 32 << 20,
        partitionThreshold: Int = Partition.threshold
    ) {
        self.path = path
        self.retry = retry
        self.readers = readers
        self.checkpointSize = checkpointSize
        self.partitionThreshold = partitionThreshold
    }
}
