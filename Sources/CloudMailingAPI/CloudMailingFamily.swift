// SPDX-License-Identifier: Apache-2.0

package import APIServing
import HTTPTypes
package import Hummingbird
import MailingModel
package import MasterCore
import NIOCore
import XMLRPC

/// CloudMailing's XML-RPC over HTTP: authentication, bodies, faults and the HTTP status that goes with them.
package struct CloudMailingFamily: APIFamily {
    // Python's client posts to /RPC2 when it is given a base URL without a path.
    package static let roots = ["/CloudMailing", "/RPC2"]
    // What is below these paths is answered as well, as it is by the original.
    package static let routes: [APIRoute<CloudMailingFamily>] = (Self.roots + Self.roots.map { $0 + "/**" }).flatMap {
        path in
        [
            APIRoute(.get, path, isPublic: true) { _, _, _ in Self.introduction },
            APIRoute(.post, path) { family, request, context in
                try await family.call(request, try context.authenticated())
            },
        ]
    }

    private let master: Master
    private let maximumBodyBytes: Int

    /// Composes the API; it answers when its routes are served.
    ///
    /// - Parameters:
    ///   - master: Answers the calls.
    ///   - maximumBodyBytes: The greatest body of a call.
    package init(master: Master, maximumBodyBytes: Int) {
        self.master = master
        self.maximumBodyBytes = maximumBodyBytes
    }

    package func authenticate(_ request: Request) throws -> Caller? {
        guard request.method == .post else { return nil }
        // The body is not read: whoever has no key shall not cost memory.
        guard let key = Credentials(request.headers)?.key(of: self.master, user: "admin"), key.account == .root else {
            throw APIRefusal.unauthorized
        }
        return Caller(master: self.master, key: key)
    }

    package func response(to error: any Error, of request: Request) -> Response? {
        switch error {
        case let fault as CloudMailingFault: Self.fault(fault)
        case let error as XMLRPCError: Self.fault(CloudMailingFault(8002, "Can't deserialize input: \(error)"))
        case let error as MasterError: Self.fault(CloudMailingFault(error, status: nil))
        case let refusal as APIRefusal where refusal.status == .unauthorized: Self.unauthorized
        case let refusal as APIRefusal where refusal.status == .tooManyRequests: Self.throttled(refusal)
        case RouteRefusal.methodNotAllowed: Self.text(.notImplemented, "XML-RPC is spoken with POST\n")
        case RouteRefusal.notFound: Self.text(.notFound, "nothing is served at this path\n")
        default: nil
        }
    }

    package func failure(request id: String) -> Response {
        Self.fault(
            CloudMailingFault(
                500,
                "the call failed inside the server, whose log names it: \(id)",
                status: .internalServerError
            )
        )
    }

    private func call(_ request: Request, _ caller: Caller) async throws -> Response {
        let call = try await self.read(request)
        // The key may have been revoked while the body came.
        guard let key = caller.key, caller.mayGoOn else { throw APIRefusal.unauthorized }
        let calls = CloudMailingCalls(
            operations: caller.operations,
            cluster: self.master.operator,
            autoescape: key.autoescape
        )
        let value = try await calls.answer(call)
        return Self.xml(.ok, try XMLRPCWriter.response(value))
    }

    private static func throttled(_ refusal: APIRefusal) -> Response {
        var response = Self.fault(CloudMailingFault(429, refusal.message, status: .tooManyRequests))
        for field in refusal.headers() { response.headers[field.name] = field.value }
        return response
    }

    private static var unauthorized: Response {
        var response = Self.fault(CloudMailingFault(401, "Authorization Failed!", status: .unauthorized))
        response.headers[.wwwAuthenticate] = "Basic realm=\"CloudMailing\""
        response.headers[.connection] = "close"
        return response
    }

    private func read(_ request: Request) async throws -> XMLRPCCall {
        if let length = request.declaredLength, length > self.maximumBodyBytes {
            throw CloudMailingFault(8002, "Can't deserialize input: it has more than \(self.maximumBodyBytes) bytes")
        }
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
