// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AsyncHTTPClient
import DaemonSupport
import Foundation
import NIOCore
import NIOHTTP1

/// `telstar report export`.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract:
            "Write the report feed from a cursor to its head as CSV or JSON lines; the next cursor is printed at the end."
    )

    /// How the reports are written.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case csv, ndjson
    }

    @OptionGroup var control: ControlOptions
    @Option(help: "csv or ndjson.") var format = Format.ndjson
    @Option(help: "Begin after this cursor; at the beginning if absent.") var cursor = ""
    @Option(help: "The file to write, complete or not at all; standard output if absent.") var output: String?
    @Option(
        parsing: .upToNextOption,
        help: "Only these states: delivered, deferred, failed, unrenderable, uncertain, expired."
    )
    var status: [String] = []
    @Option(help: "Only this mailing.") var mailing: Int32?
    @Flag(help: "Do not put an apostrophe before CSV cells that a spreadsheet would run as formulas.")
    var rawFormulas = false

    func run() async throws {
        try await ControlClient.with(self.control.endpoint(), isPatient: true) { client in
            let response = try await client.stream("GET", "/api/reports?" + self.query)
            let partial = self.output.map { $0 + ".part" }
            let file = try partial.map { try NamedFile.create($0, "the file of reports") }
            try await client.explaining {
                for try await chunk in response.body {
                    try Self.write(Array(chunk.readableBytesView), to: file, partial)
                }
            }
            if let partial, let output = self.output {
                guard fsync(file?.fileDescriptor ?? -1) == 0, rename(partial, output) == 0 else {
                    throw StartFailure(
                        .unwritableFile,
                        "the file of reports \(output) cannot be written: \(NamedFile.reason(errno))"
                    )
                }
            }
            Output.problem("cursor: \(response.headers.first(name: "Next-Cursor") ?? self.cursor)")
        }
    }

    private static func write(_ bytes: [UInt8], to file: FileHandle?, _ path: String?) throws {
        guard let file, let path else { return Output.raw(bytes) }
        do {
            try file.write(contentsOf: bytes)
        } catch {
            throw StartFailure(.unwritableFile, "the file of reports \(path) cannot be written: is the disk full?")
        }
    }

    private var query: String {
        var parts = ["format=\(self.format.rawValue)", "cursor=\(self.cursor.inQuery)"]
        if let mailing = self.mailing { parts.append("mailing=\(mailing)") }
        parts += self.status.map { "status=\($0.inQuery)" }
        if self.rawFormulas { parts.append("escape_formulas=false") }
        return parts.joined(separator: "&")
    }
}
