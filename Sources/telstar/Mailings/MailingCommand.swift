// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import OperatorAPI

/// `telstar mailing`: mailings from the command line.
struct MailingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mailing",
        abstract: "Create, change, fill, test, start, pause, list and delete mailings; resolve uncertain recipients.",
        subcommands: [
            CreateMailing.self, SetMailing.self, ImportCommand.self, TestMailing.self, Start.self, Pause.self,
            List.self, Status.self, Delete.self, Resolve.self,
        ]
    )

    /// `telstar mailing start`.
    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Start a mailing, or let a paused one go on.")

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing's number.") var mailing: Int32

        func run() async throws { try await MailingCommand.act("start", on: self.mailing, self.control) }
    }

    /// `telstar mailing pause`.
    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Pause a mailing.")

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing's number.") var mailing: Int32

        func run() async throws { try await MailingCommand.act("pause", on: self.mailing, self.control) }
    }

    /// `telstar mailing list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the mailings and their counters.")

        @OptionGroup var control: ControlOptions

        func run() async throws {
            try MailingCommand.show(try await MailingCommand.all(self.control), self.control)
        }
    }

    /// `telstar mailing status`.
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one mailing, or all as `list` does.")

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing's number; all if absent.") var mailing: Int32?

        func run() async throws {
            guard let mailing = self.mailing else {
                return try MailingCommand.show(try await MailingCommand.all(self.control), self.control)
            }
            let view = try await ControlClient.with(self.control.endpoint()) {
                try await $0.send("GET", "/mailings/\(mailing)", as: MailingView.self)
            }
            if self.control.json { return try Output.json(view) }
            try MailingCommand.show(MailingsView(mailings: [view]), self.control)
        }
    }

    /// `telstar mailing delete`.
    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a mailing with its recipients and its reports; what is not sent yet is not sent."
        )

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing's number.") var mailing: Int32

        func run() async throws {
            _ = try await ControlClient.with(self.control.endpoint()) {
                try await $0.send("DELETE", "/mailings/\(self.mailing)")
            }
            if self.control.json { return try Output.json(["deleted": self.mailing]) }
            Output.line("mailing \(self.mailing) is deleted")
        }
    }

    /// `telstar mailing resolve`.
    struct Resolve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Resolve the recipients of a mailing whose outcome is unknown."
        )

        /// What an operator may decide.
        enum Resolution: String, ExpressibleByArgument, CaseIterable {
            case delivered, failed, resend
        }

        @OptionGroup var control: ControlOptions
        @Argument(help: "The mailing's number.") var mailing: Int32
        @Option(name: .customLong("as"), help: "delivered, failed, or resend (which may deliver twice).")
        var resolution: Resolution

        func run() async throws {
            struct Answer: Codable { var changed: Int }
            let answer = try await ControlClient.with(self.control.endpoint()) {
                try await $0.send(
                    "POST",
                    "/mailings/\(self.mailing)/resolve",
                    body: ["as": self.resolution.rawValue],
                    as: Answer.self
                )
            }
            if self.control.json { return try Output.json(answer) }
            Output.line("\(answer.changed) resolved")
        }
    }

    private static func act(_ action: String, on mailing: Int32, _ control: ControlOptions) async throws {
        let view = try await ControlClient.with(control.endpoint()) {
            try await $0.send("POST", "/mailings/\(mailing)/\(action)", as: MailingView.self)
        }
        try Self.show(view, control)
    }

    /// Prints what a mailing is after a command, and what the master warns of.
    static func show(_ view: MailingView, _ control: ControlOptions) throws {
        if control.json { return try Output.json(view) }
        view.warnings?.forEach { Output.problem("warning: \($0)") }
        Output.line(
            "mailing \(view.id) is \(view.status == "filling" ? "not started; it takes recipients" : view.status)"
        )
    }

    private static func all(_ control: ControlOptions) async throws -> MailingsView {
        try await ControlClient.with(control.endpoint()) {
            try await $0.send("GET", "/mailings", as: MailingsView.self)
        }
    }

    private static func show(_ view: MailingsView, _ control: ControlOptions) throws {
        if control.json { return try Output.json(view) }
        Output.table(
            ["id", "status", "total", "delivered", "deferred", "failed", "uncertain", "pending", "subject"],
            view.mailings.map {
                [
                    "\($0.id)", $0.status, "\($0.total)", "\($0.delivered)", "\($0.deferred)", "\($0.failed)",
                    "\($0.uncertain)", "\($0.pending)", $0.subject,
                ]
            }
        )
    }
}
