// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

extension PostgreSQLConnection {
    /// Ends a COPY that nobody wants: one in by telling the server so, one out by reading the rest.
    func endCopy(
        _ handle: OpaquePointer,
        _ wait: inout Wait,
        _ status: ExecStatusType,
        reason: String?
    ) throws {
        if status != PGRES_COPY_OUT {
            while PQputCopyEnd(handle, reason) == 0 { try self.turn(handle, &wait, wantsOutput: true) }
            return
        }
        while true {
            var octets: UnsafeMutablePointer<CChar>?
            let length = PQgetCopyData(handle, &octets, 1)
            PQfreemem(octets)
            if length < 0 { return }
            if length == 0 { try self.turn(handle, &wait, wantsOutput: PQflush(handle) == 1) }
        }
    }
}
