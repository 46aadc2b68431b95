// SPDX-License-Identifier: Apache-2.0

import DaemonSupport

/// HOST:PORT of a listener; the host may be in square brackets.
struct ListenAddress: Sendable, Equatable {
    var host: String
    var port: Int

    /// Reads an address; `nil` for an empty text.
    ///
    /// - Throws: ``StartFailure`` that names the key.
    init?(optional text: String, key: String) throws {
        if text.isEmpty { return nil }
        try self.init(text, key: key)
    }

    /// Reads an address.
    ///
    /// - Throws: ``StartFailure`` that names the key.
    init(_ text: String, key: String) throws {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port), colon > text.startIndex
        else { throw StartFailure(.configuration, "\(key) has to be HOST:PORT, not '\(text)'") }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.host = String(host)
        self.port = port
    }
}
