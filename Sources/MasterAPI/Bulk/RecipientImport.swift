// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import MailingModel
import MasterCore
import NIOCore
import RecordFormat
import ServiceLifecycle

/// What an import has to tell while it goes on.
enum ImportNews: Sendable {
    /// A line that is refused.
    case refused(ImportRefusal)
    /// How far everything before has been settled, durably.
    case progress(accepted: Int, repeated: Int, refused: Int, lines: Int)
}

/// Reads an import's body piece by piece and adds its recipients in batches, a few of them at once.
///
/// Memory is bounded by the batches under way and one piece of the body. Batches are told of in the order of the file.
struct RecipientImport: Sendable {
    /// Batches under way at once: one in the store, one that waits for it and one that is judged.
    private static let batchesAtOnce = 3
    /// A batch that has taken so much of the body is large enough, however few recipients it has.
    private static let largestBatch = 1 << 20

    let master: Master
    let mailing: MailingID
    /// Names the import, so that it may be repeated; `nil` if it may not.
    let key: String?
    let format: RecipientFormat

    /// Lines in order, and who of them is to be added.
    private struct Batch: Sendable {
        var number = 0
        var recipients: [ImportedRecipient] = []
        var refusals: [ImportRefusal] = []
        var lines = 0
        /// Of the body.
        var octets = 0

        var isEmpty: Bool { self.recipients.isEmpty && self.refusals.isEmpty }
    }

    private struct Settled: Sendable {
        var batch: Batch
        var results: Result<[ImportResult], any Error>
    }

    /// Runs to the end of the body, or to what ends it before.
    ///
    /// - Parameters:
    ///   - body: The request's.
    ///   - length: How many octets it has, if that is known; fewer are a cut connection.
    ///   - tell: Told of every refused line, and of progress after every batch.
    /// - Returns: What came of it; ``ImportSummary/failure`` says why it ended early.
    @concurrent
    func run(
        _ body: RequestBody,
        length: Int?,
        tell: @concurrent (ImportNews) async throws -> Void
    ) async -> ImportSummary {
        var source: any RecipientSource =
            switch self.format {
            case .csv(let encoding, let hasHeader): CSVRecipients(encoding: encoding, hasHeader: hasHeader)
            case .ndjson: NDJSONRecipients()
            }
        var summary = ImportSummary()
        await withTaskGroup(of: Settled.self) { group in
            var desk = Desk(columns: nil)
            do {
                try await self.read(body, length: length, &source, &desk, &group, &summary, tell)
            } catch {
                summary.fail(error)
            }
            // What is under way will be committed: it is waited for and counted, whatever ended the reading.
            while let settled = await group.next() {
                do {
                    try await desk.settle(settled, &summary, tell)
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
        _ group: inout TaskGroup<Settled>,
        _ summary: inout ImportSummary,
        _ tell: @concurrent (ImportNews) async throws -> Void
    ) async throws {
        var batch = Batch()
        var octets = 0
        for try await piece in body {
            octets += piece.readableBytes
            try source.feed(Array(piece.readableBytesView))
            try await self.take(&source, &batch, &desk, &group, &summary, tell)
            batch.octets += piece.readableBytes
            if batch.octets >= Self.largestBatch, !batch.isEmpty {
                try await self.submit(&batch, &source, &desk, &group, &summary, tell)
            }
            if Task.isShuttingDownGracefully { throw Self.stopping }
        }
        // A body that ends too soon may end in the middle of an address: its last line must not be taken.
        guard !Task.isCancelled, length.map({ $0 == octets }) ?? true else { throw Self.cut }
        try source.finish()
        try await self.take(&source, &batch, &desk, &group, &summary, tell)
        if !batch.isEmpty { try await self.submit(&batch, &source, &desk, &group, &summary, tell) }
    }

    private static let stopping = MasterError(.busy, "the master is stopping; repeat the import later")
    private static let cut = ControlRefusal(.badRequest, "cut", "the body ended before its end")

    @concurrent
    private func take(
        _ source: inout any RecipientSource,
        _ batch: inout Batch,
        _ desk: inout Desk,
        _ group: inout TaskGroup<Settled>,
        _ summary: inout ImportSummary,
        _ tell: @concurrent (ImportNews) async throws -> Void
    ) async throws {
        let limit = self.master.maximumRecipientsPerImportStep
        while let line = try source.next() {
            switch line {
            case .recipient(let recipient): batch.recipients.append(recipient)
            case .refused(let refusal): batch.refusals.append(refusal)
            }
            if batch.recipients.count + batch.refusals.count >= limit {
                try await self.submit(&batch, &source, &desk, &group, &summary, tell)
            }
        }
    }

    @concurrent
    private func submit(
        _ batch: inout Batch,
        _ source: inout any RecipientSource,
        _ desk: inout Desk,
        _ group: inout TaskGroup<Settled>,
        _ summary: inout ImportSummary,
        _ tell: @concurrent (ImportNews) async throws -> Void
    ) async throws {
        desk.columns = source.columns
        batch.lines = source.lines
        batch.number = desk.submitted
        while desk.underWay >= Self.batchesAtOnce, let settled = await group.next() {
            try await desk.settle(settled, &summary, tell)
        }
        let full = batch
        desk.submitted += 1
        group.addTask {
            do {
                guard !full.recipients.isEmpty else { return Settled(batch: full, results: .success([])) }
                let results = try await self.master.importRecipients(full.recipients, to: self.mailing, key: self.key)
                return Settled(batch: full, results: .success(results))
            } catch {
                return Settled(batch: full, results: .failure(error))
            }
        }
        batch = Batch()
    }

    /// Counts what batches came to, in the order of the file.
    private struct Desk {
        /// Batches given to the store so far.
        var submitted = 0
        var columns: (email: Int, trackingID: Int?)?
        private var next = 0
        private var early: [Int: Settled] = [:]

        init(columns: (email: Int, trackingID: Int?)?) { self.columns = columns }

        var underWay: Int { self.submitted - self.next - self.early.count }

        @concurrent
        mutating func settle(
            _ settled: Settled,
            _ summary: inout ImportSummary,
            _ tell: @concurrent (ImportNews) async throws -> Void
        ) async throws {
            self.early[settled.batch.number] = settled
            while let settled = self.early.removeValue(forKey: self.next) {
                self.next += 1
                try await self.count(settled, &summary, tell)
            }
        }

        @concurrent
        private func count(
            _ settled: Settled,
            _ summary: inout ImportSummary,
            _ tell: @concurrent (ImportNews) async throws -> Void
        ) async throws {
            let results = try settled.results.get()
            var refusals = settled.batch.refusals
            for (recipient, result) in zip(settled.batch.recipients, results) {
                switch result {
                case .accepted: summary.accepted += 1
                case .repeated:
                    summary.accepted += 1
                    summary.repeated += 1
                case .refused(let code, let reason):
                    let column = self.column(of: code)
                    refusals.append(.init(line: recipient.line, column: column, code: code.rawValue, text: reason))
                }
            }
            if refusals.count > settled.batch.refusals.count { refusals.sort { $0.line < $1.line } }
            // Counted before anything is told: a caller who has gone must not change the count.
            summary.refuse(refusals)
            summary.lines = max(summary.lines, settled.batch.lines)
            for refusal in refusals { try await tell(.refused(refusal)) }
            try await tell(
                .progress(
                    accepted: summary.accepted,
                    repeated: summary.repeated,
                    refused: summary.refused,
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
