// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftProtobuf
public import ZeroMQ

/// The satellite's side of enrolment: makes its key known to a master, and learns the master's.
public enum SatelliteEnrolment {
    /// Enrols; repeating it with the same keys is harmless.
    ///
    /// - Parameters:
    ///   - endpoint: The master's enrolment address, as `tcp://master.example.org:5612`.
    ///   - serial: The satellite's name, as given to the master.
    ///   - sharedKey: The secret given to the master with the name; unguessable, since listeners can try keys offline.
    ///   - keys: The satellite's keys.
    ///   - timeout: For the whole exchange.
    /// - Returns: The master's public key, 32 bytes, proved by the shared key.
    /// - Throws: ``ClusterLinkError`` with code `enrolmentRefused`, `timeout` or `malformed`; `ZeroMQError`.
    public static func enrol(
        at endpoint: String,
        serial: String,
        sharedKey: String,
        keys: CurveKeyPair,
        timeout: Duration = .seconds(10)
    ) async throws -> [UInt8] {
        let context = try ZeroMQContext()
        do {
            var configuration = SocketConfiguration(kind: .dealer(connect: endpoint), security: .none)
            configuration.maximumFrameBytes = 4_096
            let socket = try await context.open(configuration)
            let key = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                group.addTask { try await self.exchange(socket, serial: serial, sharedKey: sharedKey, keys: keys) }
                group.addTask {
                    try await Task.sleep(for: timeout)
                    throw ClusterLinkError(.timeout, "the master at \(endpoint) did not answer within \(timeout)")
                }
                defer { group.cancelAll() }
                return try await group.next() ?? []
            }
            await context.close()
            return key
        } catch {
            await context.close()
            throw error
        }
    }

    private static func exchange(
        _ socket: ZeroMQSocket,
        serial: String,
        sharedKey: String,
        keys: CurveKeyPair
    ) async throws -> [UInt8] {
        var opening = Telstar_Cluster_V1_EnrolmentRequest()
        opening.opening.serial = serial
        opening.opening.satelliteKey = .init(keys.publicKey)
        let nonce = EnrolmentTranscript.makeNonce()
        opening.opening.satelliteNonce = .init(nonce)
        guard case .challenge(let challenge)? = try await self.ask(socket, opening).kind,
            challenge.masterKey.count == 32,
            challenge.masterNonce.count == EnrolmentTranscript.nonceBytes
        else { throw ClusterLinkError(.malformed, "the master's challenge cannot be read") }
        let transcript = EnrolmentTranscript(
            serial: serial,
            satelliteKey: keys.publicKey,
            satelliteNonce: nonce,
            masterKey: Array(challenge.masterKey),
            masterNonce: Array(challenge.masterNonce)
        )
        var proof = Telstar_Cluster_V1_EnrolmentRequest()
        proof.proof.authenticator = .init(transcript.proof(of: .satellite, sharedKey: sharedKey))
        guard case .verdict(let verdict)? = try await self.ask(socket, proof).kind else {
            throw ClusterLinkError(.malformed, "the master's verdict cannot be read")
        }
        guard verdict.accepted else {
            throw ClusterLinkError(.enrolmentRefused, "the master refuses to enrol \(serial): \(verdict.text)")
        }
        guard transcript.isProof(Array(verdict.authenticator), of: .master, sharedKey: sharedKey) else {
            throw ClusterLinkError(.enrolmentRefused, "the other side does not know the shared key of \(serial)")
        }
        return transcript.masterKey
    }

    private static func ask(
        _ socket: ZeroMQSocket,
        _ request: Telstar_Cluster_V1_EnrolmentRequest
    ) async throws -> Telstar_Cluster_V1_EnrolmentAnswer {
        _ = await socket.send(ZeroMQMessage(frames: [request.encoded()]))
        while let event = await socket.next() {
            guard case .message(let message) = event else { continue }
            guard message.frames.count == 1,
                let answer = try? Telstar_Cluster_V1_EnrolmentAnswer(serializedBytes: message.frames[0])
            else { break }
            return answer
        }
        try Task.checkCancellation()
        throw ClusterLinkError(.malformed, "the master's answer cannot be read")
    }
}
