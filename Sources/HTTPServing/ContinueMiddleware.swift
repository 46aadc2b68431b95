// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import NIOCore
import NIOHTTPTypes
import Synchronization

/// A request's context that has the connection it came over.
public protocol ConnectionRequestContext: RequestContext {
    /// The connection.
    var channel: any Channel { get }
}

/// Answers `Expect: 100-continue` when a request's body is first read, RFC 9110 §10.1.1.
///
/// A client that waits for the answer sends its body then, or not at all if the request is refused before. Without an answer
/// most clients wait for a second before they send the body all the same. After a refusal the body may never come, so that nothing
/// behind it could be understood: ``RequestWatch`` closes the connection then.
public struct ContinueMiddleware<Context: ConnectionRequestContext>: RouterMiddleware {
    /// A middleware that has to stand before every other one, so that refusals come before the body.
    public init() {}

    /// Passes a request on, with a body whose client is asked for it when it is first read.
    @concurrent
    public func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard request.headers[.expect]?.lowercased() == "100-continue" else { return try await next(request, context) }
        let expectation = Expectation(context.channel)
        var expecting = request
        expecting.body = RequestBody(asyncSequence: AwaitedBody(base: request.body, expectation: expectation))
        let response = try await next(expecting, context)
        // The body of a request that is not refused is read while the answer is written.
        if response.status.kind == .successful { try await expectation.meet() }
        return response
    }
}

/// Whether the client of a request still waits before it sends the body.
private final class Expectation: Sendable {
    private let channel: any Channel
    private let state = Atomic(true)

    init(_ channel: any Channel) { self.channel = channel }

    /// Writes `100 Continue`, once.
    func meet() async throws {
        guard self.state.exchange(false, ordering: .acquiringAndReleasing) else { return }
        try await self.channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)))
    }
}

/// A body whose client is asked for it when it is first read.
private struct AwaitedBody: AsyncSequence, Sendable {
    struct AsyncIterator: AsyncIteratorProtocol {
        var base: RequestBody.AsyncIterator
        let expectation: Expectation

        @concurrent
        mutating func next() async throws -> ByteBuffer? {
            try await self.expectation.meet()
            return try await self.base.next()
        }
    }

    let base: RequestBody
    let expectation: Expectation

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: self.base.makeAsyncIterator(), expectation: self.expectation)
    }
}
