// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What the operating system still gives this process.
enum LocalResources {
    /// Why no file or socket can be opened now; `nil` if one can.
    ///
    /// Asked where a library hides the reason of its failure, such as a look-up that had no socket.
    static func shortage() -> String? {
        let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
        if descriptor >= 0 {
            close(descriptor)
            return nil
        }
        let reason = errno
        return Self.isLack(reason) ? "opening a file: \(String(cString: strerror(reason)))" : nil
    }

    /// Whether an error is a lack of this process or its machine.
    static func isLack(_ error: Int32) -> Bool { [EMFILE, ENFILE, ENOMEM, ENOBUFS].contains(error) }
}
