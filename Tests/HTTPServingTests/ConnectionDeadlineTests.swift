// SPDX-License-Identifier: Apache-2.0

import Listening
import NIOCore
import Testing

@testable import HTTPServing

@Suite("Deadlines of an HTTP connection")
struct ConnectionDeadlineTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private static func at(_ seconds: Int64) -> NIODeadline { self.start + .seconds(seconds) }

    private static func deadlines(isSecure: Bool = false) -> ConnectionDeadlines {
        var limits = ConnectionLimits()
        limits.handshake = .seconds(10)
        limits.head = .seconds(20)
        limits.body = .seconds(30)
        limits.idle = .seconds(60)
        limits.answer = .seconds(40)
        var deadlines = ConnectionDeadlines(limits, isSecure: isSecure, at: self.start)
        deadlines.bytesWanted(at: self.start)
        return deadlines
    }

    /// A connection whose first request has been read from its first byte to its end.
    private static func answering() -> ConnectionDeadlines {
        var deadlines = Self.deadlines()
        deadlines.bytesArrived(at: Self.at(1))
        deadlines.headArrived()
        deadlines.requestEnded(at: Self.at(1))
        deadlines.bytesWanted(at: Self.at(1))
        return deadlines
    }

    @Test("a connection that never says anything is closed at the deadline of the head")
    func silent() {
        var deadlines = Self.deadlines()
        #expect(deadlines.look(at: Self.at(19), unsent: 0) == .wait(until: Self.at(20)))
        #expect(deadlines.look(at: Self.at(20), unsent: 0) == .close(.head))
    }

    @Test("a head that comes a byte at a time has its deadline from its first byte")
    func slowHead() {
        var deadlines = Self.deadlines()
        for second in Int64(5)...24 {
            deadlines.bytesArrived(at: Self.at(second))
            deadlines.bytesWanted(at: Self.at(second))
            #expect(deadlines.look(at: Self.at(second), unsent: 0) == .wait(until: Self.at(25)))
        }
        #expect(deadlines.look(at: Self.at(25), unsent: 0) == .close(.head))
    }

    @Test("a handshake that is not finished is closed, whatever comes meanwhile")
    func handshake() {
        var deadlines = Self.deadlines(isSecure: true)
        deadlines.bytesArrived(at: Self.at(9))
        #expect(deadlines.look(at: Self.at(9), unsent: 0) == .wait(until: Self.at(10)))
        #expect(deadlines.look(at: Self.at(10), unsent: 0) == .close(.handshake))
        deadlines.handshakeDone(at: Self.at(9))
        #expect(deadlines.look(at: Self.at(10), unsent: 0) == .wait(until: Self.at(29)))
    }

    @Test("a body that flows is never cut, and one that stands still is")
    func body() {
        var deadlines = Self.deadlines()
        deadlines.bytesArrived(at: Self.at(1))
        deadlines.headArrived()
        for second in stride(from: Int64(1), to: 2_000, by: 29) {
            deadlines.bytesWanted(at: Self.at(second))
            #expect(deadlines.look(at: Self.at(second + 28), unsent: 0) == .wait(until: Self.at(second + 30)))
            deadlines.bytesArrived(at: Self.at(second + 29))
        }
        deadlines.bytesWanted(at: Self.at(2_000))
        #expect(deadlines.look(at: Self.at(2_030), unsent: 0) == .close(.body))
    }

    @Test("a body that we do not read, because the store is slow, owes nothing")
    func bodyNotRead() {
        var deadlines = Self.deadlines()
        deadlines.bytesArrived(at: Self.at(1))
        deadlines.headArrived()
        #expect(deadlines.look(at: Self.at(100_000), unsent: 0) == .wait(until: nil))
        deadlines.bytesWanted(at: Self.at(100_000))
        #expect(deadlines.look(at: Self.at(100_001), unsent: 0) == .wait(until: Self.at(100_030)))
    }

    @Test("an answer that takes long, such as a stream of events without an event, has no deadline")
    func stream() {
        var deadlines = Self.answering()
        #expect(deadlines.look(at: Self.at(1_000_000), unsent: 0) == .wait(until: nil))
        deadlines.wrote(100, at: Self.at(1_000_000))
        #expect(deadlines.look(at: Self.at(1_000_040), unsent: 0) == .wait(until: nil))
    }

    @Test("a reader that takes nothing is closed; one that takes little by little is not")
    func slowReader() {
        var deadlines = Self.answering()
        deadlines.wrote(1_000, at: Self.at(10))
        #expect(deadlines.look(at: Self.at(50), unsent: 900) == .wait(until: Self.at(90)))
        #expect(deadlines.look(at: Self.at(90), unsent: 899) == .wait(until: Self.at(130)))
        #expect(deadlines.look(at: Self.at(130), unsent: 899) == .close(.answer))
    }

    @Test("between two requests there is the deadline of an idle connection")
    func idle() {
        var deadlines = Self.answering()
        deadlines.wrote(100, at: Self.at(5))
        deadlines.answerEnded(at: Self.at(5))
        #expect(deadlines.look(at: Self.at(50), unsent: 0) == .wait(until: Self.at(65)))
        #expect(deadlines.look(at: Self.at(65), unsent: 0) == .close(.idle))
        deadlines.bytesArrived(at: Self.at(64))
        deadlines.headArrived()
        #expect(deadlines.look(at: Self.at(65), unsent: 0) == .wait(until: nil))
    }

    @Test("what is left of a body after its answer has a deadline of its own, however it drips")
    func leftover() {
        var deadlines = Self.deadlines()
        deadlines.bytesArrived(at: Self.at(1))
        deadlines.headArrived()
        deadlines.answerEnded(at: Self.at(2))
        for second in Int64(3)...21 {
            deadlines.bytesWanted(at: Self.at(second))
            deadlines.bytesArrived(at: Self.at(second))
        }
        #expect(deadlines.look(at: Self.at(21), unsent: 0) == .wait(until: Self.at(22)))
        #expect(deadlines.look(at: Self.at(22), unsent: 0) == .close(.body))
    }
}
