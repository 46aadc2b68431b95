// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Ends a child of `telstar cluster` with its parent, however that one ends.
///
/// The parent holds the other end of our standard input; reading the end of file means that it is gone. The store and the
/// journal are made for processes that die at once, so nothing gentler is needed.
enum Lifeline {
    /// Watches on a thread of its own, if the parent asked for it.
    static func watch() {
        guard ProcessInfo.processInfo.environment["TELSTAR_LIFELINE"] == "1" else { return }
        let thread = Thread {
            var byte: UInt8 = 0
            while read(STDIN_FILENO, &byte, 1) > 0 {}
            kill(getpid(), SIGKILL)
        }
        thread.start()
    }
}
