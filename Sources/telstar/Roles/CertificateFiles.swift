// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import Secrets

/// The certificate of the HTTPS listener.
enum CertificateFiles {
    /// Reads the configured files, or the self-signed certificate of the data directory, made at the first start.
    ///
    /// - Throws: ``StartFailure`` that names the file.
    static func load(_ settings: MasterSettings) throws -> (chain: String, key: String) {
        if let files = settings.certificateFiles { return (try self.read(files.chain), try self.read(files.key)) }
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
        return (try self.read(chain), try self.read(key))
    }

    private static func read(_ path: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw StartFailure(
                .configuration,
                "the certificate file \(path) cannot be read: \(error.localizedDescription)"
            )
        }
    }
}
