// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension Journal {
    /// Opens the journal in a directory, or begins one.
    ///
    /// What an earlier process left is read, its doubtful attempts are journaled as uncertain, torn tails are repaired. All of it
    /// is synced when it returns.
    ///
    /// - Parameters:
    ///   - directory: Where the segments are.
    ///   - configuration: The bounds.
    ///   - bootID: The kernel's, as by ``currentBootID()``.
    ///   - incarnation: A random number that names this process.
    ///   - now: The timestamp that uncertain reports carry.
    /// - Returns: The journal, and what is left to do.
    /// - Throws: ``JournalError``; ``JournalError/Code/noSpace`` only if a new journal finds no room.
    public static func open(
        _ directory: any JournalDirectory,
        configuration: Configuration = Configuration(),
        bootID: String,
        incarnation: UInt64,
        now: Timestamp
    ) throws(JournalError) -> (journal: Journal, recovery: Recovery) {
        let segments = try directory.segments()
        var replay = SegmentReplay(bootID: bootID)
        for segment in segments { replay.read(segment, try directory.contents(of: segment)) }
        let isCopy = try Self.isCopy(replay, directory, segments)
        replay.finish(isCopy: isCopy)
        let isNew = replay.state.session == nil || replay.damage != nil
        let last = segments.last { (replay.used[$0] ?? 0) > 0 }
        let found = isNew ? 0 : last.map { SegmentWriter.end($0, replay.used[$0] ?? 0) } ?? 0
        var writer: SegmentWriter
        var touched: [UInt64: any JournalFile] = [:]
        if isNew {
            writer = try Self.begin(directory, configuration, replay, after: segments, bootID, incarnation)
        } else {
            writer = try Self.resume(directory, configuration, replay, segments, bootID, incarnation, &touched)
        }
        let recovery = try Self.recover(&writer, replay, isCopy: isCopy, at: now)
        try writer.flush()
        let (files, end) = writer.beginSync()
        touched.merge(files) { $1 }
        for (_, file) in touched.sorted(by: { $0.key < $1.key }) { try file.synchronize() }
        writer.endSync(end)
        if replay.damage != nil {
            for segment in segments { try directory.setAside(segment) }
        }
        let journal = Journal(
            directory: directory,
            configuration: configuration,
            writer: writer,
            found: found,
            isCopy: isCopy
        )
        return (journal, recovery)
    }

    /// Whether the newest segment is another file than the one in which the last process began to write it.
    private static func isCopy(
        _ replay: SegmentReplay,
        _ directory: any JournalDirectory,
        _ segments: [UInt64]
    ) throws(JournalError) -> Bool {
        guard let session = replay.state.session, !session.file.isEmpty,
            let last = segments.last(where: { (replay.used[$0] ?? 0) > 0 })
        else { return false }
        let identity = try directory.open(last).identity
        return !identity.isEmpty && identity != session.file
    }

    /// The running kernel's boot identifier.
    public static func currentBootID() throws(JournalError) -> String {
        let path = "/proc/sys/kernel/random/boot_id"
        guard let text = DiskJournalDirectory.text(of: path, limit: 64), !text.isEmpty else {
            throw JournalError(.inputOutput, "\(path) cannot be read")
        }
        return text
    }

    /// A journal with a new name, which takes over what could be read of a damaged one.
    private static func begin(
        _ directory: any JournalDirectory,
        _ configuration: Configuration,
        _ replay: SegmentReplay,
        after segments: [UInt64],
        _ bootID: String,
        _ incarnation: UInt64
    ) throws(JournalError) -> SegmentWriter {
        var numbers = (segments.last ?? 0)...
        func create() throws(JournalError) -> SegmentWriter.Segment {
            numbers = (numbers.lowerBound + 1)...
            let number = numbers.lowerBound
            return SegmentWriter.Segment(
                number: number,
                file: try directory.create(number, size: configuration.segmentSize)
            )
        }
        var empty = JournalState()
        let first = try create()
        let session = JournalSession(
            journalID: Self.randomName(),
            bootID: bootID,
            incarnation: incarnation,
            highestTerm: replay.state.highestTerm,
            highestLease: replay.state.highestLease,
            file: first.file.identity
        )
        _ = empty.apply(.session(session))
        empty.store = replay.state.store
        var writer = SegmentWriter(
            state: empty,
            home: [:],
            session: session,
            current: first,
            ahead: [],
            older: [],
            segmentSize: configuration.segmentSize,
            textLimit: configuration.replyTextLimit
        )
        try writer.append(.session(session))
        if let store = replay.state.store { try writer.append(.store(store)) }
        for (_, progress) in replay.state.leases.sorted(by: { $0.key < $1.key }) {
            let record = JournalRecord.checkpoint(progress)
            while !writer.hasRoom(for: writer.size(of: record), entries: progress.openCount) {
                writer.add(try create())
            }
            try writer.append(record)
            try writer.flush()
        }
        return writer
    }

    private static func resume(
        _ directory: any JournalDirectory,
        _ configuration: Configuration,
        _ replay: SegmentReplay,
        _ segments: [UInt64],
        _ bootID: String,
        _ incarnation: UInt64,
        _ touched: inout [UInt64: any JournalFile]
    ) throws(JournalError) -> SegmentWriter {
        for segment in replay.torn.sorted() {
            let file = try directory.open(segment)
            let used = replay.used[segment] ?? 0
            let length = try directory.contents(of: segment).count - used
            try file.write([UInt8](repeating: 0, count: max(0, length)), at: used)
            touched[segment] = file
        }
        let last = segments.lastIndex { (replay.used[$0] ?? 0) > 0 } ?? 0
        var open: [SegmentWriter.Segment] = []
        for segment in segments[last...] {
            let file: any JournalFile = if let known = touched[segment] { known } else { try directory.open(segment) }
            open.append(SegmentWriter.Segment(number: segment, file: file, offset: replay.used[segment] ?? 0))
        }
        let current = open.removeFirst()
        var session =
            replay.state.session?.next(bootID: bootID, incarnation: incarnation)
            ?? JournalSession(
                journalID: Self.randomName(),
                bootID: bootID,
                incarnation: incarnation,
                highestTerm: replay.state.highestTerm,
                highestLease: replay.state.highestLease
            )
        session.highestTerm = replay.state.highestTerm
        session.highestLease = replay.state.highestLease
        session.file = current.file.identity
        var writer = SegmentWriter(
            state: replay.state,
            home: replay.home,
            session: session,
            current: current,
            ahead: open,
            older: Array(segments[..<last]),
            segmentSize: configuration.segmentSize,
            textLimit: configuration.replyTextLimit
        )
        try writer.append(.session(session))
        return writer
    }

    /// Journals what is in doubt and says what is left to do.
    private static func recover(
        _ writer: inout SegmentWriter,
        _ replay: SegmentReplay,
        isCopy: Bool,
        at now: Timestamp
    ) throws(JournalError) -> Recovery {
        var recovery = Recovery()
        recovery.damage = replay.damage
        recovery.isCopy = isCopy
        let undotted =
            isCopy
            ? "the satellite's journal is a copy, and the recipient may have been sent after it was made"
            : "the satellite's machine was restarted after the recipient was started"
        let sessionHadDot = replay.state.doubtful
        for lease in writer.state.leases.keys.sorted() {
            guard let progress = writer.state.leases[lease] else { continue }
            recovery.unacknowledged += progress.reports.sorted { $0.key < $1.key }.map(\.value)
            let doubtful = (sessionHadDot[lease] ?? EntryBitmap()).removing(progress.finished)
                .removing(progress.forgotten).removing(progress.returned)
            for index in doubtful.indices {
                let text =
                    progress.dotted.contains(index)
                    ? "the satellite ended between the final dot and the reply"
                    : undotted
                let outcome = DeliveryOutcome.uncertain(AttemptTrace(stage: .finalDot, text: text))
                try writer.append(.done(lease, entry: index, outcome, endedAt: now))
                if let report = progress.report(of: index, outcome, endedAt: now) { recovery.uncertain.append(report) }
            }
            recovery.heldLeases.append(Self.held(progress, without: doubtful))
        }
        return recovery
    }

    private static func held(_ progress: LeaseProgress, without doubtful: EntryBitmap) -> Recovery.HeldLease {
        let closed = progress.finished.union(progress.forgotten).union(progress.returned).union(doubtful)
        let all = EntryBitmap(progress.grant.entries.indices)
        return Recovery.HeldLease(
            grant: progress.grant,
            neverStarted: all.removing(progress.started).removing(closed),
            started: progress.started.removing(closed).intersecting(all),
            returned: progress.returned
        )
    }

    private static func randomName() -> String {
        var digits = ""
        for _ in 0..<2 {
            let half = String(UInt64.random(in: .min ... .max), radix: 16)
            digits += String(repeating: "0", count: 16 - half.count) + half
        }
        return digits
    }
}
