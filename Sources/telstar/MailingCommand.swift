// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// `telstar mailing`: mailings from the command line.
struct MailingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mailing",
        abstract: "Create, fill, start, pause and look at mailings; settle uncertain recipients.",
        subcommands: [Create.self, ImportCommand.self, Start.self, Pause.self, Status.self, Resolve.self]
    )

    /// `telstar mailing create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Create a mailing from an HTML and a text file.")

        @OptionGroup var control: ControlOptions
        @Option(help: "The header From's address.") var from: String
        @Option(help: "The header From's name.") var senderName = ""
        @Option(help: "The subject, a template.") var subject: String
        @Option(help: "The file of the HTML part, a template.") var html: String
        @Option(help: "The file of the plain part, a template; made from the HTML if absent.") var plain: String?

        func run() async throws {
            struct Body: Encodable {
                var from, senderName, subject, html: String
                var plain: String?

                enum CodingKeys: String, CodingKey {
                    case from, subject, html, plain
                    case senderName = "sender_name"
                }
            }
            let body = Body(
                from: self.from,
                senderName: self.senderName,
                subject: self.subject,
                html: try String(contentsOfFile: self.html, encoding: .utf8),
                plain: try self.plain.map { try String(contentsOfFile: $0, encoding: .utf8) }
            )
            let view = try await ControlClient.with(self.control.door()) {
                try await $0.send("POST", "/mailings", body: body, as: MailingView.self)
            }
            if self.control.json { try Output.json(view) } else { print("mailing \(view.id) is \(view.status)") }
        }
    }

    /// `telstar mailing start`.
    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Start a mailing, or let a paused one go on.")

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing.") var mailing: Int32

        func run() async throws { try await MailingCommand.act("start", on: self.mailing, self.control) }
    }

    /// `telstar mailing pause`.
    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Pause a mailing.")

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing.") var mailing: Int32

        func run() async throws { try await MailingCommand.act("pause", on: self.mailing, self.control) }
    }

    /// `telstar mailing status`.
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one mailing, or all.")

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing; all if absent.") var mailing: Int32?

        func run() async throws {
            let views = try await ControlClient.with(self.control.door()) { client in
                if let mailing = self.mailing {
                    return [try await client.send("GET", "/mailings/\(mailing)", as: MailingView.self)]
                }
                struct Answer: Decodable { var mailings: [MailingView] }
                return try await client.send("GET", "/mailings", as: Answer.self).mailings
            }
            if self.control.json { return try Output.json(views) }
            Output.table(
                ["id", "status", "total", "delivered", "deferred", "failed", "uncertain", "pending", "subject"],
                views.map {
                    [
                        "\($0.id)", $0.status, "\($0.total)", "\($0.delivered)", "\($0.deferred)", "\($0.failed)",
                        "\($0.uncertain)", "\($0.pending)", $0.subject,
                    ]
                }
            )
        }
    }

    /// `telstar mailing resolve`.
    struct Resolve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Settle the recipients of a mailing whose outcome is unknown."
        )

        /// What an operator may decide.
        enum Resolution: String, ExpressibleByArgument, CaseIterable {
            case delivered, failed, resend
        }

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing.") var mailing: Int32
        @Option(name: .customLong("as"), help: "delivered, failed, or resend (which may deliver twice).")
        var resolution: Resolution

        func run() async throws {
            struct Answer: Codable { var changed: Int }
            let answer = try await ControlClient.with(self.control.door()) {
                try await $0.send(
                    "POST",
                    "/mailings/\(self.mailing)/resolve",
                    body: ["as": self.resolution.rawValue],
                    as: Answer.self
                )
            }
            if self.control.json { try Output.json(answer) } else { print("\(answer.changed) settled") }
        }
    }

    private static func act(_ verb: String, on mailing: Int32, _ control: ControlOptions) async throws {
        let view = try await ControlClient.with(control.door()) {
            try await $0.send("POST", "/mailings/\(mailing)/\(verb)", as: MailingView.self)
        }
        if control.json { try Output.json(view) } else { print("mailing \(view.id) is \(view.status)") }
    }
}
