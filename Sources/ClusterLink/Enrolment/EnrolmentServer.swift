// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import SwiftProtobuf
import ZeroMQ

/// The master's side of enrolment.
struct EnrolmentServer {
    private let socket: ZeroMQSocket
    private let decisions: MasterLinkDecisions
    private let troubles: TroubleLog
    private let masterKey: [UInt8]
    private let limit: Int
    private var pending: [[UInt8]: EnrolmentTranscript] = [:]
    /// Oldest first.
    private var order: [[UInt8]] = []

    init(
        socket: ZeroMQSocket,
        _ decisions: MasterLinkDecisions,
        _ troubles: TroubleLog,
        _ configuration: MasterLinkConfiguration
    ) {
        self.socket = socket
        self.decisions = decisions
        self.troubles = troubles
        self.masterKey = configuration.keys.publicKey
        self.limit = configuration.pendingEnrolments
    }

    /// Serves until the task is cancelled.
    consuming func run() async {
        var server = self
        while let event = await server.socket.next() {
            guard case .message(let message) = event else { continue }
            guard message.frames.count == 1,
                let request = try? Telstar_Cluster_V1_EnrolmentRequest(serializedBytes: message.frames[0]),
                let answer = await server.answer(request, from: message.routingID)
            else {
                server.troubles.warn("garbage", "an enrolment request cannot be read")
                continue
            }
            _ = await server.socket.send(ZeroMQMessage(routingID: message.routingID, frames: [answer.encoded()]))
        }
    }

    private mutating func answer(
        _ request: Telstar_Cluster_V1_EnrolmentRequest,
        from routingID: [UInt8]
    ) async -> Telstar_Cluster_V1_EnrolmentAnswer? {
        var answer = Telstar_Cluster_V1_EnrolmentAnswer()
        switch request.kind {
        case .opening(let opening):
            guard let transcript = self.open(opening, from: routingID) else { return nil }
            answer.challenge.masterKey = .init(transcript.masterKey)
            answer.challenge.masterNonce = .init(transcript.masterNonce)
        case .proof(let proof):
            guard let transcript = self.pending.removeValue(forKey: routingID) else { return nil }
            self.order.removeAll { $0 == routingID }
            answer.verdict = await self.validate(transcript, Array(proof.authenticator))
        case nil: return nil
        }
        return answer
    }

    private mutating func open(
        _ opening: Telstar_Cluster_V1_EnrolmentOpening,
        from routingID: [UInt8]
    ) -> EnrolmentTranscript? {
        guard opening.satelliteKey.count == 32, opening.satelliteNonce.count == EnrolmentTranscript.nonceBytes,
            (1...255).contains(opening.serial.utf8.count)
        else { return nil }
        // The challenge is the same whether the serial is known or not, so that serials cannot be probed.
        let transcript = EnrolmentTranscript(
            serial: opening.serial,
            satelliteKey: Array(opening.satelliteKey),
            satelliteNonce: Array(opening.satelliteNonce),
            masterKey: self.masterKey,
            masterNonce: EnrolmentTranscript.makeNonce()
        )
        if self.pending.updateValue(transcript, forKey: routingID) == nil { self.order.append(routingID) }
        while self.order.count > self.limit { self.pending[self.order.removeFirst()] = nil }
        return transcript
    }

    private func validate(
        _ transcript: EnrolmentTranscript,
        _ proof: [UInt8]
    ) async -> Telstar_Cluster_V1_EnrolmentVerdict {
        var verdict = Telstar_Cluster_V1_EnrolmentVerdict()
        let name = transcript.serial
        guard let sharedKey = await self.decisions.sharedKey(name), !sharedKey.isEmpty,
            transcript.isProof(proof, of: .satellite, sharedKey: sharedKey)
        else {
            self.troubles.warn("enrolment", "satellite \(name) tried to enrol without knowing its shared key")
            verdict.text = "unknown serial, or wrong shared key"
            return verdict
        }
        guard await self.decisions.enrol(name, transcript.satelliteKey) else {
            self.troubles.warn("enrolment", "satellite \(name) proved its shared key, and was refused all the same")
            verdict.text = "the master refuses the enrolment"
            return verdict
        }
        self.troubles.logger.info("satellite enrolled", metadata: ["satellite": "\(name)"])
        verdict.accepted = true
        verdict.authenticator = .init(transcript.proof(of: .master, sharedKey: sharedKey))
        return verdict
    }
}
