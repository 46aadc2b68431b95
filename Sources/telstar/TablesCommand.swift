// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import Foundation
import MasterAPI

/// `telstar tables`: what the program offers, for scripts and for the test that compares it with the documents.
struct TablesCommand: ParsableCommand {
    private struct Tables: Encodable {
        var calls = APITables.calls
        var mailingProperties = APITables.mailingProperties
        var mailingStatuses = APITables.mailingStatuses
        var recipientStatuses = APITables.recipientStatuses
        var mailingStates = APITables.mailingStates
        var recipientStates = APITables.recipientStates
        var routes = APITables.routes
        var options: [String: [String]]
    }

    static let configuration = CommandConfiguration(
        commandName: "tables",
        abstract: "Print, as JSON, the API's calls, properties, statuses and paths, and the configuration keys."
    )

    func run() throws {
        let options = SettingsRouting.Role.allCases.map { role in
            (role.rawValue, role.table.groups.flatMap { $0.options.map(\.key) })
        }
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let text = try encoder.encode(Tables(options: Dictionary(uniqueKeysWithValues: options)))
        Output.line(String(decoding: text, as: UTF8.self))
    }
}
