// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

/// What the server, the connection to it, or the use made of them refused.
public struct PostgreSQLError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of refusal.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case invalidConfiguration, connectionFailed, authentication, connectionLost, timedOut, cancelled, server
            case rolledBack, invalidValue, unexpectedValue, misuse, busy, closed, system
        }
        private let kind: Kind

        /// A connection string or option that libpq cannot read.
        public static let invalidConfiguration = Code(kind: .invalidConfiguration)
        /// No connection could be made: no server, no such database, no more room.
        public static let connectionFailed = Code(kind: .connectionFailed)
        /// The server does not accept who we say we are.
        public static let authentication = Code(kind: .authentication)
        /// A connection that was made is gone; see ``PostgreSQLError/isOutcomeUnknown``.
        public static let connectionLost = Code(kind: .connectionLost)
        /// The deadline passed; the statement was cancelled.
        public static let timedOut = Code(kind: .timedOut)
        /// The caller, or its task's cancellation, gave the work up.
        public static let cancelled = Code(kind: .cancelled)
        /// The server refused a statement; see ``PostgreSQLError/sqlState``.
        public static let server = Code(kind: .server)
        /// COMMIT was asked for a transaction in which a statement had failed; nothing of it stands.
        public static let rolledBack = Code(kind: .rolledBack)
        /// A parameter that PostgreSQL cannot hold.
        public static let invalidValue = Code(kind: .invalidValue)
        /// A column that does not hold what was asked of it.
        public static let unexpectedValue = Code(kind: .unexpectedValue)
        /// A call that the connection's state does not allow: an error of the program.
        public static let misuse = Code(kind: .misuse)
        /// Too much work is waiting.
        public static let busy = Code(kind: .busy)
        /// The connection, thread or pool has been closed.
        public static let closed = Code(kind: .closed)
        /// The operating system refused something; see the text.
        public static let system = Code(kind: .system)

        /// The code's name.
        public var description: String { self.kind.rawValue }
    }

    /// The kind of refusal.
    public let code: Code
    /// What was being done, as a phrase: "running a statement".
    public let doing: String
    /// What the server, libpq or this module has to say.
    public let message: String
    /// The SQL text without its parameters.
    public internal(set) var statement: String?
    /// The server's five characters, where it was the server that refused.
    public internal(set) var sqlState: String?
    /// The server's explanation; it may quote stored values and is therefore not part of the description.
    public internal(set) var detail: String?
    /// The server's advice.
    public internal(set) var hint: String?
    /// The constraint that was violated.
    public internal(set) var constraint: String?
    /// Which statement of a pipeline failed, from 0.
    public internal(set) var statementIndex: Int?
    /// Whether what was sent may or may not have been committed, since no answer came.
    ///
    /// `false` for a connection that is lost inside an open transaction before COMMIT was sent: nothing of that stands.
    public internal(set) var isOutcomeUnknown = false

    init(_ code: Code, _ doing: String, _ message: String, statement: String? = nil) {
        self.code = code
        self.doing = doing
        self.message = message
        self.statement = statement
    }

    /// What failed, why, and the start of the statement.
    public var description: String {
        var text = "\(self.doing): \(self.message)"
        if let sqlState { text += " (SQLSTATE \(sqlState))" }
        if let statementIndex { text += ", statement \(statementIndex) of the pipeline" }
        if let statement { text += " [\(statement.prefix(200))]" }
        if self.isOutcomeUnknown { text += "; it is unknown whether it was committed" }
        return text
    }
}

extension PostgreSQLError {
    /// Whether a unique or primary key refused a row (23505).
    public var isUniqueViolation: Bool { self.sqlState == "23505" }

    /// Whether the transaction should be tried again: a serialisation failure (40001) or a deadlock (40P01).
    public var isSerializationFailure: Bool { self.sqlState == "40001" || self.sqlState == "40P01" }

    /// Whether the user lacks a right (42501).
    public var isMissingRights: Bool { self.sqlState == "42501" }

    /// Whether a lock could not be had at once or in time (55P03).
    public var isLockUnavailable: Bool { self.sqlState == "55P03" }

    /// Whether the connection is gone.
    public var isConnectionLoss: Bool { self.code == .connectionLost }

    /// Whether the server had forgotten a prepared statement, or a table was altered under its plan.
    ///
    /// The connection has dropped its statements; the next run prepares anew. Outside a transaction that has already
    /// been done by the time a caller sees an error.
    public var isStaleStatement: Bool {
        self.sqlState == "26000" || (self.sqlState == "0A000" && self.message.contains("cached plan"))
    }
}

extension PostgreSQLError {
    /// The error of a failed result.
    init(result: OpaquePointer, code: Code, doing: String, statement: String?) {
        func field(_ name: Int) -> String? {
            PQresultErrorField(result, Int32(name)).map { String(cString: $0) }
        }
        let message = field(DiagnosticField.message) ?? String(cString: PQresultErrorMessage(result))
        self.init(code, doing, message.trimmingNewlines, statement: statement)
        self.sqlState = field(DiagnosticField.sqlState)
        self.detail = field(DiagnosticField.detail)
        self.hint = field(DiagnosticField.hint)
        self.constraint = field(DiagnosticField.constraint)
    }
}

/// The letters by which libpq names the fields of an error; its macros are character literals.
enum DiagnosticField {
    static let severity = Int(UInt8(ascii: "V"))
    static let sqlState = Int(UInt8(ascii: "C"))
    static let message = Int(UInt8(ascii: "M"))
    static let detail = Int(UInt8(ascii: "D"))
    static let hint = Int(UInt8(ascii: "H"))
    static let constraint = Int(UInt8(ascii: "n"))
}

extension String {
    /// The text without line ends behind it; libpq's messages have one.
    var trimmingNewlines: String {
        var text = self[...]
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
