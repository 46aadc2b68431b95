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

    /// The same with the operation in which it arose, unless it names one.
    static func wrapping(_ error: any Error, in operation: StoreOperation) -> any Error {
        let error = Self.wrapping(error)
        guard var failure = error as? StoreError, failure.operation == nil else { return error }
        failure.operation = operation.name
        return failure
    }
}
