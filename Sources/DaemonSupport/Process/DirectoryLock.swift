// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Keeps a second process from using the same directory.
///
/// The lock lies on a file in the directory and goes with the process, however it ends. The file stays and holds the
/// process's id for whoever wonders.
public final class DirectoryLock: Sendable {
    private let descriptor: Mutex<Int32?>
    /// The lock file.
    public let path: String

    /// Locks a directory.
    ///
    /// - Throws: ``StartFailure`` with ``ExitCode/unavailable`` if another process has it, or if the file cannot be made.
    public init(directory: String, fileName: String = "lock") throws {
        self.path = "\(directory)/\(fileName)"
        let descriptor = open(self.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw StartFailure(.unavailable, "cannot open lock file \(self.path): \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            let holder = Self.holder(descriptor)
            close(descriptor)
            guard number == EWOULDBLOCK else {
                throw StartFailure(.unavailable, "cannot lock \(self.path): \(String(cString: strerror(number)))")
            }
            throw StartFailure(
                .unavailable,
                "\(directory) is in use by \(holder.map { "process \($0)" } ?? "another process")"
            )
        }
        self.descriptor = Mutex(descriptor)
        let text = Array("\(getpid())\n".utf8)
        // The id is for people only; the lock holds without it.
        if ftruncate(descriptor, 0) == 0 {
            _ = pwrite(descriptor, text, text.count, 0)
        }
    }

    deinit {
        self.release()
    }

    /// Gives the directory free; what happens at the end in any case.
    public func release() {
        self.descriptor.withLock { descriptor in
            if let open = descriptor { close(open) }
            descriptor = nil
        }
    }

    /// Whether a process has the lock of a directory now; `false` too if that cannot be looked at.
    public static func isHeld(directory: String, fileName: String = "lock") -> Bool {
        let descriptor = open("\(directory)/\(fileName)", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    private static func holder(_ descriptor: Int32) -> Int? {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return nil }
        return Int(String(decoding: bytes[..<count], as: UTF8.self).trimmingSpace())
    }
}
