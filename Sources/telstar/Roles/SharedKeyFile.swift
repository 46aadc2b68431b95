// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import MasterCore
import Secrets

/// The file of a secret that a satellite and its master share for the enrolment, read alike on both sides.
enum SharedKeyFile {
    /// The secret, without the white space around it.
    ///
    /// - Throws: ``StartFailure``: 66 if the file cannot be read, 78 if others than its owner may use it or the secret is
    ///   too short.
    static func read(_ path: String) throws -> String {
        let bytes: [UInt8]
        do {
            bytes = try SecretFile.read(path)
        } catch let error as SecretsError where error.code == .missing || error.code == .unreadable {
            throw StartFailure(.unreadableFile, "the shared key: \(error)")
        } catch {
            throw StartFailure(.configuration, "the shared key: \(error)")
        }
        let secret = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard secret.utf8.count >= SatelliteDraft.minimumSharedKeyBytes else {
            throw StartFailure(
                .configuration,
                "the shared key in \(path) is too short: \(secret.utf8.count) characters, "
                    + "\(SatelliteDraft.minimumSharedKeyBytes) at least"
            )
        }
        return secret
    }
}
