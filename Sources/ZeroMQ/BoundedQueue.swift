// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Synchronization

/// A first-in, first-out queue with a bound, between many producers and one consumer, either of which may be a thread.
///
/// Tasks wait (``send(_:)``, ``next()``); threads try (``push(_:)``, ``pop()``) and are woken by the callbacks. The bound
/// is on the number of elements and on the sum of their costs; whoever finds room may put one group of elements in,
/// even where the group exceeds what is left, so that an element that costs more than the bound still passes.
public final class BoundedQueue<Element: Sendable>: Sendable {
    /// What became of an element that was offered.
    public enum PushResult: Sendable {
        /// It is in the queue.
        case pushed
        /// There was no room; nothing was put in.
        case full
        /// The queue takes nothing more.
        case finished
    }

    private enum PushStep {
        case rejected(PushResult)
        case handed(CheckedContinuation<Element?, Never>, Element)
        case queued(wasEmpty: Bool)
    }

    private enum ReadStep {
        case wait
        case end
        case take(Element, [CheckedContinuation<Void, Never>], hasRoom: Bool)
    }

    private struct State {
        var elements: Deque<Element> = []
        var cost = 0
        var isFinished = false
        var reader: (ticket: UInt64, continuation: CheckedContinuation<Element?, Never>)?
        var writers: [(ticket: UInt64, continuation: CheckedContinuation<Void, Never>)] = []
        var lastTicket: UInt64 = 0
    }

    private let capacity: Int
    private let costLimit: Int
    private let cost: @Sendable (Element) -> Int
    private let onFilled: @Sendable () -> Void
    private let onRoom: @Sendable () -> Void
    private let state = Mutex(State())

    /// Makes an empty queue.
    ///
    /// - Parameters:
    ///   - capacity: Elements held at most, 1 or more.
    ///   - costLimit: Sum of costs held at most.
    ///   - cost: The cost of one element, usually its bytes.
    ///   - onFilled: Called when the queue turns from empty to not empty, for a consumer that is a thread.
    ///   - onRoom: Called when the queue turns from full to not full, for a producer that is a thread.
    public init(
        capacity: Int,
        costLimit: Int = .max,
        cost: @escaping @Sendable (Element) -> Int = { _ in 0 },
        onFilled: @escaping @Sendable () -> Void = {},
        onRoom: @escaping @Sendable () -> Void = {}
    ) {
        precondition(capacity > 0, "a queue without room would never pass anything on")
        self.capacity = capacity
        self.costLimit = costLimit
        self.cost = cost
        self.onFilled = onFilled
        self.onRoom = onRoom
    }

    /// How many elements wait.
    public var count: Int { self.state.withLock { $0.elements.count } }

    /// Whether an element offered now would be rejected for lack of room.
    public var isFull: Bool { self.state.withLock { self.isFull($0) } }

    /// Puts an element in if there is room.
    @discardableResult
    public func push(_ element: Element) -> PushResult { self.push([element], even: false) }

    /// Puts elements in, all or none, without anything between them.
    @discardableResult
    public func push(contentsOf elements: [Element]) -> PushResult { self.push(elements, even: false) }

    /// Puts an element in even where there is no room; for what is rare and must not be lost.
    @discardableResult
    public func pushBeyondBound(_ element: Element) -> PushResult { self.push([element], even: true) }

    /// Puts an element in, waiting for room.
    ///
    /// - Returns: `false` if the queue is finished or the task cancelled; the element is then not in the queue.
    public func send(_ element: Element) async -> Bool {
        while true {
            switch self.push(element) {
            case .pushed: return true
            case .finished: return false
            case .full:
                await self.room()
                if Task.isCancelled { return false }
            }
        }
    }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Waits until there is room, the queue is finished or the task cancelled; somebody else may take the room first.
    @concurrent
    public func room() async {
        let ticket = self.makeTicket()
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = self.state.withLock { state in
                    guard self.isFull(state), !state.isFinished, !Task.isCancelled else { return false }
                    state.writers.append((ticket, continuation))
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            let continuation = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
                guard let index = state.writers.firstIndex(where: { $0.ticket == ticket }) else { return nil }
                return state.writers.remove(at: index).continuation
            }
            continuation?.resume()
        }
    }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Takes the first element, waiting for one; one task at a time may wait.
    ///
    /// - Returns: `nil` if the queue is finished and empty, or the task cancelled.
    @concurrent
    public func next() async -> Element? {
        let ticket = self.makeTicket()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let step: ReadStep = self.state.withLock { state in
                    if Task.isCancelled { return .end }
                    if let (element, writers, hasRoom) = self.take(&state) {
                        return .take(element, writers, hasRoom: hasRoom)
                    }
                    if state.isFinished { return .end }
                    precondition(state.reader == nil, "two tasks read from one queue")
                    state.reader = (ticket, continuation)
                    return .wait
                }
                switch step {
                case .wait: break
                case .end: continuation.resume(returning: nil)
                case .take(let element, let writers, let hasRoom):
                    continuation.resume(returning: element)
                    for writer in writers { writer.resume() }
                    if hasRoom { self.onRoom() }
                }
            }
        } onCancel: {
            let continuation = self.state.withLock { state -> CheckedContinuation<Element?, Never>? in
                guard let reader = state.reader, reader.ticket == ticket else { return nil }
                state.reader = nil
                return reader.continuation
            }
            continuation?.resume(returning: nil)
        }
    }

    /// Takes the first element if there is one.
    public func pop() -> Element? {
        guard let (element, writers, hasRoom) = self.state.withLock({ self.take(&$0) }) else { return nil }
        for writer in writers { writer.resume() }
        if hasRoom { self.onRoom() }
        return element
    }

    /// Requeues an element at the head, whatever the bound; for a consumer that could not pass it on.
    public func requeue(_ element: Element) {
        self.state.withLock { state in
            state.elements.prepend(element)
            state.cost += self.cost(element)
        }
    }

    /// Throws away what waits.
    public func removeAll() {
        let writers = self.state.withLock { state in
            state.elements.removeAll()
            state.cost = 0
            return self.takeWriters(&state)
        }
        for writer in writers { writer.resume() }
    }

    /// Takes nothing more; what is in the queue can still be taken out.
    public func finish() {
        let (reader, writers) = self.state.withLock { state in
            state.isFinished = true
            let reader = state.elements.isEmpty ? state.reader : nil
            if reader != nil { state.reader = nil }
            return (reader?.continuation, self.takeWriters(&state))
        }
        reader?.resume(returning: nil)
        for writer in writers { writer.resume() }
    }

    private func push(_ elements: [Element], even beyondBound: Bool) -> PushResult {
        let step: PushStep = self.state.withLock { state in
            if state.isFinished { return .rejected(.finished) }
            if !beyondBound, self.isFull(state) { return .rejected(.full) }
            let wasEmpty = state.elements.isEmpty
            for element in elements {
                state.elements.append(element)
                state.cost += self.cost(element)
            }
            // A reader waits only while the queue is empty, so the first of these is its own.
            if let reader = state.reader, let first = state.elements.popFirst() {
                state.reader = nil
                state.cost -= self.cost(first)
                return .handed(reader.continuation, first)
            }
            return .queued(wasEmpty: wasEmpty)
        }
        switch step {
        case .rejected(let result): return result
        case .handed(let continuation, let element): continuation.resume(returning: element)
        case .queued(let wasEmpty): if wasEmpty { self.onFilled() }
        }
        return .pushed
    }

    private func isFull(_ state: State) -> Bool {
        state.elements.count >= self.capacity || (state.cost >= self.costLimit && !state.elements.isEmpty)
    }

    private func take(_ state: inout State) -> (Element, [CheckedContinuation<Void, Never>], hasRoom: Bool)? {
        let wasFull = self.isFull(state)
        guard let element = state.elements.popFirst() else { return nil }
        state.cost -= self.cost(element)
        guard wasFull, !self.isFull(state) else { return (element, [], false) }
        return (element, self.takeWriters(&state), true)
    }

    private func takeWriters(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
        defer { state.writers.removeAll() }
        return state.writers.map(\.continuation)
    }

    private func makeTicket() -> UInt64 {
        self.state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
    }
}
