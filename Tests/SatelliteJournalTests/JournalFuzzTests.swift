// SPDX-License-Identifier: Apache-2.0

import MailingModel
import TestKit
import Testing

@testable import SatelliteJournal

@Suite("The journal's records")
struct JournalFuzzTests {
    private func samples() -> [JournalRecord] {
        var progress = LeaseProgress(grant: sampleGrant(5))
        progress.started = EntryBitmap(0..<3)
        progress.dotted = EntryBitmap([0])
        progress.finish(0, sampleOutcome("naïve\ntext"), endedAt: sampleNow)
        let session = JournalSession(
            journalID: "0123456789abcdef0123456789abcdef",
            bootID: "boot",
            incarnation: .max,
            highestTerm: Term(rawValue: 4),
            highestLease: LeaseSerial(rawValue: .max)
        )
        let lease = LeaseSerial(rawValue: 5)
        let traces = DeliveryStage.allCases.map { AttemptTrace(stage: $0, text: $0.rawValue) }
        var records: [JournalRecord] = [
            .session(session), .lease(sampleGrant(5)), .started(lease, EntryBitmap([0, 999])), .dot(lease, entry: 3),
            .forget(lease, EntryBitmap(0..<900)), .returned(lease, EntryBitmap()), .checkpoint(progress),
        ]
        for (index, trace) in traces.enumerated() {
            let outcome: DeliveryOutcome =
                switch index % 5 {
                case 0: .delivered(trace)
                case 1: .deferred(trace)
                case 2: .failed(trace)
                case 3: .unrenderable(trace)
                default: .uncertain(trace)
                }
            records.append(.done(lease, entry: index, outcome, endedAt: sampleNow))
        }
        return records
    }

    private func segment(_ records: [JournalRecord], size: Int = 8192) -> [UInt8] {
        var encoder = ByteEncoder()
        for record in records { RecordFrame().append(record, to: &encoder, textLimit: 2048) }
        return encoder.bytes + [UInt8](repeating: 0, count: size - encoder.bytes.count)
    }

    @Test("every record reads back as it was written")
    func roundTrip() throws {
        let bytes = self.segment(self.samples())
        var read: [JournalRecord] = []
        var offset = 0
        let frame = RecordFrame()
        loop: while true {
            switch frame.read(bytes, at: offset) {
            case .record(let record, let next):
                read.append(record)
                offset = next
            case .end: break loop
            case .broken(let reason, _):
                Issue.record("\(reason)")
                break loop
            }
        }
        #expect(read == self.samples())
    }

    @Test("CRC-32C of the check string is that of the catalogue")
    func checksum() {
        let bytes = Array("123456789".utf8)
        #expect(CRC32C().checksum(of: bytes, in: 0..<9) == 0xE306_9283)
    }

    @Test("bytes that were changed anywhere never crash the reader, and never read as another record in silence")
    func mutations() {
        var generator = SeededGenerator(seed: 0x7E15_7A12)
        let records = self.samples()
        let original = self.segment(records)
        let known = Set(records)
        for _ in 0..<3_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                switch Int.random(in: 0..<3, using: &generator) {
                case 0:
                    bytes[Int.random(in: 0..<4096, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                case 1:
                    bytes[Int.random(in: 0..<4096, using: &generator)] ^=
                        1 << UInt8.random(in: 0...7, using: &generator)
                default:
                    let start = Int.random(in: 0..<4096, using: &generator)
                    for index in start..<min(bytes.count, start + 600) { bytes[index] = 0 }
                }
            }
            var offset = 0
            reading: while case .record(let record, let next) = RecordFrame().read(bytes, at: offset) {
                #expect(known.contains(record))
                guard next > offset else { break reading }
                offset = next
            }
            var replay = SegmentReplay(bootID: "boot")
            replay.read(1, bytes)
            replay.finish(isCopy: false)
        }
    }

    @Test("arbitrary contents of a record never crash its decoder")
    func arbitraryRecords() {
        var generator = SeededGenerator(seed: 42)
        var encoder = ByteEncoder()
        for record in self.samples() {
            encoder.removeAll()
            record.encode(into: &encoder, textLimit: 2048)
            let original = encoder.bytes
            for _ in 0..<2_000 {
                var bytes = original
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    let index = Int.random(in: 0..<bytes.count, using: &generator)
                    bytes[index] = UInt8.random(in: 0...255, using: &generator)
                }
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator) / 4)
                var decoder = ByteDecoder(bytes)
                _ = try? JournalRecord(from: &decoder)
            }
        }
    }

    @Test("a random history, cut anywhere by death of the process, loses nothing that was promised")
    func randomHistories() throws {
        var generator = SeededGenerator(seed: 2026)
        for _ in 0..<60 {
            let directory = RecordingDirectory()
            let (journal, _) = try openJournal(
                directory,
                configuration: Journal.Configuration(segmentSize: 64 * 1024, compactionThreshold: 2)
            )
            var dotted: Set<Int> = []
            var done: Set<Int> = []
            let lease = LeaseSerial(rawValue: 1)
            _ = try journal.accept([sampleGrant(1, recipients: 30)])
            for step in 0..<Int.random(in: 0..<60, using: &generator) {
                let index = Int.random(in: 0..<30, using: &generator)
                if !dotted.contains(index) {
                    try journal.recordStarted([lease: EntryBitmap([index])])
                    try journal.recordDot(lease, entry: index)
                    dotted.insert(index)
                } else if !done.contains(index) {
                    try journal.recordDone(lease, entry: index, sampleOutcome(), endedAt: sampleNow)
                    try journal.flush()
                    done.insert(index)
                }
                if step % 7 == 0 {
                    _ = try journal.accept([sampleGrant(Int64(step + 2), recipients: 30, payload: 300)])
                }
            }
            let (_, recovery) = try openJournal(directory.afterProcessDeath(), incarnation: 2)
            let uncertain = recovery.uncertain.filter { $0.lease == lease }.map { Int($0.recipient.ordinal) }
            #expect(Set(uncertain) == dotted.subtracting(done))
            #expect(Set(recovery.unacknowledged.map { Int($0.recipient.ordinal) }) == done)
        }
    }
}
