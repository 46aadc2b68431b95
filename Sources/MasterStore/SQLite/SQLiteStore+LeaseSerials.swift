// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension SQLiteStore {
    /// The highest lease serial ever given out; 0 if none.
    public func highestLeaseSerial() async throws -> LeaseSerial {
        try await self.read { transaction in
            let serial = try transaction.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'lease'")
                .first { $0.int64(0) }
            return LeaseSerial(rawValue: serial ?? 0)
        }
    }

    /// Gives out no serial up to this one any more.
    ///
    /// For a store that was restored: its satellites may hold leases of the time that it has forgotten.
    public func skipLeaseSerials(through serial: LeaseSerial) async throws {
        try await self.write { transaction in
            try transaction.prepare(
                "INSERT INTO sqlite_sequence(name, seq) SELECT 'lease', 0 "
                    + "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'lease')"
            ).run()
            try transaction.prepare("UPDATE sqlite_sequence SET seq = ? WHERE name = 'lease' AND seq < ?")
                .bind(1, serial.rawValue).bind(2, serial.rawValue).run()
        }
    }
}
