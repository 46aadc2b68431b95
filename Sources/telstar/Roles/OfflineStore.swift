// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Crypto
import DaemonSupport
import Foundation
import Logging
import MailingModel
import MasterCore
import MasterStore
import OperatorAPI
import ZeroMQ

/// The master's API without a running master: what `key`, `account` and `satellites` use when nobody else holds the store.
struct OfflineStore: Sendable {
    private let master: Master

    /// Opens the store under the master's lock, runs `body` and closes it again.
    static func with<Result: Sendable>(
        _ settings: MasterSettings,
        _ body: (OfflineStore) async throws -> Result
    ) async throws -> Result {
        let logger = Logger(label: "telstar") { _ in SwiftLogNoOpLogHandler() }
        let opening = try await StoreOpening(settings)
        let directory = SatelliteDirectory()
        do {
            try await directory.reload(from: opening.store)
            let master = Master(
                store: opening.store,
                channel: NobodyListens(),
                directory: directory,
                configuration: try settings.core(),
                cursorKey: opening.cursorKey,
                now: { .now },
                logger: logger
            )
            let result = try await body(OfflineStore(master: master))
            try await opening.store.close()
            withExtendedLifetime(opening) {}
            return result
        } catch {
            // The first error is the one to report; the lock goes with the process in any case.
            try? await opening.store.close()
            throw error
        }
    }

    /// Asks the running master, or opens the store if there is none.
    static func orMaster<Result: Sendable>(
        _ control: ControlOptions,
        _ offline: (OfflineStore) async throws -> Result,
        master: (ControlClient) async throws -> Result
    ) async throws -> Result {
        guard control.masterIsAbsent else { return try await ControlClient.with(control.endpoint(), master) }
        return try await Self.open(control, offline)
    }

    private static func open<Result: Sendable>(
        _ control: ControlOptions,
        _ offline: (OfflineStore) async throws -> Result
    ) async throws -> Result {
        let directory = control.masterDirectory
        // A master that runs there has no socket to be asked by, and its store may be another than the directory's.
        guard control.hasControlSocket else {
            throw StartFailure(
                .unavailable,
                "the path of \(directory) is too long for a control socket: give --url and --key-file, or a shorter path"
            )
        }
        let file = [directory + ".yaml", "/etc/telstar/master.yaml"].first {
            FileManager.default.fileExists(atPath: $0)
        }
        let settings = try MasterSettings.load(file: file, overrides: [("dataDirectory", directory)])
        guard FileManager.default.fileExists(atPath: directory) else {
            throw StartFailure(
                .unavailable,
                "no master runs at \(directory): there is no such directory; give --dir or --url"
            )
        }
        return try await Self.with(settings, offline)
    }

    func createKey(name: String, autoescape: Bool?) async throws -> KeyView {
        let created = try await self.master.operator.createKey(name: name, account: .root, autoescape: autoescape)
        return KeyView(created.record, secret: created.secret)
    }

    /// Makes sure that a key with this secret exists; makes one if no secret is given.
    func ensureKey(secret: String?, name: String) async throws -> String {
        guard let secret else { return try await self.master.operator.createKey(name: name, account: .root).secret }
        // The name carries a part of the secret's digest, so that a cluster started with another key gets another record.
        try await self.master.operator.ensureKey(secret: secret, name: name + "-" + Self.mark(secret), account: .root)
        return secret
    }

    /// Eight hexadecimal digits that differ for different secrets, and reveal nothing of them.
    private static func mark(_ secret: String) -> String {
        SHA256.hash(data: Array("telstar key name".utf8) + Array(secret.utf8)).prefix(4)
            .map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    func keys() async throws -> KeysView {
        KeysView(try await self.master.operator.apiKeys(), of: try await self.master.operator.accounts())
    }

    func revokeKey(_ id: String) async throws { try await self.master.operator.revokeKey(id) }

    func satellites() async throws -> [SatelliteView] {
        try await self.master.operator.satellites().map { SatelliteView($0) }
    }

    func addSatellite(_ body: SatellitesCommand.Add.Body) async throws -> SatelliteView {
        var draft = SatelliteDraft(serial: body.serial)
        draft.publicKey = try body.publicKey.map { text in
            do {
                return try Z85.decode(key: text)
            } catch {
                throw StartFailure(.refused, "the public key is not a key of 40 characters in Z85")
            }
        }
        draft.sharedKey = body.sharedKey
        draft.group = body.group
        draft.weight = body.weight
        return SatelliteView(try await self.master.operator.addSatellite(draft))
    }

    func setSatellite(_ serial: String, _ requested: SatellitesCommand.Set.Change) async throws -> SatelliteView {
        let record = try await self.satellite(serial)
        var change = SatelliteChange()
        change.group = requested.group.map { $0.map { .set($0) } ?? .clear }
        change.weight = requested.weight
        change.enabled = requested.enabled
        if requested.include != nil || requested.exclude != nil {
            change.affinity = DomainAffinity(
                include: requested.include ?? record.affinity.include,
                exclude: requested.exclude ?? record.affinity.exclude
            )
        }
        return SatelliteView(try await self.master.operator.setSatellite(record.id, to: change))
    }

    func removeSatellite(_ serial: String, force: Bool) async throws {
        try await self.master.operator.removeSatellite(try await self.satellite(serial).id, force: force)
    }

    private func satellite(_ serial: String) async throws -> SatelliteRecord {
        guard let record = try await self.master.operator.satellites().first(where: { $0.hasSerial(serial) }) else {
            throw StartFailure(.refused, "there is no satellite \(serial)")
        }
        return record
    }
}

// MARK: - Accounts

extension OfflineStore {
    func accounts() async throws -> AccountsView { AccountsView(try await self.master.operator.accounts()) }

    func account(_ name: String) async throws -> AccountView {
        AccountView(
            try await self.master.operator.account(named: name),
            items: try await self.master.operator.items(ofAccount: name)
        )
    }

    func createAccount(_ body: AccountBody) async throws -> AccountView {
        AccountView(try await self.master.operator.createAccount(named: body.name))
    }

    func removeAccount(_ name: String) async throws -> AccountView {
        AccountView(try await self.master.operator.removeAccount(named: name))
    }

    func addItem(_ kind: String, _ body: AccountItemBody, to account: String) async throws -> AccountItemView {
        AccountItemView(try await self.master.operator.add(try body.draft(Self.kind(kind)), toAccount: account))
    }

    func removeItem(
        _ kind: String,
        named name: String,
        api: String?,
        of account: String
    ) async throws -> AccountItemView {
        AccountItemView(
            try await self.master.operator.remove(
                try Self.kind(kind),
                named: name,
                api: try api.map { try AccountItemBody.api($0) },
                ofAccount: account
            )
        )
    }

    private static func kind(_ text: String) throws -> AccountItem.Kind {
        guard let kind = AccountItem.Kind(rawValue: text) else {
            let names = AccountItem.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw StartFailure(.refused, "there is no such kind of item; these are: \(names)")
        }
        return kind
    }
}

extension Timestamp {
    /// The system's civil clock.
    static var now: Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }
}

/// The channel of a master that serves no satellites.
private struct NobodyListens: SatelliteChannel {
    var events: any AsyncSequence<MasterLinkEvent, Never> & Sendable {
        AsyncStream<MasterLinkEvent> { $0.finish() }
    }
    func send(_ message: MasterMessage, to session: SatelliteSession) async -> SendResult { .notConnected }
    func drop(_ session: SatelliteSession) async {}
}
