// SPDX-License-Identifier: Apache-2.0

/// A watch over a key, until it is ended.
public struct KeyWatch: Sendable {
    let keys: APIKeyCache
    let observer: UInt64

    /// Ends the watch; nobody is notified any more.
    public func end() { self.keys.forget(self.observer) }
}
