// SPDX-License-Identifier: Apache-2.0

import HTTPServing
package import Hummingbird
package import MasterCore

/// The router of one listener.
package enum APIRouter {
    /// Composes what answers the requests of a listener.
    ///
    /// - Parameters:
    ///   - families: The APIs that are served there.
    ///   - master: Must be loaded before a caller can be authenticated; callers get 503 until then.
    ///   - log: Logs requests that fail, and every one if the access log is on.
    /// - Returns: Routes with their middleware.
    package static func responder(
        _ families: [any APIFamily],
        master: Master,
        log: RequestLog
    ) -> RouterResponder<APIContext> {
        let router = Router(context: APIContext.self)
        router.add(middleware: ContinueMiddleware())
        router.add(middleware: AccessMiddleware(master: master, families: families, log: log))
        for family in families { family.register(on: router) }
        return router.buildResponder()
    }
}
