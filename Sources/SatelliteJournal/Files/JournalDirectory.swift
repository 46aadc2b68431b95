// SPDX-License-Identifier: Apache-2.0

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
