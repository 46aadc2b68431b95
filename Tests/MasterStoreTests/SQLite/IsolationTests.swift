// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailingModel
import MasterStore
import Testing

@Suite("Returning to the caller")
struct IsolationTests {
    private static func isOnMainThread() -> Bool { Thread.isMainThread }

    @Test("a verb returns on its caller's actor, with optimisation too")
    @MainActor
    func returnsOnActor() async throws {
        let path = FileManager.default.temporaryDirectory.path + "/store-\(UUID().uuidString).db"
        defer {
            for suffix in ["", "-wal", "-shm", ".lock"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        }
        try #require(Self.isOnMainThread())
        let sqlite = try await SQLiteStore.open(SQLiteStore.Configuration(path: path), secrets: TestSecrets.make())
        #expect(Self.isOnMainThread(), "open")
        let store: any MailingStore = sqlite
        _ = try await sqlite.feedHead()
        #expect(Self.isOnMainThread(), "feedHead")
        _ = try await store.summary(at: Timestamp(seconds: 1))
        #expect(Self.isOnMainThread(), "summary")
        let hash = try await store.putBlob([1])
        #expect(Self.isOnMainThread(), "putBlob")
        _ = try await store.blob(hash)
        #expect(Self.isOnMainThread(), "blob")
        _ = try await store.feed(after: 0, filter: RecipientFilter(), limit: 1)
        #expect(Self.isOnMainThread(), "feed")
        await #expect(throws: StoreError.self) {
            _ = try await store.deleteMailing(MailingID(rawValue: 9), at: Timestamp(seconds: 1))
        }
        #expect(Self.isOnMainThread(), "a verb that throws")
        try await store.close()
        #expect(Self.isOnMainThread(), "close")
    }
}
