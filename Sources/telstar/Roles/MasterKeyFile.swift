// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import DaemonSupport
import Foundation
import Logging
import Secrets
import ZeroMQ

/// Where a satellite has its master's public key from: the configuration, or an enrolment made once.
enum MasterKeyFile {
    /// The key, 32 bytes; enrols at the first start if that is asked for.
    ///
    /// - Throws: ``StartFailure``: 78 for a bad key, 69 if the master refuses or does not answer.
    static func load(_ settings: SatelliteSettings, keys: CurveKeyPair, logger: Logger) async throws -> [UInt8] {
        if !settings.masterPublicKey.isEmpty {
            return try self.decode(settings.masterPublicKey, from: "master.publicKey")
        }
        guard let enrolment = settings.enrolment else {
            throw self.neither
        }
        let path = settings.directory + "/master.key"
        if let kept = try? String(contentsOfFile: path, encoding: .utf8) {
            return try self.decode(kept.trimmingCharacters(in: .whitespacesAndNewlines), from: path)
        }
        let secret = try SharedKeyFile.read(enrolment.keyFile)
        do {
            let key = try await SatelliteEnrolment.enrol(
                at: enrolment.endpoint,
                serial: settings.name,
                sharedKey: secret,
                keys: keys
            )
            try AtomicFile.write(path, contents: Array((try Z85.encode(key: key) + "\n").utf8))
            logger.info("enrolled with the master", metadata: ["endpoint": "\(enrolment.endpoint)"])
            return key
        } catch {
            throw StartFailure(.unavailable, "enrolment at \(enrolment.endpoint) failed: \(error)")
        }
    }

    /// Looks at what ``load(_:keys:logger:)`` would read, without enrolling.
    ///
    /// - Throws: As ``load(_:keys:logger:)`` does.
    static func check(_ settings: SatelliteSettings) throws {
        if !settings.masterPublicKey.isEmpty {
            _ = try self.decode(settings.masterPublicKey, from: "master.publicKey")
        } else if let enrolment = settings.enrolment {
            _ = try LinkAddress(enrolment.endpoint, key: "enrol.endpoint")
            if access(settings.directory + "/master.key", F_OK) != 0 { _ = try SharedKeyFile.read(enrolment.keyFile) }
        } else {
            throw self.neither
        }
    }

    private static let neither = StartFailure(
        .configuration,
        "master.publicKey must be given (`telstar master --show-key` prints it), or enrol.sharedKeyFile to enrol"
    )

    private static func decode(_ text: String, from source: String) throws -> [UInt8] {
        do {
            return try Z85.decode(key: text)
        } catch {
            throw StartFailure(
                .configuration,
                "\(source) is not a key of 40 characters; `telstar master --show-key` prints it"
            )
        }
    }
}
