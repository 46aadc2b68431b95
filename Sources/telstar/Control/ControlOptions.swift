// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Secrets

/// The flags by which every operator's command finds its master.
struct ControlOptions: ParsableArguments {
    @Option(help: "The master's data directory (or a cluster's); its socket is used.")
    var dir: String?

    @Option(help: "Base URL of the master's API, instead of the socket.")
    var url: String?

    @Option(help: "A file that holds the API key, for --url.")
    var keyFile: String?

    @Option(help: "A PEM file of certificate authorities to trust for --url, instead of the system's.")
    var caFile: String?

    @Option(help: "The SHA-256 of the master's certificate, from its log; no other is trusted.")
    var fingerprint: String?

    @Flag(help: "Remember the certificate that the master shows now, and trust no other from then on.")
    var rememberCertificate = false

    @Flag(help: "Send the key without verifying to whom.")
    var insecure = false

    @Flag(help: "Print JSON instead of text.")
    var json = false

    /// The directory that holds the master's store, keys and socket.
    var masterDirectory: String {
        let dir = self.dir ?? ProcessInfo.processInfo.environment["TELSTAR_DIR"] ?? "/var/lib/telstar"
        let nested = dir + "/master"
        return FileManager.default.fileExists(atPath: nested) ? nested : dir
    }

    /// Refuses flags that contradict one another.
    func validate() throws {
        let given = [
            ("--ca-file", self.caFile != nil), ("--fingerprint", self.fingerprint != nil),
            ("--remember-certificate", self.rememberCertificate), ("--insecure", self.insecure),
        ].filter(\.1).map(\.0)
        if let first = given.first, self.url == nil { throw ValidationError("\(first) needs --url") }
        guard given.count < 2 else { throw ValidationError("\(given[0]) and \(given[1]) contradict one another") }
    }

    /// The endpoint that the flags describe.
    func endpoint() throws -> ControlClient.Endpoint {
        guard let url = self.url else { return .socket(path: self.masterDirectory + "/control.sock") }
        guard let keyFile = self.keyFile else { throw ValidationError("--url needs --key-file") }
        let parts = URLComponents(string: url)
        guard let parts, let scheme = parts.scheme?.lowercased(), ["http", "https"].contains(scheme),
            let host = parts.host, !host.isEmpty,
            parts.path.isEmpty || parts.path == "/", parts.query == nil
        else { throw ValidationError("--url has to be https://HOST:PORT, not '\(url)'") }
        let trust = try self.trust(scheme, host, parts.port)
        return .url(url, key: try NamedFile.line(keyFile, "the key file"), trust: trust)
    }

    private func trust(_ scheme: String, _ host: String, _ port: Int?) throws -> MasterTrust {
        if self.insecure {
            Output.problem("telstar: --insecure: the key is sent to \(host) without verifying that it is the master")
            return .anybody
        }
        guard scheme == "https" else {
            guard ["127.0.0.1", "::1", "[::1]", "localhost"].contains(host.lowercased()) else {
                throw ValidationError(
                    "http:// would send the key to \(host) for all to read; give https://, or --insecure"
                )
            }
            return .anybody
        }
        if let file = self.caFile { return .roots(file: file) }
        if let text = self.fingerprint {
            guard let fingerprint = CertificateFingerprint(text) else {
                throw ValidationError("--fingerprint has to be the 64 digits of a SHA-256, not '\(text)'")
            }
            return .certificate(fingerprint, from: "--fingerprint")
        }
        let master = "\(host.lowercased()):\(port ?? 443)"
        let known = KnownMasters.ofThisUser
        if let fingerprint = try known.certificate(of: master) { return .certificate(fingerprint, from: known.path) }
        return self.rememberCertificate ? .firstUse(known, master: master) : .systemRoots
    }

    /// Whether the data directory's path is short enough for a Unix socket in it.
    var hasControlSocket: Bool {
        (self.masterDirectory + "/control.sock").utf8.count < ControlOptions.longestSocketPath
    }

    /// The bytes that a Unix socket's path may have: 108 with its NUL in Linux, 104 elsewhere.
    static let longestSocketPath = 100

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
