// SPDX-License-Identifier: Apache-2.0

import MailingModel

extension DeliveryOutcome {
    /// Writes the outcome with texts of at most `textLimit` bytes each.
    func encode(into encoder: inout ByteEncoder, textLimit: Int) {
        let trace = self.trace
        encoder.byte(self.kind)
        encoder.byte(trace.stage.code)
        encoder.count(min(max(trace.replyCode ?? 0, 0), 999))
        encoder.optional(trace.enhancedStatus, limit: 32)
        encoder.optional(trace.mxHost, limit: 255)
        encoder.optional(trace.text, limit: textLimit)
    }

    init(from decoder: inout ByteDecoder) throws(DecodingFailure) {
        let kind = try decoder.byte()
        let stage = try DeliveryStage(code: try decoder.byte())
        let replyCode = try decoder.unsigned()
        let enhancedStatus = try decoder.optional()
        let mxHost = try decoder.optional()
        let trace = AttemptTrace(
            stage: stage,
            replyCode: replyCode == 0 ? nil : Int(truncatingIfNeeded: replyCode),
            enhancedStatus: enhancedStatus,
            text: try decoder.optional() ?? "",
            mxHost: mxHost
        )
        switch kind {
        case 0: self = .delivered(trace)
        case 1: self = .deferred(trace)
        case 2: self = .failed(trace)
        case 3: self = .unrenderable(trace)
        case 4: self = .uncertain(trace)
        default: throw DecodingFailure(reason: "unknown outcome \(kind)")
        }
    }

    private var kind: UInt8 {
        switch self {
        case .delivered: 0
        case .deferred: 1
        case .failed: 2
        case .unrenderable: 3
        case .uncertain: 4
        }
    }
}

extension DeliveryStage {
    /// A number that never changes its meaning.
    fileprivate var code: UInt8 {
        switch self {
        case .lookup: 0
        case .connect: 1
        case .greeting: 2
        case .hello: 3
        case .tls: 4
        case .mail: 5
        case .recipient: 6
        case .data: 7
        case .content: 8
        case .finalDot: 9
        case .render: 10
        case .master: 11
        }
    }

    fileprivate init(code: UInt8) throws(DecodingFailure) {
        guard let stage = Self.allCases.first(where: { $0.code == code }) else {
            throw DecodingFailure(reason: "unknown stage \(code)")
        }
        self = stage
    }
}

extension ByteEncoder {
    /// A text that may be absent, cut at a whole character.
    fileprivate mutating func optional(_ text: String?, limit: Int) {
        guard let text else { return self.count(0) }
        guard text.utf8.count > limit else {
            self.count(text.utf8.count + 1)
            return self.raw(Array(text.utf8))
        }
        var cut = Array(text.utf8.prefix(limit))
        while let last = cut.last, last & 0xC0 == 0x80 { cut.removeLast() }
        if let last = cut.last, last >= 0xC0 { cut.removeLast() }
        self.count(cut.count + 1)
        self.raw(cut)
    }
}

extension ByteDecoder {
    fileprivate mutating func optional() throws(DecodingFailure) -> String? {
        let count = try self.unsigned()
        guard count > 0 else { return nil }
        guard count - 1 <= UInt64(self.remaining) else { throw DecodingFailure(reason: "a text exceeds the record") }
        return String(decoding: try self.raw(Int(count) - 1), as: UTF8.self)
    }
}
