// SPDX-License-Identifier: Apache-2.0

/// How a process ends, for the supervisor or the script that started it.
///
/// Source: sysexits.h (4.3BSD).
public struct ExitCode: Hashable, Sendable {
    /// The number that the process exits with.
    public let rawValue: Int32
    /// The status's name, for programs.
    public let name: String

    private init(rawValue: Int32, _ name: String) {
        self.rawValue = rawValue
        self.name = name
    }

    /// The master refused what was asked, or a check found that it is not so (1).
    public static let refused = Self(rawValue: 1, "refused")
    /// The command line is wrong (64).
    public static let usage = Self(rawValue: 64, "usage")
    /// Some lines of a file were refused (65).
    public static let badData = Self(rawValue: 65, "bad_data")
    /// A file that was named cannot be read: it is absent, no file, or not readable for this user (66).
    public static let unreadableFile = Self(rawValue: 66, "unreadable_file")
    /// Something that is needed does not answer or is in use; trying later may help (69).
    public static let unavailable = Self(rawValue: 69, "unavailable")
    /// The program met what it was not made for; a fault to report (70).
    public static let fault = Self(rawValue: 70, "fault")
    /// A file or directory cannot be written or made (73).
    public static let unwritableFile = Self(rawValue: 73, "unwritable_file")
    /// The configuration is wrong; trying again does not help (78).
    public static let configuration = Self(rawValue: 78, "configuration")
}

/// Why a daemon does not start or a command does not do its work, in one line for its operator.
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
