// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

@Suite("A copied PostgreSQL store")
struct CopyTests {
    @Test("a store that was made in another database knows that it is a copy, until an operator confirms it")
    func copy() async throws {
        try await StoreFactory.postgreSQL.withStore { fixture in
            #expect(!fixture.store.identity.isCopy)
            try await fixture.reopen()
            #expect(!fixture.store.identity.isCopy)
            let database = fixture.store
            // What a dump of another database brings along.
            try await database.write { try $0.prepare("UPDATE store SET origin = '1/1'").run() }
            for _ in 0..<2 {
                try await fixture.reopen()
                #expect(fixture.store.identity.isCopy)
            }
            try await fixture.store.adopt()
            try await fixture.reopen()
            #expect(!fixture.store.identity.isCopy)
        }
    }
}
