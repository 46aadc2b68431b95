// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport

extension StartFailure {
    /// Runs `body`; a failed start is reported in one line on standard error and becomes the exit status.
    static func reported<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as StartFailure {
            Output.problem("telstar: \(error.description)")
            throw ArgumentParser.ExitCode(error.exitCode.rawValue)
        } catch let error as StartFailures {
            for failure in error.failures { Output.problem("telstar: \(failure.description)") }
            throw ArgumentParser.ExitCode(error.failures[0].exitCode.rawValue)
        } catch let error as SettingsError {
            for problem in error.problems { Output.problem("telstar: \(problem)") }
            throw ArgumentParser.ExitCode(DaemonSupport.ExitCode.configuration.rawValue)
        }
    }
}
