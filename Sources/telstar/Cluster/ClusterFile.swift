// SPDX-License-Identifier: Apache-2.0

/// What `cluster.json` holds: where a local cluster is reached and what it consists of.
struct ClusterFile: Codable, Sendable, Equatable {
    /// The HTTPS base URL of the API, without a path.
    var apiURL: String
    /// The same without TLS.
    var apiPlainURL: String
    /// The master's status page; `/healthz`, `/readyz` and `/metrics` lie beside it.
    var statusURL: String
    /// The satellites' status pages, in order.
    var satelliteStatusURLs: [String]
    /// The secret of an API key.
    var apiKey: String
    /// The version of the cluster protocol.
    var protocolVersion: Int
    /// The URL of the store.
    var store: String
    /// Process numbers by role: `master`, `satellite`, and `cluster` for the parent.
    var pids: [String: [Int32]]
    /// Configuration files by child.
    var configs: [String: String]
    /// Log files by child.
    var logs: [String: String]
    /// The directory of it all.
    var dir: String

    enum CodingKeys: String, CodingKey {
        case pids, configs, logs, dir, store
        case apiURL = "api_url"
        case apiPlainURL = "api_plain_url"
        case statusURL = "status_url"
        case satelliteStatusURLs = "satellite_status_urls"
        case apiKey = "api_key"
        case protocolVersion = "protocol"
    }
}
