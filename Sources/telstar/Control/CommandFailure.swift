// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AsyncHTTPClient
import DaemonSupport
import Foundation
import MasterCore
import MasterStore
import NIOCore
import NIOPosix
import Secrets

/// Why a command did not do its work: what its process says and exits with.
struct CommandFailure: Sendable, Equatable {
    /// The exit status; docs/operations has the table.
    var status: Int32
    /// The reason, for programs.
    var code: String
    /// The reason, for people: one line for each thing that is wrong.
    var messages: [String]

    private init(_ exit: DaemonSupport.ExitCode, code: String? = nil, _ messages: [String]) {
        self.status = exit.rawValue
        self.code = code ?? exit.name
        self.messages = messages
    }

    /// Describes any error of ours; `nil` for one of the argument parser's, which knows best how to show it.
    init?(_ error: any Error) {
        switch error {
        case let failure as StartFailure: self.init(failure.exitCode, [failure.description])
        case let error as StartFailures:
            self.init(error.failures[0].exitCode, error.failures.map(\.description))
        case let error as SettingsError: self.init(.configuration, error.problems)
        case let refusal as ControlClient.Refusal:
            self.init(refusal.status == 503 ? .unavailable : .refused, code: refusal.code, [refusal.description])
        case let error as MasterError: self.init(.refused, ["\(error)"])
        case let error as StoreError: self.init(.unavailable, ["the store: \(error)"])
        case let error as SecretsError:
            let isReading = error.code == .missing || error.code == .unreadable || error.code == .unsafePermissions
            self.init(isReading ? .unreadableFile : .configuration, [error.description])
        case let error as AtomicFileError: self.init(.unwritableFile, [error.description])
        case let error as CocoaError: self.init(.unavailable, [Self.reason(error)])
        case let error as POSIXError:
            self.init(.unavailable, ["the system refused: \(String(cString: strerror(error.code.rawValue)))"])
        case is IOError, is HTTPClientError, is NIOConnectionError:
            self.init(.unavailable, [ConnectionTrouble.reason(error)])
        case is CancellationError: self.init(.unavailable, ["it was cancelled"])
        default:
            // The parser's own errors and statuses, and what nobody foresaw.
            let name = String(reflecting: type(of: error))
            guard !name.hasPrefix("ArgumentParser.") else { return nil }
            self.init(.fault, ["a fault in this program, please report it: \(error)"])
        }
    }

    /// What is wrong with a file, without the domain and the dictionary that Foundation prints.
    private static func reason(_ error: CocoaError) -> String {
        let path = error.userInfo[NSFilePathErrorKey].map { "\($0)" } ?? "a file"
        let underlying = error.userInfo[NSUnderlyingErrorKey] as? POSIXError
        return "\(path): \(underlying.map { NamedFile.reason($0.code.rawValue) } ?? error.localizedDescription)"
    }

    /// Ends the process with a message on standard error, as JSON if the command was asked for JSON.
    static func leave(with error: any Error, arguments: [String] = CommandLine.arguments) -> Never {
        // What was printed so far comes first.
        fflush(nil)
        let asJSON = arguments.dropFirst().prefix { $0 != "--" }.contains("--json")
        if let failure = CommandFailure(error) {
            failure.report(asJSON: asJSON)
            exit(failure.status)
        }
        let status = Telstar.exitCode(for: error)
        guard asJSON, status == .validationFailure else { Telstar.exit(withError: error) }
        let message = Telstar.message(for: error)
        CommandFailure(.usage, [message]).report(asJSON: true)
        exit(status.rawValue)
    }

    private func report(asJSON: Bool) {
        guard asJSON else { return self.messages.forEach { Output.problem("telstar: \($0)") } }
        struct Envelope: Encodable {
            struct Reason: Encodable {
                var code: String
                var message: String
            }
            var error: Reason
        }
        let envelope = Envelope(error: .init(code: self.code, message: self.messages.joined(separator: "; ")))
        // Two texts can always be written as JSON.
        if let text = try? Output.text(envelope, pretty: false) { Output.problem(text) }
    }
}
