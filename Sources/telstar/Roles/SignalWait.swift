// SPDX-License-Identifier: Apache-2.0

@preconcurrency import Dispatch
import Foundation

/// Signals as an asynchronous sequence.
enum SignalWait {
    /// Yields the number of each of these signals as it arrives; from then on they no longer end the process.
    static func stream(_ signals: [Int32]) -> AsyncStream<Int32> {
        AsyncStream(bufferingPolicy: .bufferingNewest(8)) { continuation in
            let sources = signals.map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler { continuation.yield(number) }
                source.resume()
                return source
            }
            continuation.onTermination = { _ in sources.forEach { $0.cancel() } }
        }
    }

    /// Returns at the first SIGTERM or SIGINT.
    static func forTermination() async {
        for await _ in self.stream([SIGTERM, SIGINT]) { return }
    }
}
