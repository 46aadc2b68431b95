// SPDX-License-Identifier: Apache-2.0

import APIServing
import ArgumentParser
import CloudMailingAPI
import DaemonSupport
import Foundation
import MailingModel
import NativeAPI
import OperatorAPI

/// `telstar tables`: what the program offers, for scripts and for the test that compares it with the documents.
struct TablesCommand: ParsableCommand {
    private struct Tables: Encodable {
        var calls = CloudMailingTables.calls
        var mailingProperties = CloudMailingTables.mailingProperties
        var mailingStatuses = CloudMailingTables.mailingStatuses
        var recipientStatuses = CloudMailingTables.recipientStatuses
        var mailingStates = MailingStatus.allCases.map { "\($0)" }
        var recipientStates = RecipientState.allCases.map { "\($0)" }
        var routes =
            CloudMailingFamily.routes.map(\.name).filter { !$0.hasSuffix("**") } + NativeFamily.routes.map(\.name)
            + OperatorFamily.routes.map(\.name)
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
