// SPDX-License-Identifier: Apache-2.0

import Crypto
import Glibc
import MailingModel
import Synchronization

/// Blobs on disk, named by their hash, within a bound; the least recently used go first.
///
/// A file is verified when it is read, so that a torn or altered one is only fetched again. Reads block for as long as the page
/// cache or the disk takes.
final class BlobCache: Sendable {
    private struct Entry {
        var size: Int
        var used: UInt64
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var size = 0
        var clock: UInt64 = 0
        var recent: [BlobHash: [UInt8]] = [:]
        var recentSize = 0
    }

    /// Bytes of attachments kept in memory, at most.
    private static let recentBound = 32 << 20

    private let directory: String
    private let bound: Int
    private let state: Mutex<State>

    /// Opens or creates the directory, with what is in it.
    init(directory: String, bound: Int) throws(SatelliteError) {
        self.directory = directory
        self.bound = bound
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            throw SatelliteError(.cache, "creating \(directory): \(String(cString: strerror(errno)))")
        }
        guard let stream = opendir(directory) else {
            throw SatelliteError(.cache, "reading \(directory): \(String(cString: strerror(errno)))")
        }
        defer { closedir(stream) }
        var state = State()
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            guard name.utf8.count == 64, stat(directory + "/" + name, &status) == 0 else { continue }
            state.entries[name] = Entry(size: Int(status.st_size), used: 0)
            state.size += Int(status.st_size)
        }
        self.state = Mutex(state)
    }

    /// The blob, if it is there and is what its name says.
    func bytes(of hash: BlobHash) -> [UInt8]? {
        let name = hash.description
        let isKnown = self.state.withLock { state in
            state.clock += 1
            state.entries[name]?.used = state.clock
            return state.entries[name] != nil
        }
        guard isKnown else { return nil }
        if let bytes = self.read(name), Array(SHA256.hash(data: bytes)) == hash.bytes { return bytes }
        // A file that could not be opened for want of a descriptor is as good as before.
        if LocalResources.shortage() == nil { self.remove(name) }
        return nil
    }

    /// The same from memory if it was asked for lately: many recipients may have one attachment.
    func recentBytes(of hash: BlobHash) -> [UInt8]? {
        if let bytes = self.state.withLock({ $0.recent[hash] }) { return bytes }
        guard let bytes = self.bytes(of: hash) else { return nil }
        self.state.withLock { state in
            if state.recentSize + bytes.count > Self.recentBound {
                state.recent.removeAll()
                state.recentSize = 0
            }
            guard bytes.count <= Self.recentBound, state.recent.updateValue(bytes, forKey: hash) == nil else { return }
            state.recentSize += bytes.count
        }
        return bytes
    }

    /// Keeps a blob; without effect if the disk has no room, since the blob can be fetched again.
    func store(_ bytes: [UInt8], as hash: BlobHash) {
        let name = hash.description
        guard bytes.count <= self.bound, self.state.withLock({ $0.entries[name] == nil }), self.write(bytes, name)
        else {
            return
        }
        let evicted = self.state.withLock { state in
            state.clock += 1
            state.entries[name] = Entry(size: bytes.count, used: state.clock)
            state.size += bytes.count
            var evicted: [String] = []
            while state.size > self.bound {
                guard let oldest = state.entries.min(by: { $0.value.used < $1.value.used }) else { break }
                state.entries[oldest.key] = nil
                state.size -= oldest.value.size
                evicted.append(oldest.key)
            }
            return evicted
        }
        for name in evicted { unlink(self.directory + "/" + name) }
    }

    private func remove(_ name: String) {
        self.state.withLock { state in
            if let entry = state.entries.removeValue(forKey: name) { state.size -= entry.size }
        }
        unlink(self.directory + "/" + name)
    }

    private func read(_ name: String) -> [UInt8]? {
        let descriptor = open(self.directory + "/" + name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        guard size >= 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        var offset = 0
        while offset < size {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress?.advanced(by: offset), size - offset, off_t(offset))
            }
            guard count > 0 else { return nil }
            offset += count
        }
        return bytes
    }

    /// Writes under another name first: what bears a hash is whole.
    private func write(_ bytes: [UInt8], _ name: String) -> Bool {
        let temporary = self.directory + "/" + name + ".part"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.write(descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
            }
            guard count > 0 else {
                unlink(temporary)
                return false
            }
            offset += count
        }
        return rename(temporary, self.directory + "/" + name) == 0
    }
}
