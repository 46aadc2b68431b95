// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import SatelliteCore
import Synchronization
import Testing

/// What a test waited for and did not come.
struct NotInTime: Error, CustomStringConvertible {
    var description: String
}

/// A value whose changes can be awaited.
final class Watched<Value: Sendable>: Sendable {
    private struct Waiter: Sendable {
        var isDone: @Sendable (Value) -> Bool
        var continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var value: Value
        var waiters: [UInt64: Waiter] = [:]
        var next: UInt64 = 0
    }

    private let state: Mutex<State>

    init(_ value: Value) { self.state = Mutex(State(value: value)) }

    var value: Value { self.state.withLock { $0.value } }

    func change<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        let (result, done) = self.state.withLock { state in
            let result = body(&state.value)
            let value = state.value
            let done = state.waiters.filter { $0.value.isDone(value) }
            for key in done.keys { state.waiters[key] = nil }
            return (result, done.values.map(\.continuation))
        }
        for continuation in done { continuation.resume() }
        return result
    }

    /// Returns as soon as the value fits.
    ///
    /// - Throws: ``NotInTime`` if the task is cancelled before, as the test's time limit does.
    func until(_ what: String, _ isDone: @escaping @Sendable (Value) -> Bool) async throws {
        let key = self.state.withLock { state in
            state.next += 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let mustWait = self.state.withLock { state in
                    // A wait that is cancelled before it has begun finds nobody to wake it.
                    if Task.isCancelled || isDone(state.value) { return false }
                    state.waiters[key] = Waiter(isDone: isDone, continuation: continuation)
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.waiters.removeValue(forKey: key) }?.continuation.resume()
        }
        if Task.isCancelled { throw NotInTime(description: "\(what) did not come: \(self.value)") }
    }
}

/// A master in a test: grants what the test sets, commits starts, applies reports.
final class ScriptedMaster: MasterUplink {
    struct State: Sendable {
        var blobs: [BlobHash: [UInt8]] = [:]
        var keys: [BlobHash: String] = [:]
        /// Whether Starts are answered at once.
        var answersStarts = true
        /// Entries that are refused when requested.
        var refusals: [LeaseSerial: EntryBitmap] = [:]
        var acknowledgesReports = true
        var isConnected = false
        /// The connections made so far.
        var connection: UInt64 = 0
        var accepted: [LeaseSerial] = []
        var started: [LeaseSerial: EntryBitmap] = [:]
        var unanswered: [(LeaseSerial, EntryBitmap)] = []
        var returned: [LeaseSerial: EntryBitmap] = [:]
        var reports: [DeliveryReport] = []
        var batches: [UInt64] = []
        var credit: [DeliveryClass: Int] = [:]
        var isGone = false
        /// How many entries had been returned when the goodbye came.
        var returnedBeforeGoodbye: Int?
        /// Whether the link is slow to take up what is returned: it does not until this is over.
        var holdsReturns = false
        /// What was returned and had to wait for that so far.
        var heldReturns = 0
        var blobRequests = 0
    }

    let state = Watched(State())
    private let events: AsyncStream<SatelliteLinkEvent>
    private let continuation: AsyncStream<SatelliteLinkEvent>.Continuation
    private let iterator: Mutex<AsyncStream<SatelliteLinkEvent>.Iterator?>

    init() {
        (self.events, self.continuation) = AsyncStream.makeStream()
        self.iterator = Mutex(nil)
    }

    // MARK: The satellite's side

    func run() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        for await _ in stream {}  // Until it is cancelled.
        withExtendedLifetime(continuation) {}
    }

    func nextEvent() async -> SatelliteLinkEvent? {
        for await event in self.events { return event }
        return nil
    }

    func blob(_ hash: BlobHash) async throws -> [UInt8] {
        let bytes = self.state.change { state in
            state.blobRequests += 1
            return state.blobs[hash]
        }
        guard let bytes else { throw MissingBlob() }
        return bytes
    }

    func transmit(_ message: SatelliteMessage, over connection: UInt64) async {
        guard self.state.value.connection == connection else { return }
        await self.transmit(message)
    }

    func transmit(_ message: SatelliteMessage) async {
        if case .returned = message {
            self.state.change { if $0.holdsReturns { $0.heldReturns += 1 } }
            do {
                try await self.state.until("the link takes returns") { !$0.holdsReturns }
            } catch {
                Issue.record(error)
            }
        }
        let answers: [MasterMessage] = self.state.change { state in
            guard state.isConnected else { return [] }
            switch message {
            case .leaseAccepted(let lease): state.accepted.append(lease)
            case .credit(let credit): state.credit = credit
            case .returned(let lease, let entries): state.returned[lease, default: EntryBitmap()].formUnion(entries)
            case .start(let lease, let entries):
                guard state.answersStarts else {
                    state.unanswered.append((lease, entries))
                    return []
                }
                return [Self.commit(lease, entries, &state)]
            case .reports(let sequence, let reports):
                state.batches.append(sequence)
                state.reports += reports
                return state.acknowledgesReports ? [.reportsApplied(sequence: sequence)] : []
            case .signingKeyRequest(let hash): return [.signingKey(hash, pem: state.keys[hash])]
            case .goodbye:
                state.isGone = true
                state.returnedBeforeGoodbye = state.returned.values.reduce(0) { $0 + $1.count }
            case .handshake, .heartbeat: break
            }
            return []
        }
        for answer in answers { self.continuation.yield(.message(answer)) }
    }

    private static func commit(_ lease: LeaseSerial, _ entries: EntryBitmap, _ state: inout State) -> MasterMessage {
        let refusals = state.refusals[lease] ?? EntryBitmap()
        let allowed = EntryBitmap(entries.indices.filter { !refusals.contains($0) })
        state.started[lease, default: EntryBitmap()].formUnion(allowed)
        return .started(lease, allowed, refused: EntryBitmap(entries.indices.filter { refusals.contains($0) }))
    }

    // MARK: The test's side

    func connect(known: [LeaseSerial] = [], isDistrusted: Bool = false) {
        let connection = self.state.change { state in
            state.isConnected = true
            state.connection += 1
            return state.connection
        }
        var welcome = Welcome(storeID: "test", term: Term(rawValue: 1), knownLeases: known)
        welcome.journalIsDistrusted = isDistrusted
        self.continuation.yield(.connected(welcome, connection: connection))
    }

    func disconnect() {
        self.state.change { $0.isConnected = false }
        self.continuation.yield(.disconnected(reason: "the test took the master away"))
    }

    func grant(_ grant: LeaseGrant) { self.continuation.yield(.message(.grant(grant))) }

    func say(_ message: MasterMessage) { self.continuation.yield(.message(message)) }

    /// Answers the Starts that were held back.
    func answerStarts() {
        let answers = self.state.change { state in
            state.answersStarts = true
            let waiting = state.unanswered
            state.unanswered = []
            return waiting.map { Self.commit($0.0, $0.1, &state) }
        }
        for answer in answers { self.say(answer) }
    }

    /// The reports without repetitions, by recipient.
    var outcomes: [RecipientID: DeliveryOutcome] {
        var outcomes: [RecipientID: DeliveryOutcome] = [:]
        for report in self.state.value.reports where outcomes[report.recipient] == nil {
            outcomes[report.recipient] = report.outcome
        }
        return outcomes
    }

    func untilReported(_ count: Int) async throws {
        try await self.state.until("\(count) reports") { state in
            Set(state.reports.map(\.recipient)).count >= count
        }
    }
}

struct MissingBlob: Error {}
