// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// The flags by which every operator's command finds its master.
struct ControlOptions: ParsableArguments {
    @Option(help: "The master's data directory (or a cluster's); its socket is used.")
    var dir: String?

    @Option(help: "Base URL of the master's API, instead of the socket.")
    var url: String?

    @Option(help: "A file that holds the API key, for --url.")
    var keyFile: String?

    @Flag(help: "Print JSON instead of text.")
    var json = false

    /// The directory that holds the master's store, keys and socket.
    var masterDirectory: String {
        let dir = self.dir ?? ProcessInfo.processInfo.environment["TELSTAR_DIR"] ?? "/var/lib/telstar"
        let nested = dir + "/master"
        return FileManager.default.fileExists(atPath: nested) ? nested : dir
    }

    /// The endpoint that the flags describe.
    func endpoint() throws -> ControlClient.Endpoint {
        guard let url = self.url else { return .socket(path: self.masterDirectory + "/control.sock") }
        guard let keyFile = self.keyFile else { throw ValidationError("--url needs --key-file") }
        let parts = URLComponents(string: url)
        guard let parts, ["http", "https"].contains(parts.scheme?.lowercased()), parts.host?.isEmpty == false,
            parts.path.isEmpty || parts.path == "/", parts.query == nil
        else { throw ValidationError("--url has to be https://HOST:PORT, not '\(url)'") }
        return .url(url, key: try NamedFile.line(keyFile, "the key file"))
    }

    /// Whether no master runs here: there is no socket, or nobody answers on it.
    var masterIsAbsent: Bool {
        guard self.url == nil else { return false }
        return UnixSocketProbe.probe(self.masterDirectory + "/control.sock") == .silent
    }
}

/// Finds whether somebody listens on a Unix socket.
enum UnixSocketProbe {
    /// What was found.
    enum Finding {
        /// Somebody listens.
        case answers
        /// There is no socket, or nobody listens on it.
        case silent
        /// This user may not use the socket, or not look into its directory.
        case forbidden
    }

    /// Connects and closes at once.
    static func probe(_ path: String) -> Finding {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return .silent }
        defer { _ = close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < capacity else { return .silent }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        if isConnected { return .answers }
        return errno == EACCES || errno == EPERM ? .forbidden : .silent
    }
}
