// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Secrets
import ZeroMQ

/// A daemon's CURVE keys, kept in `link.key` of its data directory: the secret half, 40 characters of Z85.
struct LinkKeyFile: Sendable {
    /// The keys.
    let keys: CurveKeyPair
    /// The public half as text, for the other side.
    let publicKeyText: String

    /// Reads the keys, making them at the first start.
    ///
    /// - Throws: ``StartFailure`` if the file is unreadable, readable for others, or holds no key.
    static func loadOrMake(in directory: String) throws -> LinkKeyFile {
        if let present = try self.load(in: directory) { return present }
        let path = directory + "/link.key"
        do {
            let text = try Z85.encode(key: try CurveKeyPair.generate().secretKey)
            try SecretFile.create(path, contents: Array((text + "\n").utf8))
        } catch {
            throw StartFailure(.unwritableFile, "the cluster link's key \(path) cannot be made: \(error)")
        }
        guard let made = try self.load(in: directory) else {
            throw StartFailure(.unwritableFile, "the cluster link's key \(path) is gone")
        }
        return made
    }

    /// Reads the keys; `nil` if there are none yet.
    ///
    /// - Throws: ``StartFailure`` if the file is unreadable, readable for others, or holds no key.
    static func load(in directory: String) throws -> LinkKeyFile? {
        let path = directory + "/link.key"
        let text: String
        do {
            text = String(decoding: try SecretFile.read(path), as: UTF8.self)
        } catch let error as SecretsError where error.code == .missing {
            return nil
        } catch {
            throw StartFailure(.configuration, "the cluster link's key is unusable: \(error)")
        }
        do {
            let keys = try CurveKeyPair(secretKey: try Z85.decode(key: String(text.prefix { !$0.isWhitespace })))
            return LinkKeyFile(keys: keys, publicKeyText: try Z85.encode(key: keys.publicKey))
        } catch {
            throw StartFailure(
                .configuration,
                "the cluster link's key \(path) holds no key of 40 characters; restore the one that it held"
            )
        }
    }
}
