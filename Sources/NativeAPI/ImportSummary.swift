// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Logging
import MailingModel
import MasterCore
import RecordFormat

/// The result of an import.
struct ImportSummary: Sendable {
    /// Errors that are listed in an answer of one piece.
    static let maximumErrors = 1_000

    /// Bytes of their records that are listed with them.
    static let maximumRowBytes = 1 << 20

    /// Recipients of the import that are in the mailing, from this run or an earlier one.
    var accepted = 0
    /// Those among them that an earlier run had added.
    var repeated = 0
    /// Records that were refused.
    private(set) var refused = 0
    /// Lines whose address an earlier line of the import has: those that were added or, if that was asked for, left out.
    var duplicates = 0
    /// Lines read and processed.
    var lines = 0
    /// The first refused records.
    private(set) var errors: [ImportRefusal] = []
    private var rowBytes = 0
    /// Why the import ended early, or `nil`.
    private(set) var failure: APIRefusal?
    /// What the store said of the failure, if it was the store's.
    private var cause: String?

    /// Counts refused records.
    mutating func refuse(_ refusals: [ImportRefusal]) {
        self.refused += refusals.count
        for var refusal in refusals.prefix(max(0, Self.maximumErrors - self.errors.count)) {
            self.rowBytes += refusal.row?.utf8.count ?? 0
            if self.rowBytes > Self.maximumRowBytes { refusal.row = nil }
            self.errors.append(refusal)
        }
    }

    /// Notes what ended the import; the first reason is the one to report.
    mutating func fail(_ error: any Error) {
        guard self.failure == nil else { return }
        switch error {
        case let refusal as APIRefusal: self.failure = refusal
        case let error as MasterError: (self.failure, self.cause) = (APIRefusal(error), error.cause)
        case let error as TooManyRecords:
            self.failure = APIRefusal(.contentTooLarge, "too_many_records", "\(error)")
        default: self.failure = APIRefusal(.badRequest, "cut", "the body ended before its end")
        }
    }

    /// Logs an import that ended early; a failure of the store with its cause, which the client is not told.
    func log(of mailing: MailingID, _ logger: Logger) {
        guard let failure = self.failure else { return }
        let reason = self.cause.map { "\(failure.message): \($0)" } ?? failure.message
        logger.log(
            level: self.cause == nil ? .notice : .error,
            "an import ended before its end",
            metadata: ["mailing": "\(mailing)", "line": "\(self.lines)", "error": "\(reason)"]
        )
    }

    /// The complete answer as JSON.
    func json(of mailing: MailingID, withErrors: Bool = true) -> JSONValue {
        .object(self.members(of: mailing, withErrors: withErrors))
    }

    /// The members of a problem beside its own: the counts, and the refused records as `refusals`.
    func problemMembers(of mailing: MailingID) -> [JSONValue.Member] {
        self.members(of: mailing, withErrors: false).filter { $0.name != "error" }
            + [.init("refusals", .array(self.errors.map(\.json)))]
    }

    private func members(of mailing: MailingID, withErrors: Bool) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("mailing", .integer(Int64(mailing.rawValue))), .init("accepted", .integer(Int64(self.accepted))),
            .init("repeated", .integer(Int64(self.repeated))), .init("refused", .integer(Int64(self.refused))),
            .init("duplicates", .integer(Int64(self.duplicates))), .init("lines", .integer(Int64(self.lines))),
            .init("complete", .bool(self.failure == nil)),
        ]
        if withErrors { members.append(.init("errors", .array(self.errors.map(\.json)))) }
        if let failure = self.failure { members.append(.init("error", failure.reason)) }
        return members
    }
}

extension ImportRefusal {
    var json: JSONValue {
        var members: [JSONValue.Member] = [.init("line", .integer(Int64(self.line)))]
        if let column = self.column { members.append(.init("column", .integer(Int64(column)))) }
        members += [.init("code", .string(self.code)), .init("text", .string(self.text))]
        if let row = self.row { members.append(.init("row", .string(row))) }
        return .object(members)
    }
}

/// The lines of an answer that is written while the import goes on.
struct ImportLines {
    private var reportedProgress: ContinuousClock.Instant?

    /// The line for a refusal or for progress; empty for progress within 100 ms of the last.
    mutating func text(of progress: ImportProgress) -> [UInt8] {
        switch progress {
        case .refused(let refusal): return JSONValue.object([.init("refused", refusal.json)]).line
        case .progress(let accepted, let repeated, let refused, let duplicates, let lines):
            let now = ContinuousClock.now
            if let last = self.reportedProgress, last.duration(to: now) < .milliseconds(100) { return [] }
            self.reportedProgress = now
            return JSONValue.object([
                .init(
                    "progress",
                    .object([
                        .init("accepted", .integer(Int64(accepted))), .init("repeated", .integer(Int64(repeated))),
                        .init("refused", .integer(Int64(refused))), .init("duplicates", .integer(Int64(duplicates))),
                        .init("lines", .integer(Int64(lines))),
                    ])
                )
            ]).line
        }
    }
}
