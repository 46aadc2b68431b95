// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Hummingbird
import MailingModel
import MasterCore
import NIOCore
import RecordFormat
import ServiceLifecycle

/// Progress of an import while it goes on.
enum ImportProgress: Sendable {
    /// A line that is refused.
    case refused(ImportRefusal)
    /// How far the import has been committed.
    case progress(accepted: Int, repeated: Int, refused: Int, duplicates: Int, lines: Int)
}

/// Reads an import's body piece by piece and adds its recipients in steps, a few of them at once.
///
/// Memory is bounded by the steps that are not reported yet and one piece of the body. Steps are reported in the order of the
/// file.
struct RecipientImport: Sendable {
    /// Steps given to the store that are not reported yet; one more is read meanwhile.
    private static let stepsAtOnce = 3
    /// A step that takes so many bytes of memory is large enough, however few recipients it has.
    private static let largestFootprint = 2 << 20

    let operations: AccountOperations
    let mailing: MailingID
    /// The idempotency key; `nil` if the import can't be repeated.
    let key: String?
    let format: RecipientFormat
    /// Whether lines that repeat an earlier line's address are left out.
    let skipsDuplicates: Bool
    /// Whether the caller is still authorised; checked before every piece.
    let mayGoOn: @Sendable () -> Bool

    /// Consecutive lines, and the recipients to add from them.
    private struct Step: Sendable {
        var number = 0
        var recipients: [ImportedRecipient] = []
        var refusals: [ImportRefusal] = []
        /// How many lines were left out as duplicates.
        var skipped = 0
        /// Which of ``recipients`` have an address that had come before.
        var duplicates: Set<Int> = []
        var lines = 0
        /// The records of ``recipients`` as they were written, one after the other, and where each ends.
        var rows: [UInt8] = []
        var rowEnds: [Int] = []
        /// About how many bytes of memory its recipients take.
        var footprint = 0

        var isEmpty: Bool { self.recipients.isEmpty && self.refusals.isEmpty && self.skipped == 0 }

        func row(_ index: Int) -> String {
            String(decoding: self.rows[(index == 0 ? 0 : self.rowEnds[index - 1])..<self.rowEnds[index]], as: UTF8.self)
        }
    }

    private struct CompletedStep: Sendable {
        var step: Step
        var results: Result<[ImportResult], any Error>
    }

    /// Imports the body until it ends or the import fails.
    ///
    /// - Parameters:
    ///   - body: The request's.
    ///   - length: How many bytes it has, if that is known; fewer are a cut connection.
    ///   - report: Called for every refused line, and with progress after every step.
    /// - Returns: The result; ``ImportSummary/failure`` says why it ended early.
    @concurrent
    func run(
        _ body: RequestBody,
        length: Int?,
        report: @concurrent (ImportProgress) async throws -> Void
    ) async -> ImportSummary {
        var source: any RecipientSource =
            switch self.format {
            case .csv(let encoding, let hasHeader): CSVRecipients(encoding: encoding, hasHeader: hasHeader)
            case .ndjson: NDJSONRecipients()
            }
        var summary = ImportSummary()
        await withTaskGroup(of: CompletedStep.self) { group in
            var desk = Desk(columns: nil)
            do {
                try await self.read(body, length: length, &source, &desk, &group, &summary, report)
            } catch {
                summary.fail(error)
            }
            // What is under way will be committed: it is waited for and counted, whatever ended the reading.
            while let completed = await group.next() {
                do {
                    try await desk.complete(completed, &summary, report)
                } catch {
                    summary.fail(error)
                }
            }
        }
        if summary.failure == nil { summary.lines = source.lines }
        return summary
    }

    @concurrent
    private func read(
        _ body: RequestBody,
        length: Int?,
        _ source: inout any RecipientSource,
        _ desk: inout Desk,
        _ group: inout TaskGroup<CompletedStep>,
        _ summary: inout ImportSummary,
        _ report: @concurrent (ImportProgress) async throws -> Void
    ) async throws {
        var step = Step()
        var seen = SeenAddresses()
        var bytes = 0
        for try await piece in body {
            guard self.mayGoOn() else { throw Caller.revoked }
            bytes += piece.readableBytes
            try source.feed(Array(piece.readableBytesView))
            try await self.take(&source, &step, &seen, &desk, &group, &summary, report)
            if Task.isShuttingDownGracefully { throw Self.stopping }
        }
        guard self.mayGoOn() else { throw Caller.revoked }
        // A body that ends too soon may end in the middle of an address: its last line must not be taken.
        guard !Task.isCancelled, length.map({ $0 == bytes }) ?? true else { throw Self.cut }
        try source.finish()
        try await self.take(&source, &step, &seen, &desk, &group, &summary, report)
        if !step.isEmpty { try await self.submit(&step, &source, &desk, &group, &summary, report) }
    }

    private static let stopping = MasterError(.busy, "the master is stopping; repeat the import later")
    private static let cut = APIRefusal(.badRequest, "cut", "the body ended before its end")

    @concurrent
    private func take(
        _ source: inout any RecipientSource,
        _ step: inout Step,
        _ seen: inout SeenAddresses,
        _ desk: inout Desk,
        _ group: inout TaskGroup<CompletedStep>,
        _ summary: inout ImportSummary,
        _ report: @concurrent (ImportProgress) async throws -> Void
    ) async throws {
        let limit = self.operations.maximumRecipientsPerImportStep
        while let line = try source.next() {
            switch line {
            case .recipient(let recipient):
                if seen.isRepeated(recipient.submission.address) {
                    if self.skipsDuplicates {
                        step.skipped += 1
                        break
                    }
                    step.duplicates.insert(step.recipients.count)
                }
                step.recipients.append(recipient)
                source.appendRow(to: &step.rows)
                step.rowEnds.append(step.rows.count)
                step.footprint += recipient.submission.footprint
            case .refused(var refusal):
                var row: [UInt8] = []
                source.appendRow(to: &row)
                refusal.row = String(decoding: row, as: UTF8.self)
                step.refusals.append(refusal)
                step.footprint += row.count
            }
            if step.recipients.count + step.refusals.count + step.skipped >= limit
                || step.footprint + step.rows.count >= Self.largestFootprint
            {
                try await self.submit(&step, &source, &desk, &group, &summary, report)
            }
        }
    }

    @concurrent
    private func submit(
        _ step: inout Step,
        _ source: inout any RecipientSource,
        _ desk: inout Desk,
        _ group: inout TaskGroup<CompletedStep>,
        _ summary: inout ImportSummary,
        _ report: @concurrent (ImportProgress) async throws -> Void
    ) async throws {
        desk.columns = source.columns
        step.lines = source.lines
        step.number = desk.submitted
        while desk.unreported >= Self.stepsAtOnce, let completed = await group.next() {
            try await desk.complete(completed, &summary, report)
        }
        let full = step
        desk.submitted += 1
        group.addTask {
            do {
                guard !full.recipients.isEmpty else { return CompletedStep(step: full, results: .success([])) }
                let results = try await self.operations.importRecipients(
                    full.recipients,
                    to: self.mailing,
                    key: self.key
                )
                return CompletedStep(step: full, results: .success(results))
            } catch {
                return CompletedStep(step: full, results: .failure(error))
            }
        }
        step = Step()
    }

    /// Counts the results of steps in the order of the file.
    private struct Desk {
        /// Steps given to the store so far.
        var submitted = 0
        var columns: (email: Int, trackingID: Int?)?
        private var next = 0
        private var early: [Int: CompletedStep] = [:]

        init(columns: (email: Int, trackingID: Int?)?) { self.columns = columns }

        /// Completed ones that wait for an older one count as well.
        var unreported: Int { self.submitted - self.next }

        @concurrent
        mutating func complete(
            _ completed: CompletedStep,
            _ summary: inout ImportSummary,
            _ report: @concurrent (ImportProgress) async throws -> Void
        ) async throws {
            self.early[completed.step.number] = completed
            // Steps behind one that failed are committed all the same.
            var failure: (any Error)?
            while let completed = self.early.removeValue(forKey: self.next) {
                self.next += 1
                do {
                    try await self.count(completed, &summary, report)
                } catch {
                    failure = failure ?? error
                }
            }
            if let failure { throw failure }
        }

        @concurrent
        private func count(
            _ completed: CompletedStep,
            _ summary: inout ImportSummary,
            _ report: @concurrent (ImportProgress) async throws -> Void
        ) async throws {
            let results = try completed.results.get()
            var refusals = completed.step.refusals
            summary.duplicates += completed.step.skipped
            for (index, (recipient, result)) in zip(completed.step.recipients, results).enumerated() {
                switch result {
                case .accepted:
                    summary.accepted += 1
                    if completed.step.duplicates.contains(index) { summary.duplicates += 1 }
                case .repeated:
                    summary.accepted += 1
                    summary.repeated += 1
                    if completed.step.duplicates.contains(index) { summary.duplicates += 1 }
                case .refused(let code, let reason):
                    let column = self.column(of: code)
                    refusals.append(
                        .init(
                            line: recipient.line,
                            column: column,
                            code: code.rawValue,
                            text: reason,
                            row: completed.step.row(index)
                        )
                    )
                }
            }
            if refusals.count > completed.step.refusals.count { refusals.sort { $0.line < $1.line } }
            // Counted before anything is reported: a caller who has gone must not change the count.
            summary.refuse(refusals)
            summary.lines = max(summary.lines, completed.step.lines)
            for refusal in refusals { try await report(.refused(refusal)) }
            try await report(
                .progress(
                    accepted: summary.accepted,
                    repeated: summary.repeated,
                    refused: summary.refused,
                    duplicates: summary.duplicates,
                    lines: summary.lines
                )
            )
        }

        private func column(of code: RefusalCode) -> Int? {
            switch code {
            case .badAddress: self.columns?.email
            case .badTrackingID, .trackingIDTaken: self.columns?.trackingID
            case .badField, .badAttachment, .keyReused: nil
            }
        }
    }
}

extension RecipientSubmission {
    /// About how many bytes of memory it takes.
    fileprivate var footprint: Int {
        let own = MergeValue.fixed + self.address.utf8.count + (self.trackingID?.utf8.count ?? 0)
        return self.attachments.reduce(own + self.fields.footprint) { $0 + $1.footprint }
    }
}

extension AttachmentSubmission {
    fileprivate var footprint: Int {
        let texts = [self.filename, self.contentType, self.charset, self.contentID]
        return texts.reduce(MergeValue.fixed + self.bytes.count) { $0 + ($1?.utf8.count ?? 0) }
    }
}

extension MergeFields {
    fileprivate var footprint: Int { self.fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.footprint } }
}

extension MergeValue {
    /// What a value takes beside what it refers to.
    fileprivate static let fixed = 48

    fileprivate var footprint: Int {
        switch self {
        case .null, .integer, .double, .bool, .dateTime: Self.fixed
        case .text(let text): Self.fixed + text.utf8.count
        case .bytes(let bytes): Self.fixed + bytes.count
        case .list(let values): values.reduce(Self.fixed) { $0 + $1.footprint }
        case .map(let fields): Self.fixed + fields.footprint
        }
    }
}
