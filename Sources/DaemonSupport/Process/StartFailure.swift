// SPDX-License-Identifier: Apache-2.0

/// How a daemon's process ends, for the supervisor that started it.
///
/// Source: sysexits.h (4.3BSD).
public struct ExitCode: Hashable, Sendable {
    /// The number that the process exits with.
    public let rawValue: Int32

    /// The command line is wrong (64).
    public static let usage = Self(rawValue: 64)
    /// Something that the daemon needs is missing or busy; trying later may help (69).
    public static let unavailable = Self(rawValue: 69)
    /// The configuration is wrong; trying again does not help (78).
    public static let configuration = Self(rawValue: 78)
}

/// Why a daemon does not start, in one line for its operator.
public struct StartFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// What the process exits with.
    public let exitCode: ExitCode
    /// What failed, on what, and what to do; one line.
    public let description: String

    /// Composes a failure; line breaks become spaces.
    public init(_ exitCode: ExitCode, _ description: String) {
        self.exitCode = exitCode
        self.description = description.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    /// Reduces any error that ended a start to one line and a code.
    ///
    /// Wrong settings keep their code; whatever is unknown counts as unavailable.
    public init(_ error: any Error) {
        switch error {
        case let failure as StartFailure: self = failure
        case let error as SettingsError: self.init(.configuration, error.description)
        default: self.init(.unavailable, "\(error)")
        }
    }
}
