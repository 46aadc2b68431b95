// SPDX-License-Identifier: Apache-2.0

import Listening
import NIOCore

/// Which deadline of an HTTP connection is next, and whether it has passed.
///
/// A deadline is for what the *other* side owes: the handshake, a head, a body that is waited for, room for an answer. While
/// the answer is ours to make there is none, so that a stream of events may be silent for as long as there are no events.
/// A body that nobody reads for now (the store is slow) owes nothing either. The clock and the connection are outside.
struct ConnectionDeadlines {
    /// What was waited for in vain.
    enum Deadline: String, Sendable {
        case handshake, head, body, idle, answer

        /// For the log.
        var reason: String {
            switch self {
            case .handshake: "the TLS handshake was not finished in time"
            case .head: "the head of a request was not complete in time"
            case .body: "the body of a request stopped coming"
            case .idle: "no further request came"
            case .answer: "the answer was not read in time"
            }
        }
    }

    /// What a look at the clock has shown.
    enum Look: Equatable {
        /// Nothing has passed; look again then, or after the next event.
        case wait(until: NIODeadline?)
        /// It has passed: the connection is closed.
        case close(Deadline)
    }

    private let limits: ConnectionLimits
    private var handshakeSince: NIODeadline?
    /// Since when a request may come.
    private var idleSince: NIODeadline
    /// Whether a request has come before.
    private var hadRequest = false
    /// When the first byte of a head came that is not complete.
    private var headSince: NIODeadline?
    private var isReadingBody = false
    /// When the body last moved, or was asked for again after a rest.
    private var bodySince: NIODeadline
    private var wantsBytes = false
    /// When the last answer ended before the request's body did.
    private var leftoverSince: NIODeadline?
    private var unanswered = 0
    private var written = 0
    private var taken = 0
    /// When the other side last took something.
    private var takenSince: NIODeadline

    /// A connection that was just made.
    init(_ limits: ConnectionLimits, isSecure: Bool, at now: NIODeadline) {
        self.limits = limits
        self.handshakeSince = isSecure ? now : nil
        self.idleSince = now
        self.bodySince = now
        self.takenSince = now
    }

    // MARK: Events

    /// The TLS handshake is done.
    mutating func handshakeDone(at now: NIODeadline) {
        self.handshakeSince = nil
        self.idleSince = now
        self.headSince = nil
    }

    /// Bytes are asked for.
    mutating func bytesWanted(at now: NIODeadline) {
        guard !self.wantsBytes else { return }
        self.wantsBytes = true
        self.bodySince = now
    }

    /// Bytes have come, whatever they are part of.
    mutating func bytesArrived(at now: NIODeadline) {
        self.wantsBytes = false
        self.bodySince = now
        if !self.isReadingBody, self.unanswered == 0, self.headSince == nil { self.headSince = now }
    }

    /// A head is complete.
    mutating func headArrived() {
        self.headSince = nil
        self.leftoverSince = nil
        self.hadRequest = true
        self.isReadingBody = true
        self.unanswered += 1
    }

    /// A request is complete.
    mutating func requestEnded(at now: NIODeadline) {
        self.isReadingBody = false
        self.leftoverSince = nil
        self.idleSince = now
    }

    /// An answer is complete.
    mutating func answerEnded(at now: NIODeadline) {
        self.unanswered = max(0, self.unanswered - 1)
        self.idleSince = now
        if self.unanswered == 0, self.isReadingBody { self.leftoverSince = now }
    }

    /// Bytes were given to the socket.
    mutating func wrote(_ count: Int, at now: NIODeadline) {
        if self.written == self.taken { self.takenSince = now }
        self.written += count
    }

    // MARK: Looking

    /// What is due.
    ///
    /// - Parameters:
    ///   - now: The time.
    ///   - unsent: How many bytes given to the socket the other side has not taken.
    /// - Returns: Whether to close, or when to look again.
    mutating func look(at now: NIODeadline, unsent: Int) -> Look {
        let taken = max(self.taken, self.written - unsent)
        if taken > self.taken {
            self.taken = taken
            self.takenSince = now
        }
        let next = self.next
        guard let next, next.at <= now else { return .wait(until: next?.at) }
        return .close(next.deadline)
    }

    /// The next deadline, as things are known.
    var next: (at: NIODeadline, deadline: Deadline)? {
        let request = self.nextOfRequest
        guard self.written > self.taken else { return request }
        let answer = (at: self.takenSince + TimeAmount(self.limits.answer), deadline: Deadline.answer)
        guard let request else { return answer }
        return request.at < answer.at ? request : answer
    }

    private var nextOfRequest: (at: NIODeadline, deadline: Deadline)? {
        if let since = self.handshakeSince { return (since + TimeAmount(self.limits.handshake), .handshake) }
        // What is left of a body after its answer is read for courtesy, not for as long as somebody likes to send it.
        if let since = self.leftoverSince { return (since + TimeAmount(self.limits.head), .body) }
        if self.isReadingBody {
            return self.wantsBytes ? (self.bodySince + TimeAmount(self.limits.body), .body) : nil
        }
        if self.unanswered > 0 { return nil }
        if let since = self.headSince { return (since + TimeAmount(self.limits.head), .head) }
        guard self.hadRequest else { return (self.idleSince + TimeAmount(self.limits.head), .head) }
        return (self.idleSince + TimeAmount(self.limits.idle), .idle)
    }
}
