// SPDX-License-Identifier: Apache-2.0

public import Logging
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// How a log line is written.
public enum LogFormat: String, Hashable, Sendable, CaseIterable {
    /// `key=value` pairs, for people and for simple tools.
    case logfmt
    /// One JSON object for each line.
    case json
}

/// Where all log lines of a process go: one line for each event, whole, to standard error.
///
/// The level can be changed while the process runs; loggers that were given a level of their own keep it.
public final class LogOutput: Sendable {
    /// How lines are written.
    public let format: LogFormat

    private let currentLevel: Mutex<Logger.Level>
    private let write: Mutex<@Sendable ([UInt8]) -> Void>

    /// Makes an output to standard error.
    public convenience init(format: LogFormat, level: Logger.Level) {
        self.init(format: format, level: level) { line in
            var start = 0
            while start < line.count {
                let count = line[start...].withUnsafeBytes { Self.writeStandardError($0) }
                if count < 0, errno == EINTR { continue }
                // A log that cannot be written has nowhere to be reported.
                guard count > 0 else { return }
                start += count
            }
        }
    }

    /// Makes an output to a function, which is called with one line at a time.
    public init(format: LogFormat, level: Logger.Level, write: @escaping @Sendable ([UInt8]) -> Void) {
        self.format = format
        self.currentLevel = Mutex(level)
        self.write = Mutex(write)
    }

    /// The least severe level that is written.
    public var level: Logger.Level {
        get { self.currentLevel.withLock { $0 } }
        set { self.currentLevel.withLock { $0 = newValue } }
    }

    /// Makes this the output of every logger of the process; may be called once.
    public func bootstrap(metadataProvider: Logger.MetadataProvider? = nil) {
        LoggingSystem.bootstrap(
            { label, provider in StructuredLogHandler(label: label, output: self, metadataProvider: provider) },
            metadataProvider: metadataProvider
        )
    }

    /// A logger that writes here whatever the process's output is.
    public func logger(label: String) -> Logger {
        Logger(label: label) { StructuredLogHandler(label: $0, output: self, metadataProvider: nil) }
    }

    func write(_ line: [UInt8]) {
        self.write.withLock { $0(line) }
    }

    private static func writeStandardError(_ bytes: UnsafeRawBufferPointer) -> Int {
        unistdWrite(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
}

/// The system call, which methods of the same name hide.
private func unistdWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
