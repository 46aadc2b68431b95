// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Logging
import MasterCore
import MasterStore
import NIOCore
import XMLRPC

/// CloudMailing's XML-RPC over HTTP: authentication, bodies, faults and the HTTP status that goes with them.
struct CloudMailingAPI: Sendable {
    private let master: Master
    private let maximumBodyBytes: Int
    private let logger: Logger

    init(master: Master, maximumBodyBytes: Int, logger: Logger) {
        self.master = master
        self.maximumBodyBytes = maximumBodyBytes
        self.logger = logger
    }

    func respond(to request: Request) async throws -> Response {
        switch request.method {
        case .post: break
        case .get: return Self.introduction
        default: return Self.text(.notImplemented, "XML-RPC is spoken with POST\n")
        }
        // The body is not read: whoever has no key shall not cost memory.
        guard let key = self.authenticated(request) else { return Self.unauthorized }
        do {
            let call = try await self.read(request)
            // The key may have been revoked while the body came.
            guard self.master.isInForce(key: key.publicID) else { return Self.unauthorized }
            let calls = CloudMailingCalls(master: self.master, key: key)
            let value = try await calls.answer(call)
            return Self.xml(.ok, try XMLRPCWriter.response(value))
        } catch let fault as CloudMailingFault {
            return Self.fault(fault)
        } catch let error as XMLRPCError {
            return Self.fault(CloudMailingFault(8002, "Can't deserialize input: \(error)"))
        } catch let error as MasterError {
            return Self.fault(CloudMailingFault(error, status: nil))
        }
    }

    private static var unauthorized: Response {
        var response = Self.fault(CloudMailingFault(401, "Authorization Failed!", status: .unauthorized))
        response.headers[.wwwAuthenticate] = "Basic realm=\"CloudMailing\""
        response.headers[.connection] = "close"
        return response
    }

    private func authenticated(_ request: Request) -> APIKeyRecord? {
        guard let credentials = BasicCredentials(request.headers), credentials.user == "admin" else { return nil }
        return self.master.authenticate(secret: credentials.password)
    }

    private func read(_ request: Request) async throws -> XMLRPCCall {
        var limits = XMLRPCLimits()
        limits.documentBytes = self.maximumBodyBytes
        var parser = XMLRPCRequestParser(limits: limits)
        for try await chunk in request.body {
            try chunk.withUnsafeReadableBytes { bytes throws(XMLRPCError) in
                try parser.consume(bytes.bindMemory(to: UInt8.self).span)
            }
        }
        return try parser.finish()
    }

    private static func fault(_ fault: CloudMailingFault) -> Response {
        self.xml(fault.status, XMLRPCWriter.fault(code: fault.code, message: fault.message))
    }

    private static func xml(_ status: HTTPResponse.Status, _ document: [UInt8]) -> Response {
        Response(
            status: status,
            headers: [.contentType: "text/xml"],
            body: .init(byteBuffer: ByteBuffer(bytes: document))
        )
    }

    private static func text(_ status: HTTPResponse.Status, _ text: String) -> Response {
        Response(
            status: status,
            headers: [.contentType: "text/plain; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(string: text))
        )
    }

    private static let introduction = Response(
        status: .ok,
        headers: [.contentType: "text/html; charset=utf-8"],
        body: .init(
            byteBuffer: ByteBuffer(
                string: """
                    <!DOCTYPE html><html lang="en"><head><title>CloudMailing XML-RPC</title></head><body>
                    <h1>CloudMailing XML-RPC</h1>
                    <p>Send XML-RPC requests to this address with POST and HTTP Basic authentication: user
                    <code>admin</code>, password an API key.</p>
                    <ul>\(CloudMailingCalls.methods.map { "<li><code>\($0)</code></li>" }.joined())</ul>
                    </body></html>

                    """
            )
        )
    )
}
