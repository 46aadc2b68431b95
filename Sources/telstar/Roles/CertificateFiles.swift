// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import NIOSSL
import Secrets

/// The certificate of the HTTPS listener.
enum CertificateFiles {
    /// Reads the configured files, or the self-signed certificate of the data directory, made at the first start.
    ///
    /// - Throws: ``StartFailure`` that names the file.
    static func load(_ settings: MasterSettings) throws -> (chain: String, key: String) {
        if let files = settings.certificateFiles { return try self.read(files.chain, files.key) }
        let chain = settings.directory + "/certificate.pem"
        let key = settings.directory + "/certificate-key.pem"
        if !FileManager.default.fileExists(atPath: key) || !FileManager.default.fileExists(atPath: chain) {
            do {
                let made = try SelfSignedCertificate.make(
                    commonName: ProcessInfo.processInfo.hostName,
                    at: Int64(Date().timeIntervalSince1970)
                )
                try AtomicFile.write(key, contents: Array(made.privateKeyPEM.utf8))
                try AtomicFile.write(chain, contents: Array(made.certificatePEM.utf8), mode: 0o644)
            } catch {
                throw StartFailure(.unavailable, "no certificate can be made in \(settings.directory): \(error)")
            }
        }
        return try self.read(chain, key)
    }

    /// Looks at the files that ``load(_:)`` would read, without making any.
    static func check(_ settings: MasterSettings) throws {
        if let files = settings.certificateFiles {
            _ = try self.read(files.chain, files.key)
        } else if FileManager.default.fileExists(atPath: settings.directory + "/certificate-key.pem") {
            _ = try self.load(settings)
        }
    }

    /// Reads both files and tries them, so that what is wrong is reported by the file's name.
    private static func read(_ chainPath: String, _ keyPath: String) throws -> (chain: String, key: String) {
        guard !keyPath.isEmpty else {
            throw StartFailure(.configuration, "api.certificateFile needs api.certificateKeyFile")
        }
        let chain = try NamedFile.text(chainPath, "the certificate file")
        let key = try NamedFile.text(keyPath, "the certificate's key file")
        let certificates: [NIOSSLCertificate]
        do {
            certificates = try NIOSSLCertificate.fromPEMBytes(Array(chain.utf8))
        } catch {
            throw StartFailure(.configuration, "the certificate file \(chainPath) holds no certificate in PEM")
        }
        let privateKey: NIOSSLPrivateKey
        do {
            privateKey = try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem)
        } catch {
            throw StartFailure(
                .configuration,
                "the certificate's key file \(keyPath) holds no private key in PEM, or one with a passphrase"
            )
        }
        do {
            _ = try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: certificates.map { .certificate($0) },
                    privateKey: .privateKey(privateKey)
                )
            )
        } catch {
            throw StartFailure(
                .configuration,
                "the key in \(keyPath) does not belong to the first certificate in \(chainPath)"
            )
        }
        return (chain, key)
    }
}
