// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation

/// Files that a person names on the command line or in a configuration.
///
/// Whatever is wrong with one is reported in the same form everywhere, and a file that cannot be read has one exit status.
enum NamedFile {
    /// All bytes of a file.
    ///
    /// - Parameters:
    ///   - path: The file, a regular one or a pipe.
    ///   - what: What it is to the reader of a message, with its article: `the configuration`.
    /// - Returns: The bytes; none if the file is empty.
    /// - Throws: ``StartFailure`` 66 if it cannot be read.
    static func bytes(_ path: String, _ what: String) throws -> [UInt8] {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.unreadable(path, what, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1_024)
        while true {
            let count = Foundation.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw self.unreadable(path, what, errno) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// The text of a file in UTF-8; a byte order mark is left out.
    ///
    /// - Throws: ``StartFailure`` 66 if it cannot be read, 65 if it is no text in UTF-8.
    static func text(_ path: String, _ what: String) throws -> String {
        let bytes = try self.bytes(path, what)
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        guard
            let text = String(validating: bytes.starts(with: mark) ? bytes.dropFirst(3) : bytes[...], as: UTF8.self)
        else { throw StartFailure(.badData, "\(what) \(path) is not text in UTF-8") }
        return text
    }

    /// The one line that a file holds, without the white space around it.
    ///
    /// - Throws: As ``text(_:_:)`` does; ``StartFailure`` 65 if there is nothing in it.
    static func line(_ path: String, _ what: String) throws -> String {
        let line = try self.text(path, what).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !line.isEmpty else { throw StartFailure(.badData, "\(what) \(path) is empty") }
        return line
    }

    /// Opens a file for reading.
    ///
    /// - Throws: ``StartFailure`` 66 if it cannot be read.
    static func open(_ path: String, reading what: String) throws -> Int32 {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.unreadable(path, what, errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw self.unreadable(path, what, EISDIR)
        }
        return descriptor
    }

    /// Makes a file, or empties it, and opens it for writing.
    ///
    /// - Throws: ``StartFailure`` 73 if it cannot be written.
    static func create(_ path: String, _ what: String) throws -> FileHandle {
        let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw StartFailure(.unwritableFile, "\(what) \(path) cannot be written: \(self.reason(errno))")
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Makes a directory and those above it, for its owner only; one that is there stays as it is.
    ///
    /// - Throws: ``StartFailure`` 73 that names the part that cannot be made.
    static func makeDirectory(_ path: String, _ what: String) throws {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            guard mkdir(made, 0o700) != 0 else { continue }
            let number = errno
            var status = stat()
            if stat(made, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { continue }
            let reason = number == EEXIST ? "\(made) is not a directory" : self.reason(number)
            throw StartFailure(.unwritableFile, "\(what) \(path) cannot be made: \(reason)")
        }
    }

    /// Whether there is a directory of that name; `nil`, and the reason in `errno`, if there is nothing to be found.
    static func isDirectory(_ path: String) -> Bool? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return status.st_mode & S_IFMT == S_IFDIR
    }

    private static func unreadable(_ path: String, _ what: String, _ number: Int32) -> StartFailure {
        StartFailure(.unreadableFile, "\(what) \(path) cannot be read: \(self.reason(number))")
    }

    /// The system's reason, as people say it.
    static func reason(_ number: Int32) -> String {
        switch number {
        case ENOENT: "there is no such file"
        case EISDIR: "it is a directory"
        case EACCES, EPERM: "this user may not (\(String(cString: strerror(number))))"
        default: String(cString: strerror(number))
        }
    }
}
