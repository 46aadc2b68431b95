// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import Synchronization
import TestPostgreSQL
import Testing

/// A fresh database on the server of this process.
struct TestDatabase {
    let server: TemporaryPostgreSQL
    let name: String

    init() throws {
        self.server = try TemporaryPostgreSQL.shared
        self.name = try self.server.makeDatabase()
    }

    func configuration() throws -> PostgreSQLConfiguration {
        try PostgreSQLConfiguration(self.server.url(database: self.name))
    }

    func connect() throws -> PostgreSQLConnection { try PostgreSQLConnection(self.configuration()) }

    /// A connection with all rights.
    func connectAsAdmin() throws -> PostgreSQLConnection {
        try PostgreSQLConnection(try PostgreSQLConfiguration(self.server.url(database: self.name, user: "postgres")))
    }

    /// Ends another connection from outside, and waits until its process has gone.
    func terminate(_ pid: Int32) throws {
        let admin = try self.connectAsAdmin()
        defer { admin.close() }
        try admin.query("SELECT pg_terminate_backend($1, 10000)", [.int4(pid)])
    }
}

/// The error of a call that must fail with one of ours.
func failure(_ work: () throws -> some Any) throws -> PostgreSQLError {
    try #require(throws: PostgreSQLError.self) { _ = try work() }
}
