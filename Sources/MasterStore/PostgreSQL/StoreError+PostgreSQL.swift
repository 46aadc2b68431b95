// SPDX-License-Identifier: Apache-2.0

internal import PostgreSQL

extension StoreError {
    /// A server's error as a store's error.
    ///
    /// What passes by itself or by an operator's hand (connection, resources, intervention, locks) is an outage, after
    /// which the same call may succeed; a value that the server cannot hold is not.
    static func fromPostgreSQL(_ error: PostgreSQLError) -> StoreError {
        let state = error.sqlState ?? ""
        if state == "53100" {
            return StoreError(.full, "the database server has no space left", underlying: error)
        }
        if state.hasPrefix("23") { return StoreError(.conflict, "a value is in use", underlying: error) }
        if state.hasPrefix("22") || error.code == .invalidValue
            || error.code == .unexpectedValue
        {
            return StoreError(.corrupt, "the database cannot hold or read a value", underlying: error)
        }
        if error.code == .authentication || error.code == .invalidConfiguration
            || ["28", "3D", "42501"].contains(where: state.hasPrefix)
        {
            return StoreError(.refused, "the database refuses this user, or this operation to it", underlying: error)
        }
        return StoreError(.database, "the database failed", underlying: error)
    }
}
