// SPDX-License-Identifier: Apache-2.0

import Logging
import SMTP
import Synchronization

/// What all connections of one sink share.
final class SinkCore: Sendable {
    let attempts = SinkAttempts()
    let countsAttempts: Bool
    let verifies: Bool
    let seed: UInt64

    private let rules: [SinkScript.Step: [SinkScript.Rule]]
    private let journal: SinkFile?
    private let maildirPath: String?
    private let maildirLimit: Int
    private let logger: Logger
    private let verifications: AsyncStream<SinkVerification>.Continuation?
    private let startedAt = SinkTime.now.seconds
    private let connections = Atomic<Int>(0)
    private let accepted = Atomic<Int>(0)
    private let refusals = Atomic<Int>(0)
    private let messageNumber = Atomic<Int>(0)

    init(
        _ configuration: SinkConfiguration,
        logger: Logger,
        verifications: AsyncStream<SinkVerification>.Continuation?
    ) throws {
        self.rules = configuration.script.rules
        self.seed = configuration.script.seed
        self.countsAttempts = configuration.script.countsAttempts
        self.verifies = verifications != nil
        self.verifications = verifications
        self.journal = try configuration.journalPath.map { try SinkFile(appendingTo: $0) }
        self.maildirPath = configuration.maildirPath
        self.maildirLimit = configuration.maildirLimit ?? .max
        if let path = configuration.maildirPath { try SinkFile.makeMaildir(path) }
        self.logger = logger
    }

    /// What has happened so far.
    var counts: SinkCounts {
        SinkCounts(
            connections: self.connections.load(ordering: .relaxed),
            accepted: self.accepted.load(ordering: .relaxed),
            refused: self.refusals.load(ordering: .relaxed)
        )
    }

    func rules(at step: SinkScript.Step) -> [SinkScript.Rule]? { self.rules.isEmpty ? nil : self.rules[step] }

    /// Counts a connection; the number is from 1.
    func connectionOpened() -> Int { self.connections.add(1, ordering: .relaxed).newValue }

    func refused() { self.refusals.add(1, ordering: .relaxed) }

    func nextMessageNumber() -> Int { self.messageNumber.add(1, ordering: .relaxed).newValue }

    func verify(_ verification: SinkVerification) { self.verifications?.yield(verification) }

    /// Writes what is to be kept of an accepted message; `false` if that failed, and then it is not accepted.
    func keep(_ record: SinkRecord, _ content: [UInt8], _ number: Int) -> Bool {
        do {
            if let maildirPath = self.maildirPath, number <= self.maildirLimit {
                let name = "\(record.time.seconds).S\(self.startedAt)N\(number).sink"
                try SinkFile.deliver(content, name: name, intoMaildir: maildirPath)
            }
            if let journal = self.journal {
                var line: [UInt8] = []
                line.reserveCapacity(512)
                record.write(into: &line)
                try journal.append(line)
            }
        } catch {
            self.refused()
            self.logger.error("accepted message not kept, sender told to retry", metadata: ["reason": "\(error)"])
            return false
        }
        self.accepted.add(1, ordering: .relaxed)
        return true
    }
}

/// What a sink has seen since it began.
public struct SinkCounts: Hashable, Sendable {
    /// Connections taken.
    public var connections: Int
    /// Messages accepted, those included whose connection was dropped after the final dot.
    public var accepted: Int
    /// Messages refused after the final dot.
    public var refused: Int
}

/// One message whose signatures are to be verified.
struct SinkVerification: Sendable {
    let content: [UInt8]
    let finish: @Sendable ([SinkSignature]) -> Void
}
