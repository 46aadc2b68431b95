// SPDX-License-Identifier: Apache-2.0

import SatelliteJournal
import Synchronization

/// A journal's directory in memory that notes the order of what is done to it, and may be full, fail, or lose power.
final class RecordingDirectory: JournalDirectory {
    enum Event: Equatable {
        case create(UInt64)
        case write(UInt64, Int)
        case sync(UInt64)
        case remove(UInt64)
        case setAside(UInt64)
        case note(String)
    }

    struct State {
        var files: [UInt64: [UInt8]] = [:]
        /// What a power cut leaves.
        var durable: [UInt64: [UInt8]] = [:]
        var events: [Event] = []
        var maximumFiles = Int.max
        var syncFails = false
        var writeFails = false
        /// Distinguishes these files from copies of them.
        var name = ""
    }

    let state: Mutex<State>

    init(files: [UInt64: [UInt8]] = [:], name: String = "") {
        self.state = Mutex(State(files: files, durable: files, name: name))
    }

    var events: [Event] { self.state.withLock { $0.events } }
    var files: [UInt64: [UInt8]] { self.state.withLock { $0.files } }

    func note(_ text: String) { self.state.withLock { $0.events.append(.note(text)) } }

    func change(_ body: (inout State) -> Void) { self.state.withLock { body(&$0) } }

    /// What the next process finds: all that was written.
    func afterProcessDeath() -> RecordingDirectory { RecordingDirectory(files: self.files, name: self.name) }

    /// What the next boot finds: what was synced.
    func afterPowerCut() -> RecordingDirectory {
        RecordingDirectory(files: self.state.withLock { $0.durable }, name: self.name)
    }

    private var name: String { self.state.withLock { $0.name } }

    /// What somebody finds who has copied the files.
    func copied(name: String) -> RecordingDirectory { RecordingDirectory(files: self.files, name: name) }

    func segments() throws(JournalError) -> [UInt64] { self.state.withLock { $0.files.keys.sorted() } }

    func contents(of segment: UInt64) throws(JournalError) -> [UInt8] {
        self.state.withLock { $0.files[segment] ?? [] }
    }

    func open(_ segment: UInt64) throws(JournalError) -> any JournalFile {
        RecordingFile(directory: self, number: segment)
    }

    func create(_ segment: UInt64, size: Int) throws(JournalError) -> any JournalFile {
        let isFull = self.state.withLock { state in
            guard state.files.count < state.maximumFiles else { return true }
            state.files[segment] = [UInt8](repeating: 0, count: size)
            state.durable[segment] = state.files[segment]
            state.events.append(.create(segment))
            return false
        }
        if isFull { throw JournalError(.noSpace, "reserving segment \(segment): no space left on device") }
        return RecordingFile(directory: self, number: segment)
    }

    func remove(_ segment: UInt64) throws(JournalError) {
        self.state.withLock { state in
            state.files[segment] = nil
            state.durable[segment] = nil
            state.events.append(.remove(segment))
        }
    }

    func release() {}

    func setAside(_ segment: UInt64) throws(JournalError) {
        self.state.withLock { state in
            state.files[segment] = nil
            state.durable[segment] = nil
            state.events.append(.setAside(segment))
        }
    }
}

private struct RecordingFile: JournalFile {
    let directory: RecordingDirectory
    let number: UInt64

    func write(_ bytes: [UInt8], at offset: Int) throws(JournalError) {
        let isWritten = self.directory.state.withLock { state in
            guard !state.writeFails else { return false }
            state.files[self.number]?.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            state.events.append(.write(self.number, bytes.count))
            return true
        }
        if !isWritten { throw JournalError(.inputOutput, "writing segment \(self.number): input/output error") }
    }

    var identity: String {
        let name = self.directory.state.withLock { $0.name }
        return name.isEmpty ? "" : "\(name)-\(self.number)"
    }

    func synchronize() throws(JournalError) {
        let isSynced = self.directory.state.withLock { state in
            guard !state.syncFails else { return false }
            state.durable[self.number] = state.files[self.number]
            state.events.append(.sync(self.number))
            return true
        }
        if !isSynced { throw JournalError(.inputOutput, "syncing segment \(self.number): input/output error") }
    }
}
