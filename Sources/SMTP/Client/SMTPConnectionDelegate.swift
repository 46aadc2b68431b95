// SPDX-License-Identifier: Apache-2.0

/// Supplies transactions to a connection and hears how they end.
///
/// Every call is made on the connection's event loop.
///
/// The delegate may call `wake`, `quit` or `abort` from within any call.
public protocol SMTPConnectionDelegate: AnyObject {
    /// Greeting, EHLO and TLS are done; transactions will be pulled from now on.
    func connectionReady(_ connection: SMTPConnection)

    /// The next transaction, when the connection is about to use it; `nil` leaves it idle until `wake()`.
    ///
    /// With `ridesBehindContent` it is also asked right before the previous message's final dot is flushed.
    func nextTransaction(_ connection: SMTPConnection) -> SMTPTransaction?

    /// The final dot of transaction `id` is about to leave: the intention must be on disk when this returns.
    ///
    /// Called before any byte of the block that holds the dot is given to the channel. If the intention cannot be
    /// written, call `abort()`: the dot then is not sent and the transaction is lost at stage `content`.
    func willSendFinalDot(_ connection: SMTPConnection, _ id: UInt64)

    /// Transaction `id` has ended; exactly once for each transaction that was supplied.
    func transactionEnded(_ connection: SMTPConnection, _ id: UInt64, _ end: SMTPTransactionEnd)

    /// The connection is over; exactly once, after the ends of its transactions.
    func connectionClosed(_ connection: SMTPConnection, _ reason: SMTPConnectionEnd)
}
