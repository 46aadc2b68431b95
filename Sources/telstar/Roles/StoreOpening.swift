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
    let store: MailingStore
    /// Authenticates the feed's cursors.
    let cursorKey: MACKey
    /// Held as long as the store, so that this data directory has one master.
    private let lock: DirectoryLock?

    /// Opens the store, making it and its secret at the first start.
    ///
    /// - Parameters:
    ///   - settings: Which store.
    ///   - onWait: Called with who is the master, while this one waits for its turn; `nil` if it shall not wait.
    ///   - onStep: Called as each step of bringing the tables up to date begins and is done.
    /// - Throws: ``StartFailure``: 69 if another process holds the store or the database does not answer, 78 if it is of
    ///   a newer version, or refuses us.
    init(
        _ settings: MasterSettings,
        onWait: (@Sendable (String) -> Void)? = nil,
        onStep: @escaping @Sendable (SchemaProgress) -> Void = { _ in }
    ) async throws {
        try NamedFile.makeDirectory(settings.directory, "the data directory")
        let root = try Self.secret(in: settings.directory)
        let identifiers = root.derived(for: "recipient ids")
        let sealer = try Sealer(key: root.derived(for: "signing keys").bytes)
        self.cursorKey = root.derived(for: "feed cursors")
        let secrets = StoreSecrets(
            digest: { bytes in
                guard let hash = BlobHash(bytes: Array(SHA256.hash(data: bytes))) else {
                    preconditionFailure("SHA-256 has 32 bytes")
                }
                return hash
            },
            seal: { try sealer.seal($0, context: "signing key") },
            open: { try sealer.open($0, context: "signing key") },
            recipientIDs: RecipientIDCodec(mac: { identifiers.sign($0) })
        )
        let location = try settings.storeLocation()
        do {
            switch location {
            case .sqlite(let path):
                self.lock = nil
                self.store = try await MailingStore.open(
                    SQLiteConfiguration(path: path, retry: settings.retry),
                    secrets: secrets,
                    onStep: onStep
                )
            case .postgreSQL(let url):
                let lock = try DirectoryLock(directory: settings.directory, fileName: "master.lock")
                self.lock = lock
                self.store = try await MailingStore.open(
                    PostgreSQLStoreConfiguration(
                        url: url,
                        retry: settings.retry,
                        holder: "\(ProcessInfo.processInfo.hostName), process \(getpid())",
                        instance: try Self.instance(settings.directory),
                        waits: onWait != nil,
                        silence: settings.masterSilence,
                        acceptsUnsafeServer: settings.acceptsUnsafeServer
                    ),
                    secrets: secrets,
                    onWait: onWait ?? { _ in },
                    onStep: onStep
                )
            }
        } catch let error as StoreError {
            switch error.code {
            case .newerSchema, .corrupt, .refused: throw StartFailure(.configuration, "the store \(location): \(error)")
            default: throw StartFailure(.unavailable, "the store \(location): \(error)")
            }
        }
    }

    /// What at most one live process can be: this data directory, which is locked, on this boot of this machine.
    private static func instance(_ directory: String) throws -> String {
        let path = directory + "/instance.id"
        let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? "\(getpid())"
        let id: String
        if let known = try? String(contentsOfFile: path, encoding: .utf8) {
            id = known
        } else {
            id = UUID().uuidString
            try AtomicFile.write(path, contents: Array(id.utf8))
        }
        return [id, boot].map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }.joined(separator: "/")
    }

    /// The root secret of the data directory, from which every other is derived; made at the first start.
    private static func secret(in directory: String) throws -> MACKey {
        if let present = try self.loadSecret(in: directory) { return present }
        let path = directory + "/secret.key"
        do {
            let made = SecureBytes.random(count: 32)
            try SecretFile.create(path, contents: Array((Base64URL.encode(made) + "\n").utf8))
            return try MACKey(bytes: made)
        } catch {
            throw StartFailure(.unwritableFile, "the store's secret \(path) cannot be made: \(error)")
        }
    }

    /// The root secret of the data directory; `nil` if there is none yet.
    ///
    /// - Throws: ``StartFailure`` if the file is unreadable, readable for others, or holds no secret.
    static func loadSecret(in directory: String) throws -> MACKey? {
        let path = directory + "/secret.key"
        let bytes: [UInt8]
        do {
            bytes = try SecretFile.read(path)
        } catch let error as SecretsError where error.code == .missing {
            return nil
        } catch {
            throw StartFailure(.configuration, "the store's secret is unusable: \(error)")
        }
        let text = String(decoding: bytes, as: UTF8.self).prefix { !$0.isWhitespace }
        guard let secret = Base64URL.decode(text), let key = try? MACKey(bytes: secret) else {
            // The reason would say nothing of use: it is not what was written.
            throw StartFailure(.configuration, "the store's secret \(path) is damaged; restore the one that it held")
        }
        return key
    }
}
