// SPDX-License-Identifier: Apache-2.0
//
// Weighted rendezvous hashing: each satellite draws a number for a bucket from a hash of both, stretched by its weight,
// and the greatest wins. When a satellite comes or goes only its own buckets move, and satellites share in proportion to
// their weights.

import MailingModel

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Decides which satellite a bucket belongs to.
enum Rendezvous {
    /// What a bucket is known by across mailings: hashed buckets by their number, a bucket of one domain by that domain.
    static func key(bucket: Bucket, domain: String?) -> UInt64 {
        guard let domain else { return StableHash.mixed(UInt64(bucket.rawValue) &+ 0x51_7C_C1_B7) }
        return StableHash.mixed(StableHash.fnv1a(domain.utf8))
    }

    /// A satellite's draw; positive, and the greatest of all wins.
    static func draw(key: UInt64, satellite: SatelliteID, weight: Int) -> Double {
        let own = UInt64(UInt32(bitPattern: satellite.rawValue)) &+ 0x9E37_79B9_7F4A_7C15
        let hash = StableHash.mixed(key ^ StableHash.mixed(own))
        // 53 bits and a half step keep the fraction strictly between 0 and 1.
        let fraction = (Double(hash >> 11) + 0.5) * 0x1p-53
        return Double(max(weight, 1)) / -log(fraction)
    }
}
