// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The sink's journal, read after the play: how many messages each recipient has.
struct SinkJournal {
    /// Accepted messages by recipient.
    private(set) var recipients: [String: Int] = [:]

    /// Reads a journal of JSON lines.
    init(path: String) throws {
        struct Line: Decodable {
            var recipients: [String]

            enum CodingKeys: String, CodingKey { case recipients = "rcpt_to" }
        }
        let decoder = JSONDecoder()
        let source = try LineSource(path: path)
        while let lines = try source.next(1000) {
            for line in lines {
                for recipient in try decoder.decode(Line.self, from: Data(line.utf8)).recipients {
                    self.recipients[recipient, default: 0] += 1
                }
            }
        }
    }
}
