// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A few descriptors that are held for the time in which there is no other.
///
/// The bounds of the listeners keep the process from ever reaching its limit. Should something else take the last
/// descriptor, these are given up at once, so that connections can be taken from the queue of the system and be closed, and
/// the process goes on until there are enough again.
final class DescriptorReserve: Sendable {
    private static let size = 4
    private let held = Mutex<[Int32]>([])

    init() { self.take() }

    deinit { self.release() }

    /// Opens what is missing, if there are enough descriptors.
    func take() {
        self.held.withLock { held in
            while held.count < Self.size {
                let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { return }
                held.append(descriptor)
            }
        }
    }

    /// Closes what is held.
    ///
    /// - Returns: Whether there was anything.
    @discardableResult
    func release() -> Bool {
        self.held.withLock { held in
            defer { held = [] }
            for descriptor in held { close(descriptor) }
            return !held.isEmpty
        }
    }
}
