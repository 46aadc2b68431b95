// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation

/// Prints an import's progress for people, and writes its refused lines to a side file.
struct ImportOutput {
    /// A line that was refused.
    struct Refused: Decodable {
        var line: Int
        var text: String
        var row: String?
    }

    /// How many came to what.
    struct Counts: Codable {
        var accepted: Int
        var repeated: Int
        var refused: Int
        var duplicates: Int
        var lines: Int
    }

    /// What came of the import.
    struct End: Decodable {
        struct Reason: Decodable {
            var code: String
            var message: String
        }

        var accepted: Int
        var repeated: Int
        var refused: Int
        var duplicates: Int
        var lines: Int
        var complete: Bool
        var error: Reason?

        var counts: Counts {
            Counts(
                accepted: self.accepted,
                repeated: self.repeated,
                refused: self.refused,
                duplicates: self.duplicates,
                lines: self.lines
            )
        }
    }

    private struct Line: Decodable {
        struct Either: Decodable {
            var refusal: Refused?

            init(from decoder: any Decoder) throws {
                // The last line counts under the same name.
                self.refusal = try? Refused(from: decoder)
            }
        }

        var progress: Counts?
        var refused: Either?
    }

    private static let shown = 20
    private static let refusedPrefix = Array("{\"refused\":".utf8)

    /// The last line of the answer, once it has come.
    private(set) var end: End?
    /// Lines of the file that have been processed.
    private(set) var lines = 0
    private let path: String?
    private let size: Int?
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let began = ContinuousClock.now
    private var shownAt = ContinuousClock.now
    private var file: FileHandle?
    private var firstRefused: [Refused] = []
    private var buffered: [UInt8] = []

    /// An import's output before its first line.
    ///
    /// - Parameters:
    ///   - errors: The side file; `nil` for none.
    ///   - size: Bytes to be sent, if known.
    init(errors: String?, size: Int?) {
        self.path = errors
        self.size = size
    }

    /// Removes the side file of an earlier run, which would only mislead.
    func begin() throws {
        guard let path = self.path, FileManager.default.fileExists(atPath: path) else { return }
        guard unlink(path) == 0 else {
            throw StartFailure(
                .unwritableFile,
                "the file of refused rows \(path) cannot be replaced: \(NamedFile.reason(errno))"
            )
        }
    }

    /// Takes a line of the answer.
    mutating func take(_ bytes: [UInt8], sent: Int) throws {
        let line = try JSONDecoder().decode(Line.self, from: Data(bytes))
        if let refusal = line.refused?.refusal {
            if self.path == nil {
                self.clearBar()
                self.show(refusal)
            } else if self.firstRefused.count < Self.shown {
                self.firstRefused.append(refusal)
            }
            try self.write(bytes)
        } else if let progress = line.progress {
            self.lines = progress.lines
            self.show(progress, sent: sent)
        } else {
            self.end = try JSONDecoder().decode(End.self, from: Data(bytes))
            try self.flush()
        }
    }

    /// Writes a refused line without what wraps it.
    private mutating func write(_ bytes: [UInt8]) throws {
        guard self.path != nil, bytes.starts(with: Self.refusedPrefix), bytes.last == UInt8(ascii: "}") else {
            return
        }
        self.buffered += bytes[Self.refusedPrefix.count..<(bytes.count - 1)]
        self.buffered.append(0x0A)
        if self.buffered.count > 64 * 1_024 { try self.flush() }
    }

    private mutating func flush() throws {
        guard let path = self.path, !self.buffered.isEmpty else { return }
        if self.file == nil {
            self.file = try NamedFile.create(path, "the file of refused rows")
        }
        do {
            try self.file?.write(contentsOf: self.buffered)
        } catch {
            throw StartFailure(.unwritableFile, "the file of refused rows \(path) cannot be written: is the disk full?")
        }
        self.buffered = []
    }

    private mutating func show(_ progress: Counts, sent: Int) {
        let elapsed = self.began.duration(to: .now)
        let seconds = max(0.001, elapsed / .seconds(1))
        let rate = Int(Double(progress.lines) / seconds)
        let counts = "\(progress.accepted) accepted, \(progress.refused) refused, \(rate) lines/s"
        if self.isTerminal {
            var bar = ""
            if let size = self.size, size > 0 {
                let filled = min(40, 40 * sent / size)
                bar = String(repeating: "█", count: filled) + String(repeating: "·", count: 40 - filled) + " "
            }
            FileHandle.standardError.write(Data("\r\u{1B}[K\(bar)\(counts)".utf8))
        } else if self.shownAt.duration(to: .now) >= .seconds(5) {
            self.shownAt = .now
            let share = self.size.map { "\(100 * sent / max($0, 1)) %, " } ?? ""
            Output.problem("\(share)\(counts)")
        }
    }

    /// Takes the progress bar off the terminal, and writes out what is known of refused lines.
    mutating func clear() {
        self.clearBar()
        do {
            try self.flush()
        } catch {
            Output.problem("\(error)")
        }
    }

    /// Prints the first refused lines and where the others are.
    func printRefused() {
        guard let path = self.path else { return }
        self.firstRefused.forEach(self.show)
        let count = self.end?.refused ?? self.firstRefused.count
        if count > self.firstRefused.count { Output.problem("and \(count - self.firstRefused.count) more") }
        if count > 0 { Output.problem("all refused lines: \(path)") }
    }

    private func clearBar() { if self.isTerminal { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) } }

    /// Prints a refused row, in one line however many it had; the row goes with it if it goes nowhere else.
    private func show(_ refusal: Refused) {
        let row =
            self.path == nil
            ? refusal.row.map { ": " + $0.replacing("\r", with: "\\r").replacing("\n", with: "\\n") } : nil
        Output.problem("line \(refusal.line): \(refusal.text)\(row ?? "")")
    }
}
