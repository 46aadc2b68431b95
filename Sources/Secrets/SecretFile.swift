// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Files that hold a secret: nobody but their owner may read or write them.
public enum SecretFile {
    /// Reads a secret file.
    ///
    /// The file must be a regular one (a symbolic link to one is followed), owned by this process's user or by root,
    /// with no permission for group or others.
    ///
    /// - Throws: `missing`, `unreadable`, `unsafePermissions`, or `malformed` if it is larger than allowed; each names
    ///   the file.
    public static func read(_ path: String, maximumBytes: Int = 64 * 1024) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure("read", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure("read", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw SecretsError(.unreadable, "secret file \(path) is not a regular file")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw SecretsError(.unsafePermissions, "secret file \(path) belongs to another user (uid \(status.st_uid))")
        }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw SecretsError(
                .unsafePermissions,
                "secret file \(path) has mode 0\(mode): others may use it; run chmod 600 on it"
            )
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = readBytes(descriptor, &buffer)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.failure("read", path) }
            if count == 0 { return bytes }
            bytes.append(contentsOf: buffer[..<count])
            guard bytes.count <= maximumBytes else {
                throw SecretsError(.malformed, "secret file \(path) exceeds \(maximumBytes) bytes")
            }
        }
    }

    /// Makes a secret file with mode 0600 that is not there yet, and syncs it to disk.
    ///
    /// The file appears under its name whole or not at all.
    ///
    /// - Throws: `exists` if a file of that name is there, `unreadable` if it cannot be written.
    public static func create(_ path: String, contents: [UInt8]) throws {
        let temporary = "\(path).new-\(Base32.encode(SecureBytes.random(count: 5)))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.failure("create", path) }
        defer { unlink(temporary) }
        do {
            defer { close(descriptor) }
            var start = 0
            while start < contents.count {
                let count = contents[start...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw Self.failure("write", path) }
                start += count
            }
            guard fsync(descriptor) == 0 else { throw Self.failure("write", path) }
        }
        // A hard link, unlike a rename, never replaces a file.
        guard link(temporary, path) == 0 else { throw Self.failure("create", path) }
        try Self.syncFolder(of: path)
    }

    private static func syncFolder(of path: String) throws {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure("sync the folder of", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Self.failure("sync the folder of", path) }
    }

    private static func failure(_ action: String, _ path: String) -> SecretsError {
        let number = errno
        let reason = String(cString: strerror(number))
        let code: SecretsError.Code =
            switch number {
            case ENOENT: .missing
            case EEXIST: .exists
            default: .unreadable
            }
        return SecretsError(code, "cannot \(action) secret file \(path): \(reason)")
    }
}

/// The system call, which the enum's own `read` hides.
private func readBytes(_ descriptor: Int32, _ buffer: inout [UInt8]) -> Int {
    buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
}
