// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailingModel

/// The civil clock, for what people read; no wait is measured by it.
enum WallClock {
    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
