// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes files so that a reader, or a start after power loss, sees the old content or the new, never a part.
public enum AtomicFile {
    /// Replaces or makes a file.
    ///
    /// The new content is written beside it, synced, renamed over it, and the folder synced: when this returns, it is
    /// on disk.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - contents: All of its bytes.
    ///   - mode: Its permissions, whatever the process's umask and the old file's were.
    /// - Throws: ``AtomicFileError``; the old content is then still there.
    public static func write(_ path: String, contents: [UInt8], mode: UInt32 = 0o600) throws {
        var template = Array("\(path).XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw AtomicFileError("create a file beside", path) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var isRenamed = false
        defer { if !isRenamed { unlink(template) } }
        do {
            defer { close(descriptor) }
            try Self.write(contents, to: descriptor, path)
            guard fchmod(descriptor, mode_t(mode)) == 0 else { throw AtomicFileError("set the mode of", path) }
            guard fsync(descriptor) == 0 else { throw AtomicFileError("sync", path) }
        }
        guard rename(template, path) == 0 else { throw AtomicFileError("rename to", path) }
        isRenamed = true
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let folderDescriptor = open(folder, O_RDONLY | O_CLOEXEC)
        guard folderDescriptor >= 0 else { throw AtomicFileError("sync the folder of", path) }
        defer { close(folderDescriptor) }
        guard fsync(folderDescriptor) == 0 else { throw AtomicFileError("sync the folder of", path) }
    }

    private static func write(_ contents: [UInt8], to descriptor: Int32, _ path: String) throws {
        var start = 0
        while start < contents.count {
            let count = writeBytes(descriptor, contents[start...])
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw AtomicFileError("write", path) }
            start += count
        }
    }
}

/// Why a file could not be written.
public struct AtomicFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What failed, on what file, and the system's reason.
    public let description: String
    /// The system's error number.
    public let errorNumber: Int32

    init(_ action: String, _ path: String) {
        self.errorNumber = errno
        self.description = "cannot \(action) \(path): \(String(cString: strerror(self.errorNumber)))"
    }
}

/// The system call, which methods of the same name hide.
private func writeBytes(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) -> Int {
    bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
}
