// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import PostgreSQL

extension StoreError {
    /// Any error of a database library as a store's error; ours stay as they are.
    static func wrapping(_ error: any Error) -> any Error {
        switch error {
        case let error as DatabaseError: Self.fromGRDB(error)
        case let error as PostgreSQLError: Self.fromPostgreSQL(error)
        default: error
        }
    }
}
