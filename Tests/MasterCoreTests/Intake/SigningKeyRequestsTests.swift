// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("Requests for signing keys", .timeLimit(.minutes(5)))
struct SigningKeyRequestsTests {
    /// Prepares requests, then serves them until the test has ended.
    private static func serve(
        _ prepare: (SigningKeyRequests, TestParts) async throws -> Void = { _, _ in },
        _ body: (SigningKeyRequests, TestParts) async throws -> Void
    ) async throws {
        try await TestParts.run { parts in
            let requests = SigningKeyRequests(
                store: parts.store,
                channel: parts.channel,
                time: parts.time,
                health: parts.health,
                logger: parts.logger
            )
            try await prepare(requests, parts)
            let task = Task { await requests.run() }
            defer { task.cancel() }
            try await body(requests, parts)
        }
    }

    /// The next answer to a satellite: the key that it names, and the text if there is one.
    private static func answer(to satellite: ScriptedSatellite) async throws -> (key: BlobHash, pem: String?) {
        try await satellite.wait { message in
            if case .signingKey(let key, let pem) = message { (key, pem) } else { nil }
        }
    }

    @Test("are answered in order, that for an unknown key without a text")
    func unknown() async throws {
        try await Self.serve { requests, parts in
            let key = try await parts.store.putSigningKey(pem: "a key")
            let satellite = try await parts.satellite("a")
            requests.add(TestValues.hash(9), from: satellite.session)
            requests.add(key, from: satellite.session)
            let first = try await Self.answer(to: satellite)
            #expect(first.key == TestValues.hash(9))
            #expect(first.pem == nil)
            let second = try await Self.answer(to: satellite)
            #expect(second.key == key)
            #expect(second.pem == "a key")
        }
    }

    @Test("are answered as often as they come: an answer may have been lost")
    func repeated() async throws {
        try await Self.serve { requests, parts in
            let key = try await parts.store.putSigningKey(pem: "a key")
            let satellite = try await parts.satellite("a")
            for _ in 0..<3 { requests.add(key, from: satellite.session) }
            for _ in 0..<3 { #expect(try await Self.answer(to: satellite).pem == "a key") }
        }
    }

    @Test("of a session that has ended hold up nobody")
    func sessionGone() async throws {
        try await Self.serve { requests, parts in
            let key = try await parts.store.putSigningKey(pem: "a key")
            let gone = try await parts.satellite("gone")
            let other = try await parts.satellite("other")
            gone.vanish()
            requests.add(key, from: gone.session)
            requests.add(key, from: other.session)
            #expect(try await Self.answer(to: other).pem == "a key")
            #expect(gone.arrived.isEmpty)
        }
    }

    @Test("wait while the store fails, and are answered when it answers again")
    func outage() async throws {
        try await Self.serve { requests, parts in
            let key = try await parts.store.putSigningKey(pem: "a key")
            let satellite = try await parts.satellite("a")
            parts.faults.fail(["signingKey"], with: .database)
            requests.add(key, from: satellite.session)
            try await TestFailure.unless("waits") { !parts.clock.deadlines.isEmpty }
            #expect(parts.health.problem?.contains("reading a signing key") == true)
            #expect(satellite.arrived.isEmpty)
            parts.faults.fail([], with: nil)
            parts.clock.advance(by: parts.configuration.intake.firstRetry)
            #expect(try await Self.answer(to: satellite).pem == "a key")
            #expect(parts.health.problem == nil)
        }
    }

    @Test("for a key that cannot be read are answered without a text, and the others go on")
    func unreadable() async throws {
        try await Self.serve { requests, parts in
            let key = try await parts.store.putSigningKey(pem: "a key")
            let satellite = try await parts.satellite("a")
            parts.faults.fail(["signingKey"], with: .corrupt)
            requests.add(key, from: satellite.session)
            #expect(try await Self.answer(to: satellite).pem == nil)
            parts.faults.fail([], with: nil)
            requests.add(key, from: satellite.session)
            #expect(try await Self.answer(to: satellite).pem == "a key")
            #expect(parts.health.problem == nil)
        }
    }

    @Test("that come without end are dropped above a bound")
    func bound() async throws {
        var flooding: ScriptedSatellite?
        try await Self.serve { requests, parts in
            let satellite = try await parts.satellite("a")
            for _ in 0...SigningKeyRequests.maximumQueued {
                requests.add(TestValues.hash(1), from: satellite.session)
            }
            flooding = satellite
        } _: { requests, parts in
            let satellite = try #require(flooding)
            for _ in 0..<SigningKeyRequests.maximumQueued {
                #expect(try await Self.answer(to: satellite).key == TestValues.hash(1))
            }
            requests.add(TestValues.hash(2), from: satellite.session)
            #expect(try await Self.answer(to: satellite).key == TestValues.hash(2))
        }
    }
}
