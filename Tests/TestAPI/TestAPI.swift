// SPDX-License-Identifier: Apache-2.0

package import APIServing
import ClusterLink
import Foundation
package import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
package import MailingModel
package import MasterCore
import MasterStore
import Secrets

/// APIs over a master with a store of its own, asked in process.
package struct TestAPI {
    /// Answers the calls.
    package let master: Master
    /// The secret of a key that is in force.
    package let key: String
    private let client: any TestClientProtocol

    /// Runs a test.
    ///
    /// - Parameters:
    ///   - isLoaded: Whether the master has read its store.
    ///   - log: Logs requests.
    ///   - families: The APIs that are served.
    ///   - body: The test.
    /// - Throws: What the test throws, or the store.
    package static func run(
        isLoaded: Bool = true,
        log: RequestLog = RequestLog(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, isComplete: true),
        _ families: (Master) -> [any APIFamily],
        _ body: @Sendable (TestAPI) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/test-api-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try await MailingStore.open(
            SQLiteConfiguration(path: directory + "/store.sqlite"),
            secrets: StoreSecrets(
                digest: Self.digest,
                seal: { $0 },
                open: { $0 },
                recipientIDs: RecipientIDCodec { KeyHash(of: $0).bytes }
            )
        )
        let master = Master(
            store: store,
            channel: NoSatellites(),
            directory: SatelliteDirectory(),
            configuration: MasterConfiguration(),
            cursorKey: MACKey.generate(),
            now: { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000)) },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        if isLoaded { try await master.load() }
        let key = isLoaded ? try await master.operator.createKey(name: "test", account: .root).secret : ""
        let application = Application(responder: APIRouter.responder(families(master), master: master, log: log))
        try await application.test(.router) { client in
            try await body(TestAPI(master: master, key: key, client: client))
        }
        try await store.close()
    }

    private static func digest(_ bytes: [UInt8]) -> BlobHash {
        guard let hash = BlobHash(bytes: KeyHash(of: bytes).bytes) else { preconditionFailure("SHA-256 has 32 bytes") }
        return hash
    }

    /// Makes a request.
    ///
    /// - Parameters:
    ///   - line: Method and path with its query, such as `GET /api/reports?limit=1`.
    ///   - authorization: The header field; ``basic`` and ``bearer`` have the key.
    ///   - fields: More header fields.
    ///   - body: The body.
    /// - Returns: The answer.
    /// - Throws: What a responder lets through.
    package func send(
        _ line: String,
        authorization: String? = nil,
        _ fields: [(String, String)] = [],
        body: String? = nil
    ) async throws -> APIAnswer {
        let parts = line.split(separator: " ").map(String.init)
        var headers = HTTPFields()
        headers[.authorization] = authorization
        for (name, value) in fields {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        let response = try await self.client.execute(
            uri: parts[1],
            method: HTTPRequest.Method(parts[0]) ?? .get,
            headers: headers,
            body: body.map { ByteBuffer(string: $0) }
        )
        return APIAnswer(status: response.status, headers: response.headers, text: String(buffer: response.body))
    }

    /// Makes a mailing of an account, with one recipient whose report is in the feed.
    ///
    /// - Parameters:
    ///   - account: The account.
    ///   - name: The name of its domain; stands in everything that is the account's.
    /// - Returns: The account's key and what it may see.
    /// - Throws: What the master refuses.
    package func makeTenant(_ account: AccountID, _ name: String) async throws -> Tenant {
        let key = try await self.master.operator.createKey(name: name, account: account)
        let operations = self.master.account(Principal(account: account, credential: key.record.publicID))
        var draft = MailingDraft(
            content: .alternative(html: "<p>Hi</p>", plain: nil),
            mailFrom: "news@\(name).example",
            senderName: name,
            subject: "Hello"
        )
        draft.autoescape = true
        let mailing = try await operations.createMailing(draft).id
        let submission = RecipientSubmission(address: "reader@\(name).example", trackingID: "\(name)-1")
        _ = try await operations.addRecipients([submission], to: mailing)
        let ended = try await operations.createMailing(draft).id
        _ = try await operations.addRecipients([RecipientSubmission(address: "late@\(name).example")], to: ended)
        _ = try await operations.closeMailing(ended)
        // One that would finish if it were looked at.
        _ = try await operations.startMailing(try await operations.createMailing(draft).id)
        return Tenant(
            key: key,
            name: name,
            mailing: mailing,
            trackingID: "\(name)-1",
            ended: ended,
            operations: operations
        )
    }

    /// Basic credentials with the key.
    package var basic: String { Self.basic("admin", self.key) }
    /// The key as a token.
    package var bearer: String { "Bearer \(self.key)" }

    /// Basic credentials, RFC 7617 §2.
    package static func basic(_ user: String, _ password: String) -> String {
        "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
    }
}

/// An account with something of its own.
package struct Tenant: Sendable {
    /// Its key.
    package let key: CreatedKey
    /// Stands in its addresses.
    package let name: String
    /// A mailing that takes recipients, with one.
    package let mailing: MailingID
    /// The id of that recipient.
    package let trackingID: String
    /// A mailing that has ended, and of whose recipient the feed has an event.
    package let ended: MailingID
    /// What the account may do.
    package let operations: AccountOperations

    /// The key as a token.
    package var bearer: String { "Bearer \(self.key.secret)" }

    /// All that the account has, to be compared before and after what others tried.
    package func state() async throws -> String {
        var filter = RecipientFilter()
        filter.states = RecipientState.allCases
        let mailings = try await self.operations.mailings().map { "\($0)" }
        let feed = try await self.operations.feed(after: nil, filter: filter, limit: 100).entries.map { "\($0)" }
        let reports = try await self.operations.reports(of: [self.trackingID]).map { "\($0)" }
        return (mailings + feed + reports).joined(separator: "\n")
    }
}

/// What an API answered.
package struct APIAnswer {
    /// The HTTP status.
    package let status: HTTPResponse.Status
    /// The header fields.
    package let headers: HTTPFields
    /// The body as text.
    package let text: String
    /// The body as a JSON object; empty if it is another value.
    package var json: [String: Any] {
        get throws { try JSONSerialization.jsonObject(with: Data(self.text.utf8)) as? [String: Any] ?? [:] }
    }
}

/// The channel of a master that serves no satellites.
private struct NoSatellites: SatelliteChannel {
    var events: any AsyncSequence<MasterLinkEvent, Never> & Sendable {
        AsyncStream<MasterLinkEvent> { $0.finish() }
    }

    func send(_ message: MasterMessage, to session: SatelliteSession) async -> SendResult { .notConnected }
    func drop(_ session: SatelliteSession) async {}
}
