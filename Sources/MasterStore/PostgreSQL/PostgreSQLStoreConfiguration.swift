// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// How a store in a PostgreSQL database is opened.
public struct PostgreSQLStoreConfiguration: Sendable {
    /// The connection's URL: `postgresql://user:password@host:port/database?sslmode=…`, or libpq's key words.
    public var url: String
    /// When deferred recipients are tried again.
    public var retry: RetrySchedule
    /// How many callers may read at the same time; 1 or more.
    public var readers: Int
    /// This master's name for people: host name and process number.
    public var holder: String
    /// Names what at most one live process can be: a locked data directory and the boot of its machine.
    ///
    /// A predecessor of the same name is dead and need not be waited for.
    public var instance: String
    /// Whether to wait while another master is the leader; if not, opening throws ``StoreError/Code/locked``.
    public var waits: Bool
    /// How long a master may be silent before another takes over.
    public var silence: Duration
    /// How long an operation, and an election, wait for a connection before they fail with ``StoreError/Code/database``.
    public var connectionWait: Duration
    /// Whether a server that may lose commits at a power cut (`fsync` or `full_page_writes` off) will do.
    ///
    /// For tests and benchmarks only.
    public var acceptsUnsafeServer: Bool
    /// How many recipients a mailing may have before further ones go to tables of its own; 0 or more.
    public var partitionThreshold: Int

    /// Composes a configuration.
    ///
    /// - Parameters:
    ///   - url: The database, which must exist; tables are made.
    ///   - retry: CloudMailing's schedule by default.
    ///   - readers: 3 by default.
    ///   - holder: A name for people.
    ///   - instance: What at most one live process can be.
    ///   - waits: `true` by default.
    ///   - silence: 6 s by default: three renewals.
    ///   - connectionWait: 10 s by default.
    ///   - acceptsUnsafeServer: `false` by default.
    ///   - partitionThreshold: ``Partition/threshold`` by default; others are for tests.
    public init(
        url: String,
        retry: RetrySchedule = RetrySchedule(),
        readers: Int = 3,
        holder: String,
        instance: String,
        waits: Bool = true,
        silence: Duration = .seconds(6),
        connectionWait: Duration = .seconds(10),
        acceptsUnsafeServer: Bool = false,
        partitionThreshold: Int = Partition.threshold
    ) {
        self.url = url
        self.retry = retry
        self.readers = readers
        self.holder = holder
        self.instance = instance
        self.waits = waits
        self.silence = silence
        self.connectionWait = connectionWait
        self.acceptsUnsafeServer = acceptsUnsafeServer
        self.partitionThreshold = partitionThreshold
    }
}
