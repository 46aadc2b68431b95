// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A file that is only appended to, one `write(2)` for each line, from any thread.
final class SinkFile: Sendable {
    private let path: String
    private let descriptor: Int32

    init(appendingTo path: String) throws {
        self.path = path
        self.descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard self.descriptor >= 0 else { throw SinkError(.file, "cannot open \(path): \(Self.lastError)") }
    }

    deinit { close(self.descriptor) }

    /// Appends `line`; when this returns the system has it.
    func append(_ line: [UInt8]) throws {
        try Self.write(line, to: self.descriptor, path: self.path)
    }

    /// Writes a new file under a name that no reader takes, then renames it.
    static func deliver(_ content: [UInt8], name: String, intoMaildir maildir: String) throws {
        let temporary = "\(maildir)/tmp/\(name)"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SinkError(.file, "cannot create \(temporary): \(self.lastError)") }
        defer { close(descriptor) }
        try self.write(content, to: descriptor, path: temporary)
        guard rename(temporary, "\(maildir)/new/\(name)") == 0 else {
            throw SinkError(.file, "cannot rename \(temporary): \(self.lastError)")
        }
    }

    /// Makes a maildir with its three directories, where they are missing.
    static func makeMaildir(_ path: String) throws {
        for directory in [path, "\(path)/tmp", "\(path)/new", "\(path)/cur"] {
            guard mkdir(directory, 0o755) == 0 || errno == EEXIST else {
                throw SinkError(.file, "cannot create \(directory): \(self.lastError)")
            }
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws {
        try bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let chunk = UnsafeRawBufferPointer(rebasing: rest)
                #if canImport(Glibc)
                let count = Glibc.write(descriptor, chunk.baseAddress, chunk.count)
                #elseif canImport(Musl)
                let count = Musl.write(descriptor, chunk.baseAddress, chunk.count)
                #else
                let count = Darwin.write(descriptor, chunk.baseAddress, chunk.count)
                #endif
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw SinkError(.file, "cannot write \(path): \(self.lastError)") }
                rest = rest.dropFirst(count)
            }
        }
    }

    private static var lastError: String { String(cString: strerror(errno)) }
}
