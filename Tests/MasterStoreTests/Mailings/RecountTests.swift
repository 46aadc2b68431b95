// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

@Suite("Recounts")
struct RecountTests {
    /// Mailings in many buckets and states.
    private func fill(_ fixture: Fixture) async throws -> MailingID {
        let satellite = try await fixture.makeSatellite()
        let id = try await fixture.makeMailing()
        let outcomes = [
            Outcomes.delivered, Outcomes.deferred, Outcomes.failed, Outcomes.unrenderable, Outcomes.uncertain,
        ]
        for (number, outcome) in outcomes.enumerated() {
            for domain in ["d0.example", "d1.example", "d2.example"] {
                try await fixture.add(number + 2, to: id, domain: domain, prefix: "\(number)-")
            }
            try await fixture.deliverAll(satellite, outcome)
        }
        try await fixture.add(4, to: id, domain: "unleased.example")
        try await fixture.add(2, to: id, domain: "express.example", .express)
        return id
    }

    @Test("finds nothing wrong in a store that only its operations have changed", arguments: StoreFactory.all)
    func health(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await self.fill(fixture)
            #expect(try await fixture.store.reconcileCounters(of: id) == 0)
            #expect(try await fixture.store.reconcileCounters(of: MailingID(rawValue: 99)) == 0)
        }
    }

    @Test("finds every counter that is wrong, and repairs it", arguments: StoreFactory.all)
    func repairing(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await self.fill(fixture)
            let right = try await fixture.counters(id)
            let database = fixture.store
            let columns = ["total", "delivered", "failed", "expired", "deferred", "uncertain", "unrenderable"]
            for column in columns {
                try await database.write { transaction in
                    try transaction.prepare("UPDATE mailing SET \(column) = \(column) + 1 WHERE id = ?")
                        .bind(1, Int(id.rawValue)).run()
                }
                #expect(try await fixture.store.reconcileCounters(of: id) == 1, "\(column)")
                #expect(try await fixture.counters(id) == right, "\(column)")
            }
            try await database.write { transaction in
                try transaction.prepare("UPDATE bucket SET waiting = waiting + 2 WHERE mailing = ?")
                    .bind(1, Int(id.rawValue)).run()
                try transaction.prepare("UPDATE mailing SET total = 0, delivered = 0 WHERE id = ?")
                    .bind(1, Int(id.rawValue)).run()
            }
            #expect(try await fixture.store.reconcileCounters() == 2 + 5)
            #expect(try await fixture.store.reconcileCounters() == 0)
            #expect(try await fixture.counters(id) == right)
        }
    }
}
