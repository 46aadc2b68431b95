// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import Foundation
import OperatorAPI

/// `telstar mailing create`.
struct CreateMailing: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create a mailing from an HTML file and perhaps a text file."
    )

    @OptionGroup var control: ControlOptions
    @Option(help: "The header From's address.") var from: String
    @Option(help: "The subject, a template.") var subject: String
    @Option(help: "The file of the HTML part, a template.") var html: String
    @OptionGroup(title: "Properties") var options: MailingOptions

    func run() async throws {
        var body = try self.options.members(from: self.from)
        body["mail_from"] = .text(self.from)
        body["subject"] = .text(self.subject)
        body["html"] = .text(try TextFile.read(self.html, "the HTML part", charset: self.options.charset))
        let view = try await ControlClient.with(self.control.endpoint()) { [body] in
            try await $0.send("POST", "/mailings", body: body, as: MailingView.self)
        }
        try MailingCommand.show(view, self.control)
    }
}

/// `telstar mailing set`.
struct SetMailing: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change properties of a mailing; what is sent from then on is sent as changed."
    )

    /// A property that can be taken away.
    enum Property: String, ExpressibleByArgument, CaseIterable {
        case name, group, dkim, duration, plain
        case replyTo = "reply-to"
        case trackingURL = "tracking-url"
        case startAt = "start-at"
        case endAt = "end-at"

        var member: String {
            switch self {
            case .replyTo: "reply_to"
            case .name: "shown_name"
            case .group: "satellite_group"
            case .dkim: "dkim"
            case .duration: "scheduled_duration"
            case .plain: "plain"
            case .trackingURL: "tracking_url"
            case .startAt: "scheduled_start"
            case .endAt: "scheduled_end"
            }
        }
    }

    @OptionGroup var control: ControlOptions
    @Argument(help: "The mailing's number.") var mailing: Int32
    @Option(help: "The header From's address.") var from: String?
    @Option(help: "The subject, a template.") var subject: String?
    @Option(help: "The file of the HTML part, a template.") var html: String?
    @OptionGroup(title: "Properties") var options: MailingOptions
    @Option(
        parsing: .upToNextOption,
        help: "Take these away: name, group, dkim, duration, plain, reply-to, tracking-url, start-at, end-at."
    )
    var clear: [Property] = []

    func run() async throws {
        let endpoint = try self.control.endpoint()
        let view = try await ControlClient.with(endpoint) { client in
            var from = self.from
            if from == nil, self.options.dkimSelector != nil, self.options.dkimDomain == nil {
                from = try await client.send("GET", "/mailings/\(self.mailing)", as: MailingView.self).mailFrom
            }
            var body = try self.options.members(from: from)
            body["mail_from"] = self.from.map { .text($0) }
            body["subject"] = self.subject.map { .text($0) }
            body["html"] = try self.html.map {
                .text(try TextFile.read($0, "the HTML part", charset: self.options.charset))
            }
            for property in self.clear {
                guard body[property.member] == nil else {
                    throw ValidationError("--clear \(property.rawValue) contradicts the option that sets it")
                }
                body[property.member] = .absent
            }
            guard !body.isEmpty else { throw ValidationError("say what to change") }
            return try await client.send("PATCH", "/mailings/\(self.mailing)", body: body, as: MailingView.self)
        }
        try MailingCommand.show(view, self.control)
    }
}

/// `telstar mailing test`.
struct TestMailing: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Send a mailing to a few addresses at once, before all others and whether it has started or not.",
        discussion: """
            The addresses become recipients of the mailing, as with the call send_test. Merge fields are given with \
            --field, or one object a line with --file, as `telstar mailing import` reads them.
            """
    )

    @OptionGroup var control: ControlOptions
    @Argument(help: "The mailing's number.") var mailing: Int32
    @Argument(help: "The addresses.") var addresses: [String] = []
    @Option(help: "A merge field for all of these addresses, name=value; repeatable.") var field: [String] = []
    @Option(help: "A file of JSON lines with an address and merge fields each.") var file: String?

    func validate() throws {
        guard self.addresses.isEmpty == (self.file != nil) else {
            throw ValidationError("give addresses, or --file with them")
        }
        guard self.file == nil || self.field.isEmpty else {
            throw ValidationError("--field goes with addresses; the lines of --file have fields of their own")
        }
        guard self.field.allSatisfy({ ($0.firstIndex(of: "=") ?? $0.startIndex) > $0.startIndex }) else {
            throw ValidationError("--field takes name=value")
        }
    }

    func run() async throws {
        let body = try self.body()
        let answers = try await ControlClient.with(self.control.endpoint()) {
            try await $0.send(
                "POST",
                "/mailings/\(self.mailing)/test",
                json: body,
                as: RecipientAnswers.self
            )
        }
        let refused = answers.recipients.filter { $0.error != nil }
        if self.control.json {
            try Output.json(answers)
        } else {
            for answer in answers.recipients where answer.error == nil {
                Output.line("\(answer.email) \(answer.id ?? "")")
            }
            for answer in refused { Output.problem("\(answer.email): \(answer.error ?? "")") }
        }
        if !refused.isEmpty { throw ArgumentParser.ExitCode(DaemonSupport.ExitCode.badData.rawValue) }
    }

    private func body() throws -> [UInt8] {
        guard let file = self.file else {
            let fields = self.field.map { $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) }
            let common = Dictionary(fields.map { (String($0[0]), String($0[1])) }) { _, last in last }
            return Array(
                try JSONEncoder().encode(self.addresses.map { common.merging(["email": $0]) { _, address in address } })
            )
        }
        let lines = try NamedFile.text(file, "the file of recipients").split(whereSeparator: \.isNewline)
            .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        return Array("[\(lines.joined(separator: ","))]".utf8)
    }
}
