// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

@Suite("Connecting")
struct ConnectingTests {
    let database: TestDatabase

    init() throws { self.database = try TestDatabase() }

    private func connect(_ string: String) throws -> PostgreSQLConnection {
        try PostgreSQLConnection(try PostgreSQLConfiguration(string))
    }

    @Test("over TCP with a password, and over the socket without")
    func both() throws {
        let connection = try self.connect(self.database.server.tcpURL(database: self.database.name))
        #expect(try connection.query("SELECT current_user::text").only().text(0) == TemporaryPostgreSQL.user)
        #expect(connection.serverVersion >= 150_000)
        let pid = try connection.query("SELECT pg_backend_pid()").only().int32(0)
        #expect(connection.backendPID == pid)
    }

    @Test("a wrong password is an authentication error, and is not in it")
    func wrongPassword() throws {
        let error = try failure {
            try self.connect(self.database.server.tcpURL(database: self.database.name, password: "wrong-secret"))
        }
        #expect(error.code == .authentication)
        #expect(error.sqlState == "28P01")
        #expect(!"\(error)".contains("secret"))
        #expect(!"\(error)".contains("LOCATION"))
    }

    @Test("no password where one is asked for is an authentication error")
    func noPassword() throws {
        let error = try failure {
            try self.connect("postgresql://tester@127.0.0.1:\(self.database.server.port)/\(self.database.name)")
        }
        #expect(error.code == .authentication)
    }

    @Test("a database that is not there")
    func noDatabase() throws {
        let error = try failure { try self.connect(self.database.server.url(database: "absent")) }
        #expect(error.code == .connectionFailed)
        #expect(error.sqlState == "3D000")
        #expect(error.message.contains("absent"))
    }

    @Test("a server that is not there")
    func noServer() throws {
        let error = try failure { try self.connect("postgresql://tester@127.0.0.1:1/x") }
        #expect(error.code == .connectionFailed)
        #expect(error.message.contains("127.0.0.1"))
    }

    @Test("over TLS answers of many records are read whole and soon")
    func encrypted() throws {
        let connection = try self.connect(
            self.database.server.tcpURL(database: self.database.name) + "?sslmode=require"
        )
        #expect(connection.isEncrypted)
        for length in [1, 8_000, 16_384, 16_385, 100_000, 5_000_000] {
            let rows = try connection.query("SELECT repeat('x', $1)", [.int4(Int32(length))])
            #expect(try rows.only().text(0).utf8.count == length)
        }
        let bytes = Array(repeating: UInt8(1), count: 20_000)
        let answers = try connection.pipeline { pipeline in
            for _ in 0..<200 { try pipeline.query("SELECT $1", [.bytea(bytes)]) }
        }
        #expect(answers.count == 200)
        #expect(
            try self.connect(self.database.server.tcpURL(database: self.database.name) + "?sslmode=disable").isEncrypted
                == false
        )
    }

    @Test("a server whose certificate nobody has signed is refused where that is asked for")
    func unsigned() throws {
        let error = try failure {
            let url =
                self.database.server.tcpURL(database: self.database.name) + "?sslmode=verify-full&sslrootcert=/absent"
            return try self.connect(url)
        }
        #expect(error.code == .connectionFailed)
        #expect(error.message.contains("root certificate"))
    }

    @Test("a session setting holds from the start, beside those of the string, whatever an administrator has set")
    func sessionSetting() throws {
        let admin = try self.connect(self.database.server.url(database: self.database.name))
        try admin.execute(script: "ALTER DATABASE \(self.database.name) SET statement_timeout = 1")
        defer { admin.close() }
        var configuration = try PostgreSQLConfiguration(
            self.database.server.url(database: self.database.name) + "&options=-c%20work_mem%3D1234kB"
        )
        configuration.addSessionSetting("statement_timeout", "0")
        let connection = try PostgreSQLConnection(configuration)
        defer { connection.close() }
        try connection.query("SELECT pg_sleep(0.1)")
        #expect(try connection.query("SHOW statement_timeout").only().text(0) == "0")
        #expect(try connection.query("SHOW work_mem").only().text(0) == "1234kB")
    }

    @Test("a server that never answers ends at the timeout")
    func silence() throws {
        let listener = try SilentListener()
        let error = try failure {
            let url = "postgresql://tester@127.0.0.1:\(listener.port)/x"
            return try PostgreSQLConnection(try PostgreSQLConfiguration(url, connectTimeout: .milliseconds(100)))
        }
        #expect(error.code == .timedOut)
    }

    @Test("the description names address and user, never the password")
    func description() throws {
        let configuration = try PostgreSQLConfiguration(
            "postgresql://someone:hidden@db.example:6432/mail?sslmode=verify-full&connect_timeout=3"
        )
        #expect("\(configuration)" == "postgresql://someone@db.example:6432/mail?sslmode=verify-full")
        var text = ""
        dump(configuration, to: &text)
        #expect(!(text + String(reflecting: configuration)).contains("hidden"))
        #expect(configuration.connectTimeout == .seconds(3))
        #expect(try PostgreSQLConfiguration("host=a dbname='b c' user=d").database == "b c")
    }

    @Test(
        "a connection string that cannot be read is not quoted",
        arguments: [
            "postgresql://user:hidden@host:port/x?nonsense=hidden", "postgresql://user:hidden@[host/x", "host=a hidden",
            "postgresql://user:hid%zzden@host/x", "postgresql://user:hidden@host/x?hidden=1", "hidden=1",
        ]
    )
    func unreadable(string: String) throws {
        let error = try failure { try PostgreSQLConfiguration(string) }
        #expect(error.code == .invalidConfiguration)
        #expect(!"\(error)".contains("hid"))
    }

    @Test("what the server remarks reaches the closure")
    func notices() throws {
        var notices: [PostgreSQLNotice] = []
        let connection = try PostgreSQLConnection(self.database.configuration()) { notices.append($0) }
        try connection.execute(script: "DROP TABLE IF EXISTS absent; DO $$ BEGIN RAISE WARNING 'mind the gap'; END $$")
        #expect(notices.map(\.severity) == ["NOTICE", "WARNING"])
        #expect(notices.last?.message == "mind the gap")
    }
}
