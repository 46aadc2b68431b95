// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The making of a connection: address, TLS, authentication.
struct ConnectionAttempt {
    private static let doing = "connecting to the server"

    private let configuration: PostgreSQLConfiguration
    private let wake: Wake
    private let notices: NoticeReceiver

    init(_ configuration: PostgreSQLConfiguration, wake: Wake, notices: NoticeReceiver) {
        self.configuration = configuration
        self.wake = wake
        self.notices = notices
    }

    /// Connects, or ends at the timeout, or when `housekeeping` throws.
    ///
    /// - Returns: A connection in non-blocking mode, which the caller must finish.
    func run(_ housekeeping: (() throws -> ContinuousClock.Instant?)?) throws -> OpaquePointer {
        let deadline = ContinuousClock.now + self.configuration.connectTimeout
        guard let handle = self.start() else {
            throw PostgreSQLError(.system, Self.doing, "out of memory")
        }
        do {
            // With this the texts carry the SQLSTATE, of which there is no field before there is a result.
            PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
            self.notices.attach(to: handle)
            try self.poll(handle, deadline, housekeeping)
            PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
            guard PQsetnonblocking(handle, 1) == 0 else { throw self.failure(handle) }
            return handle
        } catch {
            PQfinish(handle)
            throw error
        }
    }

    private func start() -> OpaquePointer? {
        var keywords: [UnsafePointer<CChar>?] = []
        var values: [UnsafePointer<CChar>?] = []
        for (keyword, value) in self.configuration.options {
            keywords.append(UnsafePointer(strdup(keyword)))
            values.append(UnsafePointer(strdup(value)))
        }
        defer { for text in keywords + values { free(UnsafeMutablePointer(mutating: text)) } }
        return PQconnectStartParams(keywords + [nil], values + [nil], 0)
    }

    private func poll(
        _ handle: OpaquePointer,
        _ deadline: ContinuousClock.Instant,
        _ housekeeping: (() throws -> ContinuousClock.Instant?)?
    ) throws {
        guard PQstatus(handle) != CONNECTION_BAD else { throw self.failure(handle) }
        var events = Int32(POLLOUT)
        while true {
            let due = try housekeeping?()
            let happened = self.wake.sleep(PQsocket(handle), events, until: due.map { min($0, deadline) } ?? deadline)
            guard ContinuousClock.now < deadline else {
                throw PostgreSQLError(
                    .timedOut,
                    Self.doing,
                    "\(self.configuration) did not answer within \(self.configuration.connectTimeout)"
                )
            }
            guard happened != 0 else { continue }
            switch PQconnectPoll(handle) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: events = Int32(POLLIN)
            case PGRES_POLLING_WRITING: events = Int32(POLLOUT)
            default: throw self.failure(handle)
            }
        }
    }

    private func failure(_ handle: OpaquePointer) -> PostgreSQLError {
        let lines = String(cString: PQerrorMessage(handle)).split(whereSeparator: \.isNewline)
        var state: String?
        // "FATAL:  28P01: password authentication failed", and a line about the server's source.
        let message = lines.filter { !$0.hasPrefix("LOCATION:") }.map { line -> String in
            guard let found = Self.sqlState(in: line) else { return String(line) }
            state = String(line[found].dropLast(2))
            return String(line[..<found.lowerBound] + line[found.upperBound...])
        }
        let isRefused = state?.hasPrefix("28") == true || PQconnectionNeedsPassword(handle) != 0
        let text = message.joined(separator: "; ")
        var error = PostgreSQLError(isRefused ? .authentication : .connectionFailed, Self.doing, text)
        error.sqlState = state
        return error
    }

    /// The position of a SQLSTATE with the colon and blank behind it; before it are a colon and two blanks.
    private static func sqlState(in line: Substring) -> Range<Substring.Index>? {
        var rest = line
        while let colon = rest.firstIndex(of: ":") {
            let state = rest[colon...].dropFirst(3).prefix(7)
            let isState = state.dropLast(2).allSatisfy { $0.isASCII && ($0.isNumber || $0.isUppercase) }
            if rest[colon...].hasPrefix(":  "), state.count == 7, state.hasSuffix(": "), isState {
                return state.startIndex..<state.endIndex
            }
            rest = rest[colon...].dropFirst()
        }
        return nil
    }
}

/// What the server remarks without refusing anything.
public struct PostgreSQLNotice: Sendable, Hashable {
    /// `WARNING`, `NOTICE`, `INFO`, `LOG` or `DEBUG`, whatever the server's language.
    public let severity: String
    /// The server's five characters.
    public let sqlState: String?
    /// The text.
    public let message: String
}

/// Takes libpq's notices, which would otherwise go to standard error.
final class NoticeReceiver {
    private let onNotice: (PostgreSQLNotice) -> Void
    /// Why the server ended a connection on which nothing was under way; libpq takes that for a notice.
    private(set) var lastFatal: String?

    init(_ onNotice: @escaping (PostgreSQLNotice) -> Void) { self.onNotice = onNotice }

    /// Receives for as long as the connection lives, which must not be longer than this object.
    func attach(to handle: OpaquePointer) {
        let receive: PQnoticeReceiver = { argument, result in
            guard let argument, let result else { return }
            Unmanaged<NoticeReceiver>.fromOpaque(argument).takeUnretainedValue().receive(result)
        }
        PQsetNoticeReceiver(handle, receive, Unmanaged.passUnretained(self).toOpaque())
    }

    private func receive(_ result: OpaquePointer) {
        func field(_ name: Int) -> String? { PQresultErrorField(result, Int32(name)).map { String(cString: $0) } }
        let severity = field(DiagnosticField.severity) ?? "NOTICE"
        let message = field(DiagnosticField.message) ?? String(cString: PQresultErrorMessage(result)).trimmingNewlines
        if severity == "FATAL" || severity == "PANIC" {
            self.lastFatal = message
        } else {
            let state = field(DiagnosticField.sqlState)
            self.onNotice(PostgreSQLNotice(severity: severity, sqlState: state, message: message))
        }
    }
}
