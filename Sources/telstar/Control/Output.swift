// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation

/// What the commands print.
enum Output {
    /// Prints a value as JSON on standard output.
    static func json(_ value: some Encodable) throws { self.line(try self.text(value, pretty: true)) }

    /// Prints a value as one line of JSON on standard output.
    static func jsonLine(_ value: some Encodable) throws { self.line(try self.text(value, pretty: false)) }

    /// A value as JSON, keys in order.
    static func text(_ value: some Encodable, pretty: Bool) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Prints a line on standard output at once and whole, for readers behind a pipe or a file.
    static func line(_ line: String) {
        fflush(nil)
        self.write(Array((line + "\n").utf8), to: STDOUT_FILENO)
    }

    /// Prints a line for people on standard error.
    static func problem(_ line: String) {
        fflush(nil)
        self.write(Array((line + "\n").utf8), to: STDERR_FILENO)
    }

    /// Writes bytes on standard output at once.
    static func raw(_ bytes: [UInt8]) { self.write(bytes, to: STDOUT_FILENO) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                start += count
            } else if errno == EPIPE {
                // Whoever read has gone: the process ends as if it had not been kept from it by the network library.
                signal(SIGPIPE, SIG_DFL)
                raise(SIGPIPE)
            } else if errno != EINTR {
                exit(DaemonSupport.ExitCode.unwritableFile.rawValue)
            }
        }
    }

    /// Prints rows under a header, columns aligned, two spaces between.
    static func table(_ header: [String], _ rows: [[String]]) {
        self.line(Self.rendered(header, rows))
    }

    /// The text of ``table(_:_:)``.
    static func rendered(_ header: [String], _ rows: [[String]]) -> String {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell.padding(toLength: widths[column] + 2, withPad: " ", startingAt: 0)
            }.joined()
        }.joined(separator: "\n")
    }
}
