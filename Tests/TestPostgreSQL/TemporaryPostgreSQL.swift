// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import PostgreSQL
internal import Synchronization
internal import TestKit

/// A PostgreSQL server of the tests' own, in a directory of its own, gone when the test process is.
///
/// A shell keeps it: it runs as a user without rights if we are root, which the server refuses to be; it does what it is
/// sent to it on its standard input, and at the end of that, however our process ends, stops the server and removes the
/// directory. Databases are not synced to disk.
public final class TemporaryPostgreSQL: Sendable {
    /// What went wrong with the server.
    public struct Failure: Error, CustomStringConvertible {
        /// What it was.
        public let description: String
    }

    /// The role that is not a superuser.
    public static let user = "tester"
    /// Its password, which is asked for over TCP only.
    public static let password = "p@ss/word"

    private static let server = Mutex<Result<TemporaryPostgreSQL, any Error>?>(nil)

    /// The server that all tests of a process share; it is started by who asks first.
    public static var shared: TemporaryPostgreSQL {
        get throws {
            try self.server.withLock { server in
                let result = server ?? Result { try TemporaryPostgreSQL() }
                server = result
                return try result.get()
            }
        }
    }

    /// The port at 127.0.0.1, where a password is asked for.
    public let port: Int
    private let directory: String
    private let process: Mutex<ServerProcess>
    private let databases = Mutex(0)

    /// Makes a server and starts it.
    public init() throws {
        self.port = try FreePort.pick()
        self.process = Mutex(try ServerProcess())
        let port = self.port
        self.directory = try self.process.withLock { try $0.send("make \(port)") }
        try self.start()
        try self.asAdmin("CREATE ROLE \(Self.user) LOGIN PASSWORD '\(Self.password)'")
    }

    /// Starts the server after ``stop()`` or ``kill()``, and waits until it answers.
    public func start() throws { _ = try self.process.withLock { try $0.send("start") } }

    /// Stops the server at once but in order; connections are ended by it.
    public func stop() throws { _ = try self.process.withLock { try $0.send("stop") } }

    /// Stops and starts.
    public func restart() throws {
        try self.stop()
        try self.start()
    }

    /// Kills the server and its children, as a power cut would.
    public func kill() throws { _ = try self.process.withLock { try $0.send("kill") } }

    /// Makes an empty database that the ordinary role owns.
    ///
    /// - Returns: Its name.
    public func makeDatabase() throws -> String {
        let number = self.databases.withLock { number in
            number += 1
            return number
        }
        let name = "test_\(number)"
        try self.asAdmin("CREATE DATABASE \(name) OWNER \(Self.user) TEMPLATE template0")
        return name
    }

    /// A connection string over the Unix socket, where no password is asked for.
    public func url(database: String, user: String = TemporaryPostgreSQL.user) -> String {
        let socket = self.directory.replacing("/", with: "%2F")
        return "postgresql://\(user)@\(socket):\(self.port)/\(database)?application_name=test&connect_timeout=600"
    }

    /// A connection string over TCP, where TLS can be had; nobody has signed the server's certificate.
    public func tcpURL(database: String, password: String = TemporaryPostgreSQL.password) -> String {
        let password = password.replacing("@", with: "%40").replacing("/", with: "%2F")
        return "postgresql://\(Self.user):\(password)@127.0.0.1:\(self.port)/\(database)"
    }

    private func asAdmin(_ script: String) throws {
        let url = self.url(database: "postgres", user: "postgres")
        let admin = try PostgreSQLConnection(try PostgreSQLConfiguration(url))
        defer { admin.close() }
        try admin.execute(script: script)
    }
}

/// The shell that starts and stops the server.
private struct ServerProcess: ~Copyable {
    private let input: FileHandle
    private let output: FileHandle

    init() throws {
        let (input, output) = (Pipe(), Pipe())
        let process = Process()
        let shell = ["/bin/sh", "-c", Self.script]
        let command = getuid() == 0 ? ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] : []
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command + shell
        process.currentDirectoryURL = URL(fileURLWithPath: "/")
        process.environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "LC_ALL": "C"]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        self.input = input.fileHandleForWriting
        self.output = output.fileHandleForReading
    }

    /// Gives a command and waits for its answer: one line, which starts with `ok` or says what failed.
    func send(_ command: String) throws -> String {
        try self.input.write(contentsOf: Data((command + "\n").utf8))
        var line: [UInt8] = []
        while let byte = try self.output.read(upToCount: 1)?.first, byte != UInt8(ascii: "\n") { line.append(byte) }
        let answer = String(decoding: line, as: UTF8.self)
        guard answer.hasPrefix("ok") else {
            throw TemporaryPostgreSQL.Failure(description: "the test server, at \(command): \(answer)")
        }
        return String(answer.dropFirst(3))
    }

    private static let script = #"""
        trap '' INT TERM
        for bin in "$(dirname "$(command -v pg_ctl || echo none)")" /usr/lib/postgresql/*/bin; do
          [ -x "$bin/pg_ctl" ] && PATH="$bin:$PATH"
        done
        directory=$(mktemp -d /tmp/telstar-postgresql.XXXXXX)
        data=$directory/data log=$directory/log
        stop() { pg_ctl -D "$data" -m "$1" -w -t 600 stop; }
        make() {
          initdb -D "$data" -U postgres -A trust -E UTF8 --locale=C --no-sync || return
          openssl req -x509 -nodes -days 30 -subj /CN=localhost -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
            -keyout "$data/server.key" -out "$data/server.crt" || return
          chmod 600 "$data/server.key"
          {
            echo "listen_addresses = '127.0.0.1'"
            echo "port = $1"
            echo "unix_socket_directories = '$directory'"
            echo "fsync = off"
            echo "ssl = on"
            echo "max_connections = 200"
            echo "log_min_messages = error"
          } >>"$data/postgresql.conf"
          {
            echo "local all all trust"
            echo "host all all 127.0.0.1/32 scram-sha-256"
          } >"$data/pg_hba.conf"
        }
        kill_all() {
          read -r main <"$data/postmaster.pid"
          children=$(grep -l "^PPid:[[:space:]]*$main\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3)
          kill -KILL $main $children
          while kill -0 $main 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' /proc/$main/status; do sleep 0.01; done
          # Until somebody has waited for the dead process, it looks like a running server.
          rm -f "$data/postmaster.pid" "$directory"/.s.PGSQL.*
        }
        while read -r command argument; do
          case $command in
          make) make "$argument" ;;
          start) pg_ctl -D "$data" -l "$log" -w -t 600 start ;;
          stop) stop fast ;;
          kill) kill_all ;;
          esac >"$directory/out" 2>&1 </dev/null && echo "ok $directory" || echo "failed: $(tail -n 5 "$directory/out" "$log" | tr '\n' ' ')"
        done
        stop immediate >/dev/null 2>&1
        rm -rf "$directory"
        """#
}
