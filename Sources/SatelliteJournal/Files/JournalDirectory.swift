// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Where a journal keeps its segments: a directory of files of one size, or a recorder in tests.
///
/// Calls block; ``JournalFile/write(_:at:)`` alone is made from event loops.
public protocol JournalDirectory: Sendable {
    /// The numbers of the segments that exist, ascending.
    func segments() throws(JournalError) -> [UInt64]
    /// The whole contents of a segment.
    func contents(of segment: UInt64) throws(JournalError) -> [UInt8]
    /// Opens an existing segment for writing.
    func open(_ segment: UInt64) throws(JournalError) -> any JournalFile
    /// Creates a segment of zeros whose room is reserved, durably.
    ///
    /// - Throws: ``JournalError/Code/noSpace`` if the room cannot be reserved; nothing is left behind then.
    func create(_ segment: UInt64, size: Int) throws(JournalError) -> any JournalFile
    /// Removes a segment.
    func remove(_ segment: UInt64) throws(JournalError)
    /// Puts a damaged segment aside under another name, for people to look at.
    func setAside(_ segment: UInt64) throws(JournalError)
    /// Lets another process have the directory; nothing is written to it from then on.
    func release()
}

/// A segment open for writing.
public protocol JournalFile: Sendable {
    /// Hands bytes to the operating system; they survive the death of the process, not of the machine.
    func write(_ bytes: [UInt8], at offset: Int) throws(JournalError)
    /// Returns once all that was written before survives the death of the machine.
    func synchronize() throws(JournalError)
    /// Distinguishes the file from every copy of it, as long as it exists; empty if that is impossible.
    var identity: String { get }
}

/// A directory on disk, held by one process at a time.
public final class DiskJournalDirectory: JournalDirectory {
    private let path: String
    private let lock: FileDescriptor

    /// Creates the directory if it is missing, and locks it until it is released or the object goes.
    ///
    /// - Throws: ``JournalError/Code/inUse`` if another process holds it.
    public init(path: String) throws(JournalError) {
        self.path = path
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw Self.failure("creating", path) }
        self.lock = try Self.descriptor(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC)
        guard flock(self.lock.number, LOCK_EX | LOCK_NB) == 0 else {
            throw JournalError(.inUse, "the journal in \(path) is in use by another process")
        }
    }

    /// Unlocks the directory.
    public func release() {
        // Of a descriptor that is ours it cannot fail.
        _ = flock(self.lock.number, LOCK_UN)
    }

    /// The numbers of the segments that exist, ascending.
    public func segments() throws(JournalError) -> [UInt64] {
        guard let stream = opendir(self.path) else { throw Self.failure("listing", self.path) }
        defer { closedir(stream) }
        var numbers: [UInt64] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(".segment"), let number = UInt64(name.dropLast(8), radix: 16) else { continue }
            numbers.append(number)
        }
        return numbers.sorted()
    }

    /// The whole contents of a segment.
    public func contents(of segment: UInt64) throws(JournalError) -> [UInt8] {
        let path = self.path(of: segment)
        let file = try Self.descriptor(path, O_RDONLY | O_CLOEXEC)
        let size = lseek(file.number, 0, SEEK_END)
        guard size >= 0 else { throw Self.failure("measuring", path) }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(file.number, buffer.baseAddress?.advanced(by: offset), buffer.count - offset, off_t(offset))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("reading", path) }
            offset += count
        }
        return bytes
    }

    /// Opens an existing segment for writing.
    public func open(_ segment: UInt64) throws(JournalError) -> any JournalFile {
        DiskJournalFile(
            path: self.path(of: segment),
            descriptor: try Self.descriptor(self.path(of: segment), O_WRONLY | O_CLOEXEC)
        )
    }

    /// Creates a segment whose room is reserved, durably.
    public func create(_ segment: UInt64, size: Int) throws(JournalError) -> any JournalFile {
        let path = self.path(of: segment)
        let file = try Self.descriptor(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC)
        let result = posix_fallocate(file.number, 0, off_t(size))
        guard result == 0 else {
            unlink(path)
            throw Self.failure("reserving \(size) bytes for", path, result)
        }
        guard fsync(file.number) == 0 else {
            let reason = errno
            unlink(path)
            throw Self.failure("syncing", path, reason)
        }
        do {
            try self.synchronize()
        } catch {
            unlink(path)
            throw error
        }
        return DiskJournalFile(path: path, descriptor: file)
    }

    /// Removes a segment.
    public func remove(_ segment: UInt64) throws(JournalError) {
        guard unlink(self.path(of: segment)) == 0 || errno == ENOENT else {
            throw Self.failure("removing", self.path(of: segment))
        }
    }

    /// Puts a damaged segment aside.
    public func setAside(_ segment: UInt64) throws(JournalError) {
        let path = self.path(of: segment)
        guard rename(path, path + ".damaged") == 0 else { throw Self.failure("setting aside", path) }
        try self.synchronize()
    }

    /// The first line of a small file, without its line end.
    static func text(of path: String, limit: Int) -> String? {
        // The caller says what failed.
        guard let file = try? Self.descriptor(path, O_RDONLY | O_CLOEXEC) else { return nil }
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = read(file.number, &bytes, limit)
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<count].prefix { $0 != 10 }, as: UTF8.self)
    }

    private func path(of segment: UInt64) -> String {
        let digits = String(segment, radix: 16)
        return self.path + "/" + String(repeating: "0", count: max(0, 16 - digits.count)) + digits + ".segment"
    }

    /// Makes created and renamed names durable.
    private func synchronize() throws(JournalError) {
        let directory = try Self.descriptor(self.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard fsync(directory.number) == 0 else { throw Self.failure("syncing", self.path) }
    }

    private static func descriptor(_ path: String, _ flags: Int32) throws(JournalError) -> FileDescriptor {
        let number = Glibc.open(path, flags, 0o600)
        guard number >= 0 else { throw Self.failure("opening", path) }
        return FileDescriptor(number)
    }

    fileprivate static func failure(_ action: String, _ path: String, _ reason: Int32 = errno) -> JournalError {
        // Without a descriptor for another segment there is no room either, and nothing written before is in danger.
        let isLack = [ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, ENOMEM].contains(reason)
        let code: JournalError.Code = isLack ? .noSpace : .inputOutput
        return JournalError(code, "\(action) \(path): \(String(cString: strerror(reason)))")
    }
}

/// Closes a descriptor with the last reference.
private final class FileDescriptor: Sendable {
    let number: Int32

    init(_ number: Int32) { self.number = number }

    deinit { close(self.number) }
}

private struct DiskJournalFile: JournalFile {
    let path: String
    let descriptor: FileDescriptor

    func write(_ bytes: [UInt8], at offset: Int) throws(JournalError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                pwrite(
                    self.descriptor.number,
                    buffer.baseAddress?.advanced(by: written),
                    buffer.count - written,
                    off_t(offset + written)
                )
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw DiskJournalDirectory.failure("writing", self.path) }
            written += count
        }
    }

    /// The inode and its generation, which a file system gives no second file; where there are no generations, the inode
    /// and the device.
    var identity: String {
        var status = stat()
        guard fstat(self.descriptor.number, &status) == 0 else { return "" }
        var generation = 0
        let isKnown = withUnsafeMutablePointer(to: &generation) {
            ioctl(self.descriptor.number, Self.getVersion, UnsafeMutableRawPointer($0)) == 0
        }
        let inode = String(status.st_ino, radix: 16)
        return isKnown
            ? "\(inode)-\(String(UInt32(truncatingIfNeeded: generation), radix: 16))"
            : "\(inode)@\(String(status.st_dev, radix: 16))"
    }

    /// `FS_IOC_GETVERSION` of linux/fs.h.
    private static let getVersion: UInt = 0x8008_7601

    func synchronize() throws(JournalError) {
        guard fdatasync(self.descriptor.number) == 0 else { throw DiskJournalDirectory.failure("syncing", self.path) }
    }
}
