// SPDX-License-Identifier: Apache-2.0

import GRDB
import MailingModel
import MasterStore
import Testing

/// Four million recipients of one domain in one mailing are more than a test can add; the count is set instead.
@Suite("A bucket that is full")
struct FullBucketTests {
    @Test("is followed by another one of the same domain, within one call and after a restart")
    func following() async throws {
        try await withTemporaryDirectory { directory in
            var mailing = MailingID(rawValue: 0)
            try await StoreFactory.sqlite.withStore(in: directory) { fixture in
                mailing = try await fixture.makeMailing()
                _ = try await fixture.makeSatellite("s", affinity: DomainAffinity(include: ["big.example"]))
                _ = try await fixture.add(1, to: mailing, domain: "big.example")
            }
            let file = try DatabaseQueue(path: directory + "/store.db")
            try await file.write { [full = RecipientID.maximumOrdinal] database in
                try database.execute(
                    sql: "UPDATE bucket SET fill = ?, watermark = ? WHERE domain = 'big.example'",
                    arguments: [full, full]
                )
                #expect(database.changesCount == 1)
            }
            try file.close()
            try await StoreFactory.sqlite.withStore(in: directory) { fixture in
                let across = try await fixture.add(3, to: mailing, domain: "big.example")
                #expect(across.map(\.ordinal) == [RecipientID.maximumOrdinal, 0, 1])
                #expect(across[0].bucket != across[1].bucket && across[1].bucket == across[2].bucket)
                try await fixture.reopen()
                let later = try await fixture.add(2, to: mailing, domain: "big.example")
                #expect(later.map(\.ordinal) == [2, 3])
                #expect(later.allSatisfy { $0.bucket == across[1].bucket })
                let backlog = try await fixture.store.backlog(at: fixture.now)
                #expect(backlog.filter { $0.domain == "big.example" }.map(\.count).reduce(0, +) == 5)
                #expect(try await fixture.report(of: later[1]).address == "r1@big.example")
            }
        }
    }
}
