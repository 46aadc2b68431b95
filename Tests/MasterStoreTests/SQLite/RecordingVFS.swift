// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDBSQLite
import Synchronization

/// A layer between SQLite and the file system that notes writes and syncs, and can play a full disk.
///
/// It becomes the process's default, passes everything on, and looks only at files in directories that are watched.
enum RecordingVFS {
    enum Event: Hashable {
        case write
        case sync
    }

    private struct State {
        /// What happened to the write-ahead log of each watched directory.
        var logs: [String: [Event]] = [:]
        /// Directories whose disk is full.
        var full: Set<String> = []
        /// Open files of watched directories by address: the directory, and whether it is a write-ahead log.
        var files: [UInt: (directory: String, isLog: Bool)] = [:]
        /// Addresses of the system's method tables by those of ours.
        var originals: [UInt: UInt] = [:]
    }

    private static let state = Mutex(State())
    private static let originalVFS = sqlite3_vfs_find(nil).map { UInt(bitPattern: $0) }

    /// Puts the layer in place, once.
    private static let isInstalled: Bool = {
        guard let address = Self.originalVFS, let original = UnsafeMutablePointer<sqlite3_vfs>(bitPattern: address)
        else { return false }
        let layer = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        layer.initialize(to: original.pointee)
        layer.pointee.zName = UnsafePointer(strdup("recording"))
        layer.pointee.pNext = nil
        layer.pointee.xOpen = { _, name, file, flags, outFlags in
            RecordingVFS.open(name, file, flags, outFlags)
        }
        return sqlite3_vfs_register(layer, 1) == SQLITE_OK
    }()

    /// Begins to note what happens to files in a directory; call it before they are opened.
    static func watch(_ directory: String) -> Bool {
        guard Self.isInstalled else { return false }
        Self.state.withLock { $0.logs[directory] = [] }
        return true
    }

    /// What happened to the directory's write-ahead log since the last call.
    static func takeEvents(_ directory: String) -> [Event] {
        Self.state.withLock { state in
            defer { state.logs[directory] = [] }
            return state.logs[directory] ?? []
        }
    }

    /// Fills the directory's disk, or makes room.
    static func setFull(_ directory: String, _ isFull: Bool) {
        Self.state.withLock { state in
            if isFull { state.full.insert(directory) } else { state.full.remove(directory) }
        }
    }

    // MARK: The layer

    private static func open(
        _ name: UnsafePointer<CChar>?,
        _ file: UnsafeMutablePointer<sqlite3_file>?,
        _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let address = Self.originalVFS, let original = UnsafeMutablePointer<sqlite3_vfs>(bitPattern: address),
            let file
        else { return SQLITE_CANTOPEN }
        let code = original.pointee.xOpen(original, name, file, flags, outFlags)
        guard code == SQLITE_OK, let name, let methods = file.pointee.pMethods else { return code }
        let path = String(cString: name)
        Self.state.withLock { state in
            state.files[UInt(bitPattern: file)] = nil
            guard let directory = state.logs.keys.first(where: { path.hasPrefix($0 + "/") }) else { return }
            state.files[UInt(bitPattern: file)] = (directory, flags & SQLITE_OPEN_WAL != 0)
            file.pointee.pMethods = Self.layer(over: methods, &state)
        }
        return code
    }

    /// The system's methods with write and sync replaced.
    private static func layer(
        over methods: UnsafePointer<sqlite3_io_methods>,
        _ state: inout State
    ) -> UnsafePointer<sqlite3_io_methods>? {
        let original = UInt(bitPattern: methods)
        if let known = state.originals.first(where: { $0.value == original })?.key {
            return UnsafePointer(bitPattern: known)
        }
        let layer = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        layer.initialize(to: methods.pointee)
        layer.pointee.iVersion = 2  // without memory mapping, so that every write is seen
        layer.pointee.xWrite = { file, bytes, count, offset in
            guard let (methods, isFull) = RecordingVFS.note(.write, file) else { return SQLITE_IOERR }
            return isFull ? SQLITE_FULL : methods.pointee.xWrite(file, bytes, count, offset)
        }
        layer.pointee.xSync = { file, flags in
            guard let (methods, _) = RecordingVFS.note(.sync, file) else { return SQLITE_IOERR }
            return methods.pointee.xSync(file, flags)
        }
        state.originals[UInt(bitPattern: layer)] = original
        return UnsafePointer(layer)
    }

    private static func note(
        _ event: Event,
        _ file: UnsafeMutablePointer<sqlite3_file>?
    ) -> (methods: UnsafePointer<sqlite3_io_methods>, isFull: Bool)? {
        guard let file else { return nil }
        let (original, isFull) = Self.state.withLock { state -> (UInt?, Bool) in
            let original = state.originals[UInt(bitPattern: file.pointee.pMethods)]
            guard let known = state.files[UInt(bitPattern: file)] else { return (original, false) }
            if known.isLog { state.logs[known.directory]?.append(event) }
            return (original, event == .write && state.full.contains(known.directory))
        }
        guard let original, let methods = UnsafePointer<sqlite3_io_methods>(bitPattern: original) else { return nil }
        return (methods, isFull)
    }
}
