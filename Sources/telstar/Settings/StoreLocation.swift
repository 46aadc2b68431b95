// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation

/// Which database holds the store.
enum StoreLocation: Sendable, CustomStringConvertible {
    /// A file of SQLite's.
    case sqlite(path: String)
    /// A database of a PostgreSQL server, as libpq's URL.
    case postgreSQL(url: String)

    /// Reads `store.url`.
    ///
    /// - Throws: ``StartFailure`` for a URL of another kind.
    init(url: String, default path: String) throws {
        if url.isEmpty {
            self = .sqlite(path: path)
        } else if url.hasPrefix("sqlite:"), url.count > 7 {
            self = .sqlite(path: String(url.dropFirst(7)))
        } else if url.hasPrefix("postgresql://") || url.hasPrefix("postgres://") {
            self = .postgreSQL(url: url)
        } else {
            throw StartFailure(
                .configuration,
                "store.url has to be sqlite:PATH or postgresql://USER:PASSWORD@HOST/DATABASE; no other store is built in"
            )
        }
    }

    /// The URL without a password.
    var description: String {
        switch self {
        case .sqlite(let path): return "sqlite:\(path)"
        case .postgreSQL(let url):
            guard var components = URLComponents(string: url) else { return "postgresql:" }
            if components.password != nil { components.password = "***" }
            components.queryItems = components.queryItems?.filter { $0.name != "password" }
            if components.queryItems?.isEmpty == true { components.queryItems = nil }
            return components.string ?? "postgresql:"
        }
    }
}
