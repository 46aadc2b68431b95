// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// `telstar backup`: a consistent copy of the store while the master works.
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the running master's store to a file on the master's machine."
    )

    @OptionGroup var control: ControlOptions
    @Argument(help: "The file to write; it must not exist.") var file: String

    func run() async throws {
        let path = URL(fileURLWithPath: self.file).standardizedFileURL.path
        _ = try await ControlClient.with(self.control.endpoint()) {
            try await $0.send("POST", "/backup", body: ["path": path])
        }
        if self.control.json { try Output.json(["backup": path]) } else { Output.line("backed up to \(path)") }
    }
}

/// `telstar confirm-store`: the operator's confirmation that a restored store may send.
struct ConfirmStoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "confirm-store",
        abstract: "Confirm a restored store, so that a master in safe mode sends again.",
        discussion:
            "Mail that was sent after the backup was made may be sent again. `safe_mode` in /status says whether a confirmation is needed."
    )

    @OptionGroup var control: ControlOptions

    func run() async throws {
        _ = try await ControlClient.with(self.control.endpoint()) { try await $0.send("POST", "/confirm-store") }
        if self.control.json { try Output.json(["confirmed": true]) } else { Output.line("the store is confirmed") }
    }
}
