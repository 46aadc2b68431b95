// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Where the server is, who we are there, and how long we wait.
///
/// Everything libpq knows can stand in the connection string, `sslmode` among it; what is missing comes from libpq's
/// environment variables and defaults.
public struct PostgreSQLConfiguration: Sendable, Hashable {
    /// libpq's options by keyword.
    var options: [String: String]

    /// The longest wait for a connection to be made and prepared.
    ///
    /// libpq resolves a host name by `getaddrinfo`, which no deadline can end; an address avoids that.
    public var connectTimeout: Duration
    /// The longest wait for one statement, or without progress for one COPY or pipeline.
    public var statementTimeout: Duration
    /// How many prepared statements a connection keeps, 1 or more.
    public var preparedStatements: Int

    /// Reads a connection string.
    ///
    /// `connect_timeout` in the string, in seconds, takes the place of the default for ``connectTimeout``. Unless the
    /// string says otherwise, a silent peer is noticed after 30 seconds of TCP.
    ///
    /// - Parameters:
    ///   - string: A `postgresql://` URL or `keyword=value` pairs.
    ///   - connectTimeout: 10 seconds by default.
    ///   - statementTimeout: 30 seconds by default.
    ///   - preparedStatements: 256 by default.
    /// - Throws: ``PostgreSQLError`` with ``PostgreSQLError/Code/invalidConfiguration``; the text never quotes the string.
    public init(
        _ string: String,
        connectTimeout: Duration = .seconds(10),
        statementTimeout: Duration = .seconds(30),
        preparedStatements: Int = 256
    ) throws {
        self.options = try Self.parse(string)
        self.connectTimeout = connectTimeout
        self.statementTimeout = statementTimeout
        self.preparedStatements = max(1, preparedStatements)
        // libpq heeds this one only in its blocking calls.
        if let seconds = self.options.removeValue(forKey: "connect_timeout").flatMap(Int.init), seconds > 0 {
            self.connectTimeout = .seconds(seconds)
        }
        let defaults = [
            "keepalives_idle": "15", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "30000",
        ]
        self.options.merge(defaults) { given, _ in given }
        self.options["client_encoding"] = "UTF8"
    }

    /// The name under which the server lists the connection.
    public var applicationName: String? {
        get { self.options["application_name"] }
        set { self.options["application_name"] = newValue }
    }

    /// The database's name, where it is given.
    public var database: String? {
        get { self.options["dbname"] }
        set { self.options["dbname"] = newValue }
    }

    /// The user's name, where it is given.
    public var user: String? {
        get { self.options["user"] }
        set { self.options["user"] = newValue }
    }

    /// Sets the password, from a file for example, in place of the string's.
    public mutating func setPassword(_ password: String?) { self.options["password"] = password }

    /// Sets another of libpq's options; what libpq does not know fails when a connection is made.
    public mutating func setOption(_ keyword: String, _ value: String?) { self.options[keyword] = value }

    /// Adds a setting of the session, such as `statement_timeout`, that holds from the connection's start.
    ///
    /// A `SET` is itself a statement, which what an administrator has set for all clients may end before it has run. Settings
    /// that the string or the environment (`PGOPTIONS`) gives are kept; of two for one name the one added here wins.
    ///
    /// - Parameters:
    ///   - name: The setting's name.
    ///   - value: Its value, without spaces and backslashes.
    public mutating func addSessionSetting(_ name: String, _ value: String) {
        let given = self.options["options"] ?? getenv("PGOPTIONS").map { String(cString: $0) }
        self.options["options"] = [given, "-c \(name)=\(value)"].compactMap(\.self).joined(separator: " ")
    }

    private static func parse(_ string: String) throws -> [String: String] {
        let doing = "reading the connection string"
        guard !string.utf8.contains(0) else {
            throw PostgreSQLError(.invalidConfiguration, doing, "it contains a NUL byte")
        }
        var message: UnsafeMutablePointer<CChar>?
        guard let parsed = PQconninfoParse(string, &message) else {
            defer { PQfreemem(message) }
            // libpq quotes what it could not read, and that may be the password.
            let reason = message.map { String(cString: $0).prefix { $0 != "\"" } } ?? "out of memory"
            throw PostgreSQLError(.invalidConfiguration, doing, String(reason).trimmingNewlines)
        }
        defer { PQconninfoFree(parsed) }
        var options: [String: String] = [:]
        var option = parsed
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { options[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return options
    }
}

extension PostgreSQLConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The server's address and the user, never the password.
    public var description: String {
        let user = self.options["user"].map { "\($0)@" } ?? ""
        let host = self.options["host"] ?? self.options["hostaddr"] ?? "localhost"
        let port = self.options["port"].map { ":\($0)" } ?? ""
        let security = self.options["sslmode"].map { "?sslmode=\($0)" } ?? ""
        return "postgresql://\(user)\(host)\(port)/\(self.options["dbname"] ?? "")\(security)"
    }

    /// The same as the description.
    public var debugDescription: String { self.description }

    /// Nothing but the description, so that no dump shows the password.
    public var customMirror: Mirror { Mirror(self, children: ["description": self.description]) }
}
