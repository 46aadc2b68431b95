// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// An advisory lock on a file beside the store, held while a master has it open; the kernel drops it with the process.
struct LockFile: Sendable {
    private let descriptor: Int32

    /// Takes the lock.
    ///
    /// - Throws: ``StoreError/Code/locked`` if another holds it, here or in another process.
    init(path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError(.database, "the lock file \(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            close(descriptor)
            if reason == EWOULDBLOCK {
                throw StoreError(.locked, "another master has the store open (\(path) is locked)")
            }
            throw StoreError(.database, "the lock file \(path) cannot be locked: \(String(cString: strerror(reason)))")
        }
        self.descriptor = descriptor
    }

    /// Releases the lock.
    func release() { close(self.descriptor) }

    /// Makes a file that only its user may read, or takes the rights of others away; SQLite gives its companions the
    /// same rights.
    static func makePrivate(path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0, fchmod(descriptor, 0o600) == 0, close(descriptor) == 0 else {
            throw StoreError(.database, "the store \(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
    }
}
