// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailingModel
import MasterStore
import Synchronization
import TestPostgreSQL
import Testing

/// A backend under test: the same suite runs on each.
struct StoreFactory: Sendable, CustomTestStringConvertible {
    /// Where a store lives while a test runs.
    struct Location: Sendable {
        let directory: String
        /// How many recipients a mailing may have before further ones go to tables of its own.
        var partitionThreshold = Partition.threshold
        /// How long a master in PostgreSQL may be silent; a busy machine must not let it seem so where that is no subject.
        var silence: Duration = .seconds(600)

        /// The database of this location, made at first use.
        func postgreSQL(retry: RetrySchedule = RetrySchedule()) throws -> PostgreSQLStoreConfiguration {
            let server = try TemporaryPostgreSQL.shared
            let note = self.directory + "/database"
            let name: String
            if let known = try? String(contentsOfFile: note, encoding: .utf8) {
                name = known
            } else {
                name = try server.makeDatabase()
                try name.write(toFile: note, atomically: true, encoding: .utf8)
            }
            return PostgreSQLStoreConfiguration(
                url: server.url(database: name),
                retry: retry,
                readers: 1,
                holder: "test",
                instance: self.directory,
                silence: self.silence,
                // A busy machine's connection may come late; a test that hangs is ended by its own limit.
                connectionWait: .seconds(600),
                acceptsUnsafeServer: true,
                partitionThreshold: self.partitionThreshold
            )
        }
    }

    let name: String
    /// Opens the store of a location; opening it again after closing finds what was there.
    let open: @Sendable (Location, RetrySchedule) async throws -> MailingStore

    var testDescription: String { self.name }

    static let sqlite = StoreFactory(name: "SQLite") { location, retry in
        try await MailingStore.open(
            SQLiteConfiguration(
                path: location.directory + "/store.db",
                retry: retry,
                partitionThreshold: location.partitionThreshold
            ),
            secrets: TestSecrets.make()
        )
    }

    static let postgreSQL = StoreFactory(name: "PostgreSQL") { location, retry in
        try await MailingStore.open(
            try location.postgreSQL(retry: retry),
            secrets: TestSecrets.make(),
            onWait: { _ in }
        )
    }

    /// A server has only so many connections, and the machine only so many cores.
    private static let gate = Gate(permits: 4)

    static let all = [Self.sqlite, Self.postgreSQL]

    /// Runs a test on a store of its own and closes and removes it after.
    func withStore(
        retry: RetrySchedule = RetrySchedule(),
        partitionThreshold: Int = Partition.threshold,
        silence: Duration = .seconds(600),
        _ body: (Fixture) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory {
            try await self.withStore(
                in: $0,
                retry: retry,
                partitionThreshold: partitionThreshold,
                silence: silence,
                body
            )
        }
    }

    /// Runs a test on the store of a directory and closes it after.
    func withStore(
        in directory: String,
        retry: RetrySchedule = RetrySchedule(),
        partitionThreshold: Int = Partition.threshold,
        silence: Duration = .seconds(600),
        _ body: (Fixture) async throws -> Void
    ) async throws {
        let location = Location(directory: directory, partitionThreshold: partitionThreshold, silence: silence)
        await Self.gate.enter()
        defer { Self.gate.leave() }
        let fixture = Fixture(
            store: try await self.open(location, retry),
            factory: self,
            location: location,
            retry: retry
        )
        do {
            try await body(fixture)
        } catch {
            try? await fixture.store.close()
            throw error
        }
        try await fixture.store.close()
    }
}

/// Lets so many in at a time; the others wait in order.
private final class Gate: Sendable {
    private struct State {
        var permits: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(permits: Int) { self.state = Mutex(State(permits: permits)) }

    func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = self.state.withLock { state in
                guard state.permits == 0 else {
                    state.permits -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func leave() {
        let next = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.permits += 1
            return nil
        }
        next?.resume()
    }
}

/// Makes a directory, and removes it with all that is in it.
func withTemporaryDirectory(_ body: (String) async throws -> Void) async throws {
    let path = FileManager.default.temporaryDirectory.path + "/store-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
}

/// Cryptography of no strength at all, quick and without dependencies.
enum TestSecrets {
    static func make(key: UInt64 = 7) -> StoreSecrets {
        StoreSecrets(
            digest: { bytes in
                let hash = (0..<4).flatMap { Self.bytes(Self.hash(bytes, seed: UInt64($0))) }
                guard let digest = BlobHash(bytes: hash) else { preconditionFailure("four hashes of 8 bytes") }
                return digest
            },
            seal: { [0x53] + $0.map { $0 ^ 0x5A } },
            open: { bytes in
                guard bytes.first == 0x53 else { throw StoreError(.corrupt, "not sealed") }
                return bytes.dropFirst().map { $0 ^ 0x5A }
            },
            recipientIDs: RecipientIDCodec { Self.bytes(Self.hash($0, seed: key)) }
        )
    }

    /// The secrets of another store.
    static func makeOther() -> StoreSecrets {
        var secrets = Self.make(key: 8)
        secrets.open = { _ in throw StoreError(.corrupt, "sealed with another key") }
        return secrets
    }

    private static func hash(_ bytes: [UInt8], seed: UInt64) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ (seed &* 0x9e37_79b9_7f4a_7c15)
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash ^ hash >> 29
    }

    private static func bytes(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
    }
}
