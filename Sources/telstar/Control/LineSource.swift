// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Lines of a file or of standard input, empty ones left out.
final class LineSource {
    private let handle: FileHandle
    private var rest: [UInt8] = []
    private var atEnd = false

    /// Opens the file; `-` is standard input.
    init(path: String) throws {
        self.handle =
            path == "-"
            ? .standardInput
            : FileHandle(fileDescriptor: try NamedFile.open(path, reading: "the file"), closeOnDealloc: true)
    }

    /// The next lines, at most `count`; `nil` at the end.
    func next(_ count: Int) throws -> [String]? {
        var lines: [String] = []
        while lines.count < count {
            if let end = self.rest.firstIndex(of: UInt8(ascii: "\n")) {
                Self.append(self.rest[..<end], to: &lines)
                self.rest.removeFirst(end + 1)
            } else if self.atEnd {
                Self.append(self.rest[...], to: &lines)
                self.rest = []
                break
            } else if let data = try self.handle.read(upToCount: 1 << 16), !data.isEmpty {
                self.rest.append(contentsOf: data)
            } else {
                self.atEnd = true
            }
        }
        return lines.isEmpty ? nil : lines
    }

    private static func append(_ line: ArraySlice<UInt8>, to lines: inout [String]) {
        let text = String(decoding: line, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        if !text.isEmpty { lines.append(text) }
    }
}
