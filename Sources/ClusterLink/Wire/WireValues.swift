// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// Values that several messages carry, checked on the way in: sizes and ranges first, so that nothing behind the codec
/// meets a number that it cannot hold.
enum WireValue {
    /// Entries that a bitmap may speak of; more than any lease has.
    static let maximumBitmapBytes = 8_192

    static func blob(_ bytes: [UInt8]) throws(WireError) -> BlobHash {
        guard let hash = BlobHash(bytes: bytes) else { throw WireError("a hash of \(bytes.count) bytes") }
        return hash
    }

    static func bitmap(_ bytes: [UInt8]) throws(WireError) -> EntryBitmap {
        guard bytes.count <= Self.maximumBitmapBytes else { throw WireError("a bitmap of \(bytes.count) bytes") }
        return EntryBitmap(bytes: bytes)
    }

    static func count(_ value: UInt64) -> Int { Int(clamping: value) }

    static func count(_ value: Int) -> UInt64 { UInt64(clamping: value) }

    /// A duration of at most 100 days.
    static func duration(milliseconds: UInt64) -> Duration { .milliseconds(Int64(min(milliseconds, 8_640_000_000))) }

    static func milliseconds(_ duration: Duration) -> UInt64 {
        UInt64(min(max(duration.milliseconds, 0), 8_640_000_000))
    }

    static func leases(_ serials: [Int64]) -> [LeaseSerial] { serials.map(LeaseSerial.init(rawValue:)) }
}

extension Telstar_Cluster_V1_DeliveryClass {
    init(_ value: DeliveryClass) {
        switch value {
        case .express: self = .express
        case .bulk: self = .bulk
        }
    }

    func value() throws(WireError) -> DeliveryClass {
        switch self {
        case .express: return .express
        case .bulk: return .bulk
        case .unspecified, .UNRECOGNIZED: throw WireError("an unknown delivery class")
        }
    }
}

extension Telstar_Cluster_V1_Stage {
    init(_ value: DeliveryStage) {
        switch value {
        case .lookup: self = .lookup
        case .connect: self = .connect
        case .greeting: self = .greeting
        case .hello: self = .hello
        case .tls: self = .tls
        case .mail: self = .mail
        case .recipient: self = .recipient
        case .data: self = .data
        case .content: self = .content
        case .finalDot: self = .finalDot
        case .render: self = .render
        case .master: self = .master
        }
    }

    func value() throws(WireError) -> DeliveryStage {
        switch self {
        case .lookup: return .lookup
        case .connect: return .connect
        case .greeting: return .greeting
        case .hello: return .hello
        case .tls: return .tls
        case .mail: return .mail
        case .recipient: return .recipient
        case .data: return .data
        case .content: return .content
        case .finalDot: return .finalDot
        case .render: return .render
        case .master: return .master
        case .unspecified, .UNRECOGNIZED: throw WireError("an unknown stage")
        }
    }
}

extension Telstar_Cluster_V1_Report {
    init(_ value: DeliveryReport) {
        self.init()
        self.recipient = UInt64(bitPattern: value.recipient.packed)
        self.attempt = value.attempt.rawValue
        self.lease = value.lease.rawValue
        self.endedAtMilliseconds = value.endedAt.milliseconds
        self.outcome =
            switch value.outcome {
            case .delivered: .delivered
            case .deferred: .deferred
            case .failed: .failed
            case .unrenderable: .unrenderable
            case .uncertain: .uncertain
            }
        let trace = value.outcome.trace
        self.stage = .init(trace.stage)
        self.replyCode = UInt32(clamping: trace.replyCode ?? 0)
        if let status = trace.enhancedStatus { self.enhancedStatus = status }
        self.text = trace.text
        if let host = trace.mxHost { self.mxHost = host }
    }

    func value() throws(WireError) -> DeliveryReport {
        guard self.replyCode == 0 || (100...999).contains(self.replyCode) else {
            throw WireError("the reply code \(self.replyCode)")
        }
        let trace = AttemptTrace(
            stage: try self.stage.value(),
            replyCode: self.replyCode == 0 ? nil : Int(self.replyCode),
            enhancedStatus: self.hasEnhancedStatus ? self.enhancedStatus : nil,
            text: self.text,
            mxHost: self.hasMxHost ? self.mxHost : nil
        )
        let outcome: DeliveryOutcome
        switch self.outcome {
        case .delivered: outcome = .delivered(trace)
        case .deferred: outcome = .deferred(trace)
        case .failed: outcome = .failed(trace)
        case .unrenderable: outcome = .unrenderable(trace)
        case .uncertain: outcome = .uncertain(trace)
        case .unspecified, .UNRECOGNIZED: throw WireError("an unknown outcome")
        }
        return DeliveryReport(
            recipient: RecipientID(packed: Int64(bitPattern: self.recipient)),
            attempt: AttemptSerial(rawValue: self.attempt),
            lease: LeaseSerial(rawValue: self.lease),
            outcome: outcome,
            endedAt: Timestamp(milliseconds: self.endedAtMilliseconds)
        )
    }
}
