// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import DaemonSupport
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Talks to a running master: over the Unix socket in its data directory, or by URL and key.
struct ControlClient {
    /// Where the master listens.
    enum Endpoint {
        /// The socket in the master's data directory; whoever may open it may do everything.
        case socket(path: String)
        /// A listener of the API, with the secret of an API key, and whom the key may be sent to.
        case url(String, key: String, trust: MasterTrust)
    }

    /// An answer that is not success.
    struct Refusal: Error, CustomStringConvertible {
        /// The HTTP status; 0 if there was none.
        var status: UInt
        var code: String
        var message: String
        var description: String { "\(self.message) (\(self.status > 0 ? "\(self.status) " : "")\(self.code))" }
    }

    private let root: String
    /// Where the master is, for messages.
    private let name: String
    private let base: String
    private let authorization: String?
    private let client: HTTPClient

    /// Opens nothing yet; the first request connects.
    ///
    /// - Parameters:
    ///   - endpoint: Where the master listens.
    ///   - isPatient: The answer may take as long as it takes.
    /// - Throws: ``StartFailure`` if a file that it needs cannot be used.
    init(_ endpoint: Endpoint, isPatient: Bool = false) throws {
        var configuration = HTTPClient.Configuration(
            // A key goes to the master that was named, and to nobody that it points to.
            redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(10), read: isPatient ? nil : .seconds(120))
        )
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        switch endpoint {
        case .socket(let path):
            let encoded = path.addingPercentEncoding(withAllowedCharacters: .urlHostAllowed) ?? path
            self.root = "http+unix://\(encoded)"
            self.name = path
            self.authorization = nil
        case .url(let url, let key, let trust):
            self.root = url.hasSuffix("/") ? String(url.dropLast()) : url
            self.name = self.root
            self.authorization = "Basic " + Data("admin:\(key)".utf8).base64EncodedString()
            configuration.tlsConfiguration = try trust.configuration()
            // The last look before a request, and with it the key, is sent.
            configuration.http1_1ConnectionDebugInitializer = trust.examine
        }
        self.base = self.root + "/telstar/v1"
        self.client = HTTPClient(
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton),
            configuration: configuration
        )
    }

    /// Runs `body` with a client that is shut down after it.
    static func with<Result>(
        _ endpoint: Endpoint,
        isPatient: Bool = false,
        _ body: (ControlClient) async throws -> Result
    ) async throws -> Result {
        if case .socket(let path) = endpoint {
            switch UnixSocketProbe.probe(path) {
            case .answers: break
            case .silent:
                throw StartFailure(.unavailable, "no master runs at \(path); start one, or give --dir or --url")
            case .forbidden:
                throw StartFailure(
                    .unavailable,
                    "the control socket \(path) cannot be used: this user may not; run this as the master's user, or give --url"
                )
            }
        }
        var endpoint = endpoint
        if case .url(let url, let key, let trust) = endpoint {
            do {
                endpoint = .url(url, key: key, trust: try await trust.resolved(url: url))
            } catch let error where CommandFailure(error)?.status != ExitCode.unavailable.rawValue {
                throw error
            } catch {
                throw StartFailure(.unavailable, "the master at \(url): \(ConnectionTrouble.reason(error))")
            }
        }
        let client = try ControlClient(endpoint, isPatient: isPatient)
        do {
            let result = try await body(client)
            // All is done; what a connection says at its end does not matter any more.
            try? await client.client.shutdown()
            return result
        } catch {
            // The first error is the one to report; a failed shutdown adds nothing to it.
            try? await client.client.shutdown()
            throw error
        }
    }

    /// Sends one request.
    ///
    /// - Parameters:
    ///   - method: `GET`, `POST`, `PATCH` or `DELETE`.
    ///   - path: Begins with a slash, query included.
    ///   - body: JSON, if there is one.
    /// - Returns: The body of the answer.
    /// - Throws: ``Refusal`` for every status but 2xx; ``StartFailure`` 69 if the master cannot be reached.
    func send(_ method: String, _ path: String, body: (some Encodable)? = JSONText?.none) async throws -> Data {
        try await self.send(method, path, json: try body.map { Array(try JSONEncoder().encode($0)) })
    }

    /// Sends one request whose body is JSON already.
    func send(_ method: String, _ path: String, json: [UInt8]?) async throws -> Data {
        var request = HTTPClientRequest(url: self.base + path)
        request.method = .init(rawValue: method)
        if let authorization = self.authorization { request.headers.add(name: "Authorization", value: authorization) }
        if let json {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: json))
        }
        let (status, data) = try await self.explaining {
            let response = try await self.client.execute(request, timeout: .seconds(300))
            return (
                response.status.code,
                Data(try await response.body.collect(upTo: 256 * 1024 * 1024).readableBytesView)
            )
        }
        guard (200..<300).contains(status) else { throw self.refusal(status: status, body: data) }
        return data
    }

    /// Says what went wrong on the way to the master, and to which.
    func explaining<Result>(_ talk: () async throws -> Result) async throws -> Result {
        do {
            return try await talk()
        } catch let error as StartFailure {
            throw error
        } catch let error as Refusal {
            throw error
        } catch let error as CancellationError {
            throw error
        } catch let error as HTTPClientError where error == .cancelled {
            throw CancellationError()
        } catch  where MasterTrust.isUnverified(error) {
            let shown = try? await MasterTrust.fingerprint(shownBy: self.root)
            throw StartFailure(
                .unavailable,
                "the master at \(self.name) shows a certificate that cannot be verified (no trusted authority has signed it for this "
                    + "host), so nothing was sent to it; its SHA-256 is \(shown.map { "\($0)" } ?? "not known"): compare it with the "
                    + "one in the master's log and give it with --fingerprint, or give the authority's file with --ca-file"
            )
        } catch {
            throw StartFailure(.unavailable, "the master at \(self.name): \(ConnectionTrouble.reason(error))")
        }
    }

    /// Sends one request of any size under `/api` and hands over the answer while it comes.
    ///
    /// - Parameters:
    ///   - method: `GET` or `POST`.
    ///   - path: Begins with `/api`, query included.
    ///   - headers: Header fields beside the authorization.
    ///   - body: The bytes to send, if any.
    /// - Returns: The answer; its body is still to come.
    /// - Throws: ``Refusal`` for every status but 2xx.
    func stream(
        _ method: String,
        _ path: String,
        headers: [(String, String)] = [],
        body: HTTPClientRequest.Body? = nil
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: self.root + path)
        request.method = .init(rawValue: method)
        if let authorization = self.authorization { request.headers.add(name: "Authorization", value: authorization) }
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        request.body = body
        return try await self.explaining {
            let response = try await self.client.execute(request, timeout: .hours(7 * 24))
            guard (200..<300).contains(response.status.code) else {
                let data = Data(try await response.body.collect(upTo: 1024 * 1024).readableBytesView)
                throw self.refusal(status: response.status.code, body: data)
            }
            return response
        }
    }

    /// Sends one request and decodes the answer as `Answer`.
    func send<Answer: Decodable>(
        _ method: String,
        _ path: String,
        body: (some Encodable)? = JSONText?.none,
        as: Answer.Type
    ) async throws -> Answer {
        try self.decode(try await self.send(method, path, body: body), of: method, path)
    }

    /// Sends one request whose body is JSON already, and decodes the answer as `Answer`.
    func send<Answer: Decodable>(
        _ method: String,
        _ path: String,
        json: [UInt8],
        as: Answer.Type
    ) async throws -> Answer {
        try self.decode(try await self.send(method, path, json: json), of: method, path)
    }

    private func decode<Answer: Decodable>(_ data: Data, of method: String, _ path: String) throws -> Answer {
        do {
            return try JSONDecoder().decode(Answer.self, from: data)
        } catch {
            let resource = path.split(separator: "?").first ?? ""
            throw StartFailure(
                .unavailable,
                "\(self.name) does not answer \(method) \(resource) as a Telstar master of version \(Telstar.version); "
                    + "is it the API's address, and of the same version?"
            )
        }
    }

    private func refusal(status: UInt, body: Data) -> Refusal {
        struct Envelope: Decodable {
            struct Body: Decodable {
                var code: String
                var message: String
            }
            var error: Body
        }
        /// What the bulk API answers.
        struct Problem: Decodable {
            var code, detail: String
        }
        let decoder = JSONDecoder()
        if let problem = try? decoder.decode(Problem.self, from: body) {
            return Refusal(status: status, code: problem.code, message: problem.detail)
        }
        guard let envelope = try? decoder.decode(Envelope.self, from: body) else {
            // Not our envelope (a proxy's page, say): its first line is the best explanation there is.
            let text = String(decoding: body.prefix(500), as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
            let said = text.isEmpty ? "" : ": \(text.prefix(200))"
            return Refusal(
                status: status,
                code: "http",
                message: "\(self.name) does not answer as a Telstar master does\(said)"
            )
        }
        return Refusal(status: status, code: envelope.error.code, message: envelope.error.message)
    }
}

/// A body that is JSON text already; also the type of "no body".
typealias JSONText = [String: String]

extension String {
    /// The text as a value of a query.
    var inQuery: String { self.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? self }
}
