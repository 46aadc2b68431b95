// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AsyncHTTPClient
import Crypto
import DaemonSupport
import Foundation
import NIOCore

/// `telstar mailing import`.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Add recipients from a file of CSV or of JSON lines.",
        discussion: """
            The file has a column (a member) `email`, perhaps `tracking_id`, and a merge field in every other. Repeating \
            the command after it was cut short goes on where it was and adds nobody twice, as long as the file is the same.
            """
    )

    /// How a file is written.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case csv, ndjson
    }

    @OptionGroup var control: ControlOptions
    @Argument(help: "The mailing.") var mailing: Int32
    @Argument(help: "The file; `-` is standard input.") var file: String
    @Option(help: "csv or ndjson; by default what the file's name ends with, ndjson for standard input.")
    var format: Format?
    @Option(help: "The encoding of a CSV: utf-8, utf-16le, utf-16be or windows-1252; detected if absent.")
    var charset: String?
    @Option(
        help: """
            Where refused rows are written, as JSON lines with line, reason and the row itself; by default beside the file, \
            FILE.errors.ndjson, and on standard error for standard input.
            """
    )
    var errors: String?
    @Flag(help: "Leave out rows whose address an earlier row of the file has; they are counted in any case.")
    var skipDuplicates = false
    @Option(
        help: """
            Names this import within the mailing, so that it can be repeated; by default made from the file's name, size \
            and time, and none for standard input.
            """
    )
    var idempotencyKey: String?

    func run() async throws {
        let pieces = try FilePieces(path: self.file)
        var headers = [("Content-Type", try self.contentType()), ("Accept", "application/x-ndjson")]
        if let key = self.idempotencyKey ?? pieces.identity.map(self.derivedKey) {
            headers.append(("Idempotency-Key", key))
        }
        var output = ImportOutput(errors: self.errorsPath, size: pieces.size)
        try output.begin()
        let length: HTTPClientRequest.Body.Length = pieces.size.map { .known(Int64($0)) } ?? .unknown
        try await ControlClient.with(self.control.endpoint(), isPatient: true) { client in
            let path = "/api/mailings/\(self.mailing)/recipients" + (self.skipDuplicates ? "?skip_duplicates=true" : "")
            do {
                let response = try await client.stream(
                    "POST",
                    path,
                    headers: headers,
                    body: .stream(pieces, length: length)
                )
                var lines = LineSplitter()
                for try await chunk in response.body {
                    lines.feed(chunk.readableBytesView)
                    while let line = lines.next() { try output.take(line, sent: pieces.sent) }
                }
            } catch let refusal as ControlClient.Refusal {
                throw refusal
            } catch let failure as StartFailure {
                throw failure
            } catch {
                output.clear()
                throw ControlClient.Refusal(
                    status: 0,
                    code: "cut",
                    message:
                        "the connection was cut after \(output.lines) lines (\(ConnectionTrouble.reason(error))); \(self.wayOn)"
                )
            }
        }
        try self.finish(&output)
    }

    private func finish(_ output: inout ImportOutput) throws {
        output.clear()
        guard let end = output.end else {
            throw ControlClient.Refusal(
                status: 0,
                code: "cut",
                message: "the master's answer ended after \(output.lines) lines; \(self.wayOn)"
            )
        }
        output.printRefused()
        if let error = end.error, end.lines == 0 {
            throw ControlClient.Refusal(status: 0, code: error.code, message: "nothing was imported: \(error.message)")
        }
        if self.control.json {
            try Output.json(end.counts)
        } else {
            let repeated = end.repeated > 0 ? " (\(end.repeated) of them before)" : ""
            let out = self.skipDuplicates ? " left out" : ""
            let duplicates = end.duplicates > 0 ? ", \(end.duplicates) duplicate addresses\(out)" : ""
            Output.line("\(end.accepted) accepted\(repeated), \(end.refused) refused\(duplicates)")
        }
        if let error = end.error {
            let way = ["cut", "busy", "store_full", "store_failed"].contains(error.code) ? "; \(self.wayOn)" : ""
            let message = "the import ended after \(end.lines) lines: \(error.message)\(way)"
            throw ControlClient.Refusal(status: 0, code: error.code, message: message)
        }
        if end.refused > 0 { throw ArgumentParser.ExitCode(DaemonSupport.ExitCode.badData.rawValue) }
    }

    private var wayOn: String {
        self.idempotencyKey != nil || self.file != "-"
            ? "repeat the command to go on" : "what was added stays; an --idempotency-key would let it be repeated"
    }

    private var errorsPath: String? { self.errors ?? (self.file == "-" ? nil : self.file + ".errors.ndjson") }

    private func contentType() throws -> String {
        let format: Format
        switch (self.format, self.file.split(separator: ".").last?.lowercased()) {
        case (let given?, _): format = given
        case (nil, "csv"), (nil, "tsv"), (nil, "txt"): format = .csv
        case (nil, "ndjson"), (nil, "jsonl"): format = .ndjson
        case (nil, _) where self.file == "-": format = .ndjson
        default: throw ValidationError("say with --format whether \(self.file) is csv or ndjson")
        }
        switch format {
        case .csv: return "text/csv" + (self.charset.map { "; charset=\($0)" } ?? "")
        case .ndjson: return "application/x-ndjson"
        }
    }

    private func derivedKey(_ identity: String) -> String {
        let digest = SHA256.hash(data: Data("\(self.mailing) \(identity)".utf8))
        return "file-" + digest.prefix(16).map { String(format: "%02x", $0) }.joined()
    }
}
