// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import DaemonSupport
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Secrets

/// How a command knows that it is a master to which it sends its key.
enum MasterTrust: Sendable {
    /// An authority of this machine has signed the certificate for the host.
    case systemRoots
    /// An authority of a PEM file has.
    case roots(file: String)
    /// The certificate is this one, as a flag or a file says.
    case certificate(CertificateFingerprint, from: String)
    /// The certificate is the one that the master shows now, and is remembered for the commands that follow.
    case firstUse(KnownMasters, master: String)
    /// Nobody is verified.
    case anybody

    /// With the certificate of a first use fetched and remembered; nothing else is sent for that.
    func resolved(url: String) async throws -> MasterTrust {
        guard case .firstUse(let known, let master) = self else { return self }
        let fingerprint = try await Self.fingerprint(shownBy: url)
        try known.remember(fingerprint, of: master)
        Output.problem("telstar: remembered the certificate of \(master) in \(known.path): \(fingerprint)")
        return .certificate(fingerprint, from: known.path)
    }

    /// The TLS side of it.
    ///
    /// - Throws: ``StartFailure`` if the file of authorities cannot be used.
    func configuration() throws -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv12
        switch self {
        case .systemRoots: break
        case .roots(let file):
            let text = try NamedFile.text(file, "the file of authorities")
            guard let roots = try? NIOSSLCertificate.fromPEMBytes(Array(text.utf8)), !roots.isEmpty else {
                throw StartFailure(.badData, "the file of authorities \(file) holds no certificate in PEM")
            }
            tls.trustRoots = .certificates(roots)
        case .certificate, .firstUse, .anybody: tls.certificateVerification = .none
        }
        return tls
    }

    /// Looks at a connection on which TLS is agreed and nothing is sent yet.
    ///
    /// - Returns: Fails with ``UnexpectedCertificate`` if the certificate is not the one expected; the connection is closed then.
    @Sendable
    func examine(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard case .certificate(let expected, let source) = self else {
            return channel.eventLoop.makeSucceededVoidFuture()
        }
        return Self.fingerprint(of: channel).flatMap { found in
            guard found != expected else { return channel.eventLoop.makeSucceededVoidFuture() }
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(
                UnexpectedCertificate(found: found, expected: expected, source: source)
            )
        }
    }

    /// The certificate that a master shows; nothing is sent to it.
    static func fingerprint(shownBy url: String) async throws -> CertificateFingerprint {
        struct Seen: Error { let fingerprint: CertificateFingerprint }
        var configuration = HTTPClient.Configuration(tlsConfiguration: try MasterTrust.anybody.configuration())
        configuration.timeout.connect = .seconds(10)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        configuration.http1_1ConnectionDebugInitializer = { channel in
            Self.fingerprint(of: channel).flatMapThrowing { found in
                channel.close(promise: nil)
                if let found { throw Seen(fingerprint: found) }
            }
        }
        let client = HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton),
            configuration: configuration
        )
        let result: Result<CertificateFingerprint, any Error>
        do {
            _ = try await client.execute(HTTPClientRequest(url: url), timeout: .seconds(10))
            result = .failure(StartFailure(.unavailable, "\(url) shows no certificate"))
        } catch let seen as Seen {
            result = .success(seen.fingerprint)
        } catch {
            result = .failure(error)
        }
        // All is known; what a connection says at its end does not matter any more.
        try? await client.shutdown()
        return try result.get()
    }

    private static func fingerprint(of channel: any Channel) -> EventLoopFuture<CertificateFingerprint?> {
        channel.nioSSL_peerCertificate().flatMapThrowing { certificate in
            try certificate.map { CertificateFingerprint(certificateDER: try $0.toDERBytes()) }
        }
    }

    /// Whether TLS failed because the certificate cannot be verified.
    static func isUnverified(_ error: any Error) -> Bool {
        switch error {
        case let error as NIOConnectionError: error.connectionErrors.contains { Self.isUnverified($0.error) }
        case let error as NIOSSLExtraError: error == .failedToValidateHostname
        default: "\(error)".contains("CERTIFICATE_VERIFY_FAILED")
        }
    }
}

/// A master showed another certificate than the one that is expected of it.
struct UnexpectedCertificate: Error, CustomStringConvertible {
    /// What it showed; `nil` if it was none.
    let found: CertificateFingerprint?
    let expected: CertificateFingerprint
    /// The flag or the file that it comes from.
    let source: String

    var description: String {
        "it shows another certificate, \(self.found.map { "\($0)" } ?? "none"), than the one of \(self.source), \(self.expected); "
            + "nothing was sent. If the master was given a new one, change it there"
    }
}

/// The certificates of masters that a person has asked to remember, a line `HOST:PORT FINGERPRINT` for each.
struct KnownMasters {
    let path: String

    /// The file of this user: `telstar/known-masters` in `XDG_CONFIG_HOME`, or in `~/.config`.
    static var ofThisUser: KnownMasters {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["HOME"] ?? NSHomeDirectory()
        let directory = environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? home + "/.config"
        return KnownMasters(path: directory + "/telstar/known-masters")
    }

    /// The certificate remembered of a master.
    ///
    /// - Throws: ``StartFailure`` if the file is there and cannot be used.
    func certificate(of master: String) throws -> CertificateFingerprint? {
        for (number, line) in try self.lines().enumerated() {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard let name = parts.first, !name.hasPrefix("#") else { continue }
            guard parts.count == 2, let fingerprint = CertificateFingerprint(parts[1]) else {
                throw StartFailure(.badData, "\(self.path), line \(number + 1): not HOST:PORT and a fingerprint")
            }
            if name == master { return fingerprint }
        }
        return nil
    }

    /// Remembers a certificate from now on.
    func remember(_ fingerprint: CertificateFingerprint, of master: String) throws {
        let directory = URL(fileURLWithPath: self.path).deletingLastPathComponent()
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        // A line is appended at once, so that commands that remember at the same time lose nothing.
        let descriptor = open(self.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        let line = Array("\(master) \(fingerprint)\n".utf8)
        defer { if descriptor >= 0 { close(descriptor) } }
        guard descriptor >= 0, write(descriptor, line, line.count) == line.count else {
            throw StartFailure(.unwritableFile, "\(self.path) cannot be written: \(NamedFile.reason(errno))")
        }
    }

    private func lines() throws -> [String] {
        guard FileManager.default.fileExists(atPath: self.path) else { return [] }
        let text = try NamedFile.text(self.path, "the file of known masters")
        return text.split(whereSeparator: \.isNewline).map(String.init)
    }
}
