// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// An eventfd: any thread signals it, the thread of a connection polls it beside the connection's socket.
final class Wake: Sendable {
    let descriptor: Int32

    init() throws {
        self.descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard self.descriptor >= 0 else {
            throw PostgreSQLError(.system, "opening an eventfd", "error \(errno)")
        }
    }

    deinit { close(self.descriptor) }

    /// Makes the next poll return; signals add up to one.
    func signal() { _ = eventfd_write(self.descriptor, 1) }

    /// Forgets the signals so far.
    func clear() {
        var count: eventfd_t = 0
        _ = eventfd_read(self.descriptor, &count)
    }

    /// Sleeps until a signal, an event of another descriptor, or an instant.
    ///
    /// The events are poll's: `POLLIN`, `POLLOUT`. There may be no descriptor (-1) and no instant.
    /// - Returns: What happened at the descriptor; 0 for a signal, a lapse of time or an interruption.
    func sleep(_ descriptor: Int32 = -1, _ events: Int32 = POLLIN, until instant: ContinuousClock.Instant?) -> Int32 {
        var descriptors = (
            pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor, events: Int16(events), revents: 0)
        )
        let timeout = instant.map { $0.pollTimeout(.now) } ?? -1
        let count = withUnsafeMutableBytes(of: &descriptors) {
            poll($0.assumingMemoryBound(to: pollfd.self).baseAddress, 2, timeout)
        }
        guard count > 0 else { return 0 }
        if descriptors.0.revents != 0 { self.clear() }
        return Int32(descriptors.1.revents)
    }
}

extension ContinuousClock.Instant {
    /// The whole milliseconds from now, rounded up, at most an hour.
    func pollTimeout(_ now: ContinuousClock.Instant) -> Int32 {
        let (seconds, attoseconds) = (self - now).components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return Int32(min(seconds, 3_600) * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
