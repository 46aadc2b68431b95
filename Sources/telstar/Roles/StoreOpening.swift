// SPDX-License-Identifier: Apache-2.0

import Crypto
import DaemonSupport
import Foundation
import MailingModel
import MasterStore
import Secrets

/// Opens the master's store with the secrets of its data directory.
struct StoreOpening {
    /// The store, locked for this process.
    let store: DatabaseStore
    /// Authenticates the feed's cursors.
    let cursorKey: MACKey

    /// Opens the store, making it and its secret at the first start.
    ///
    /// - Throws: ``StartFailure``: 69 if another process holds the store, 78 if it is of a newer version.
    init(_ settings: MasterSettings) async throws {
        try FileManager.default.createDirectory(
            atPath: settings.directory,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        let root = try Self.secret(in: settings.directory)
        let identifiers = root.derived(for: "recipient ids")
        let sealer = try Sealer(key: root.derived(for: "signing keys").bytes)
        self.cursorKey = root.derived(for: "feed cursors")
        let secrets = StoreSecrets(
            digest: { bytes in
                guard let hash = BlobHash(bytes: Array(SHA256.hash(data: bytes))) else {
                    preconditionFailure("SHA-256 has 32 octets")
                }
                return hash
            },
            seal: { try sealer.seal($0, context: "signing key") },
            open: { try sealer.open($0, context: "signing key") },
            recipientIDs: RecipientIDCodec(mac: { identifiers.sign($0) })
        )
        do {
            self.store = try await DatabaseStore.open(
                SQLiteConfiguration(path: try settings.storePath(), retry: settings.retry),
                secrets: secrets
            )
        } catch let error as StoreError {
            switch error.code {
            case .newerSchema, .corrupt: throw StartFailure(.configuration, "\(error)")
            default: throw StartFailure(.unavailable, "\(error)")
            }
        }
    }

    /// The root secret of the data directory, from which every other is derived.
    private static func secret(in directory: String) throws -> MACKey {
        let path = directory + "/secret.key"
        do {
            let bytes: [UInt8]
            do {
                bytes = try SecretFile.read(path)
            } catch let error as SecretsError where error.code == .missing {
                let made = SecureBytes.random(count: 32)
                try SecretFile.create(path, contents: Array((Base64URL.encode(made) + "\n").utf8))
                return try MACKey(bytes: made)
            }
            let text = String(decoding: bytes, as: UTF8.self).prefix { !$0.isWhitespace }
            guard let secret = Base64URL.decode(text) else {
                throw StartFailure(.configuration, "it does not hold octets in base64url")
            }
            return try MACKey(bytes: secret)
        } catch {
            throw StartFailure(.configuration, "the store's secret \(path) is unusable: \(error)")
        }
    }
}
