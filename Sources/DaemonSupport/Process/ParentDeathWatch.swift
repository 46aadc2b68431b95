// SPDX-License-Identifier: Apache-2.0

public import ServiceLifecycle

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Ends this process when the one that started it is gone, even if that one was killed.
///
/// Two ways, for a child that must not outlive a demonstration or a test: ``requestSignal(_:parent:)`` has the kernel
/// send a signal; the service notices within half a second on any system and throws, which ends its group in order.
public struct ParentDeathWatch: Service {
    /// What the service throws when the parent is gone.
    public struct ParentIsGone: Error, Hashable, Sendable, CustomStringConvertible {
        /// What happened.
        public var description: String { "the process that started this one is gone" }
    }

    private let parent: Int32
    private let currentParent: @Sendable () -> Int32

    /// Watches the process that is this one's parent now, or was when it passed its id on.
    public init(parent: Int32? = nil) {
        self.init(parent: parent ?? getppid(), currentParent: { getppid() })
    }

    init(parent: Int32, currentParent: @escaping @Sendable () -> Int32) {
        self.parent = parent
        self.currentParent = currentParent
    }

    /// Returns at shutdown.
    ///
    /// - Throws: ``ParentIsGone``.
    public func run() async throws {
        try await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                guard self.currentParent() == self.parent else { throw ParentIsGone() }
                try await Task.sleep(for: .milliseconds(500), clock: .continuous)
            }
        }
    }

    /// Has the kernel send a signal to this process when its parent ends; on systems other than Linux nothing happens.
    ///
    /// Linux counts the *thread* that started this process as its parent: one that ends early ends this process too, so
    /// the parent must start it from a thread that stays.
    ///
    /// - Parameters:
    ///   - signal: SIGTERM stops in order, SIGKILL at once.
    ///   - parent: The parent's id where it is known, so that a parent that was gone before is noticed.
    /// - Throws: ``ParentIsGone`` if it is gone already.
    public static func requestSignal(_ signal: Int32, parent: Int32? = nil) throws {
        #if os(Linux)
        // prctl(2) takes variable arguments, which Swift does not call; its first five are passed like fixed ones.
        typealias ProcessControl = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
        let setParentDeathSignal: Int32 = 1
        let expected = parent ?? getppid()
        if let symbol = dlsym(nil, "prctl") {
            _ = unsafeBitCast(symbol, to: ProcessControl.self)(setParentDeathSignal, UInt(signal), 0, 0, 0)
        }
        // The parent may have ended before the request was made.
        guard getppid() == expected else { throw ParentIsGone() }
        #endif
    }
}
