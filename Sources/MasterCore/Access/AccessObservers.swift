// SPDX-License-Identifier: Apache-2.0

/// Who is to be notified when a key or a credential is no longer in force; each once.
struct AccessObservers<ID: Hashable & Sendable>: Sendable {
    private var observers: [UInt64: (id: ID, gone: @Sendable () -> Void)] = [:]
    private var next: UInt64 = 0

    /// Adds an observer.
    ///
    /// - Returns: The observer's number, for ``forget(_:)``.
    mutating func add(_ id: ID, _ gone: @escaping @Sendable () -> Void) -> UInt64 {
        self.next += 1
        self.observers[self.next] = (id, gone)
        return self.next
    }

    mutating func forget(_ number: UInt64) { self.observers[number] = nil }

    /// Removes and returns the observers of what is gone, to be called once no lock is held.
    mutating func take(where isGone: (ID) -> Bool) -> [@Sendable () -> Void] {
        let taken = self.observers.filter { isGone($0.value.id) }
        for number in taken.keys { self.observers[number] = nil }
        return taken.values.map(\.gone)
    }
}

/// A watch over a key or a credential, until it is ended.
public struct AccessWatch: Sendable {
    let forget: @Sendable () -> Void

    /// Ends the watch; nobody is notified any more.
    public func end() { self.forget() }
}
