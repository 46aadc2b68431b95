// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The file descriptors of this process: how many it may have, and how many it has.
///
/// A process without a free descriptor does not only refuse connections: the database cannot open its log, and the thread
/// pool under Swift's tasks (libdispatch), which reads /proc/self/task once a second under load, ends the process with
/// SIGILL. So everything that takes many descriptors, for strangers or for mail, stops ``reserve`` below the limit.
public enum Descriptors {
    /// Raises the soft limit of open descriptors to the hard one; called first thing in a process.
    ///
    /// - Returns: The limit in force from now on.
    @discardableResult
    public static func raiseLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(Self.resource, &limit) == 0 else { return Self.limit }
        // Where they are equal the call is left out: a service manager's filter may forbid it.
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            _ = setrlimit(Self.resource, &limit)
        }
        return Self.limit
    }

    /// How many descriptors the process may have.
    public static var limit: Int {
        var limit = rlimit()
        guard getrlimit(Self.resource, &limit) == 0 else { return 256 }
        return Int(clamping: limit.rlim_cur)
    }

    /// How many descriptors the process has; `nil` if the system does not report it.
    public static var inUse: Int? {
        var entry = stat()
        guard stat("/proc/self/fd", &entry) == 0 else { return nil }
        // Linux 6.2 and later report the number as the directory's size, which costs no descriptor.
        if entry.st_size > 0 { return Int(entry.st_size) }
        guard let directory = opendir("/proc/self/fd") else { return errno == EMFILE ? Self.limit : nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Not the two entries for the directories, and not the descriptor that was just opened.
        return count - 3
    }

    /// How many descriptors are left to the process itself: an eighth of the limit, 16 to 512.
    public static var reserve: Int { min(512, max(16, Self.limit / 8)) }

    /// Whether so few descriptors are free that no connection may have one, be it taken or made.
    public static var areShort: Bool {
        guard let inUse = Self.inUse else { return false }
        return inUse > Self.limit - Self.reserve
    }

    /// As many as are wanted, but no more than a part of the limit, and 8 at least.
    ///
    /// - Parameters:
    ///   - wanted: What the configuration asks for.
    ///   - part: 8 for an eighth of the limit.
    /// - Returns: The smaller of both.
    public static func share(_ wanted: Int, part: Int) -> Int { min(wanted, max(8, Self.limit / part)) }

    #if canImport(Glibc)
    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    private static let resource = RLIMIT_NOFILE
    #endif
}
