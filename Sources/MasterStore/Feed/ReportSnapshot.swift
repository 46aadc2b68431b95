// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// An event that is to be appended to the feed.
struct NewEvent {
    var position: Int64
    var account: AccountID
    var mailing: MailingID
    var state: RecipientState
    /// The recipient's report as it stands, see ``ReportSnapshot``.
    var snapshot: [UInt8]

    /// Appends events, in order of position.
    static func write(_ events: [NewEvent], _ connection: any StoreConnection) throws {
        var batch = RowBatch("event", count: events.count)
        batch.add("seq", numbers: events.map(\.position))
        batch.add("account", numbers: events.map { Int64($0.account.rawValue) }, .four)
        batch.add("mailing", numbers: events.map { Int64($0.mailing.rawValue) }, .four)
        batch.add("state", numbers: events.map { Int64($0.state.rawValue) }, .two)
        batch.add("snapshot", bytes: events.map(\.snapshot))
        try connection.write(batch)
    }
}

/// The stored form of a ``RecipientReport`` in an event: about 100 bytes, complete but for a generated tracking id,
/// which is computed again when it is read.
enum ReportSnapshot {
    private static let version: UInt8 = 1

    private struct Flags: OptionSet {
        let rawValue: UInt64
        static let uncertain = Flags(rawValue: 1)
        static let inProgress = Flags(rawValue: 2)
        static let isTest = Flags(rawValue: 4)
        static let ownTrackingID = Flags(rawValue: 8)
        static let trace = Flags(rawValue: 16)
        static let replyCode = Flags(rawValue: 32)
        static let enhancedStatus = Flags(rawValue: 64)
        static let mxHost = Flags(rawValue: 128)
        static let satellite = Flags(rawValue: 256)
        static let firstTry = Flags(rawValue: 512)
        static let nextTry = Flags(rawValue: 1024)
        static let leasedAt = Flags(rawValue: 2048)
        static let ownDomain = Flags(rawValue: 4096)
    }

    static func encode(_ report: RecipientReport, generatedID: Bool) -> [UInt8] {
        var flags: Flags = []
        if report.uncertain { flags.insert(.uncertain) }
        if report.inProgress { flags.insert(.inProgress) }
        if report.isTest { flags.insert(.isTest) }
        if !generatedID { flags.insert(.ownTrackingID) }
        if report.trace != nil { flags.insert(.trace) }
        if report.trace?.replyCode != nil { flags.insert(.replyCode) }
        if report.trace?.enhancedStatus != nil { flags.insert(.enhancedStatus) }
        if report.trace?.mxHost != nil { flags.insert(.mxHost) }
        if report.satellite != nil { flags.insert(.satellite) }
        if report.firstTry != nil { flags.insert(.firstTry) }
        if report.nextTry != nil { flags.insert(.nextTry) }
        if report.leasedAt != nil { flags.insert(.leasedAt) }
        let domainFollows = Self.domain(of: report.address) != report.domain
        if domainFollows { flags.insert(.ownDomain) }

        var writer = ByteWriter(capacity: 160)
        writer.byte(Self.version)
        writer.unsigned(flags.rawValue)
        writer.unsigned(UInt64(report.recipient.packed))
        writer.byte(report.state.rawValue)
        writer.text(report.address)
        if domainFollows { writer.text(report.domain) }
        if !generatedID { writer.text(report.trackingID) }
        writer.unsigned(UInt64(max(0, report.tryCount)))
        writer.signed(report.created.milliseconds)
        writer.signed(report.modified.milliseconds)
        if let time = report.firstTry { writer.signed(time.milliseconds) }
        if let time = report.nextTry { writer.signed(time.milliseconds) }
        if let time = report.leasedAt { writer.signed(time.milliseconds) }
        if let trace = report.trace {
            writer.byte(UInt8(StageCode.number(of: trace.stage)))
            if let code = trace.replyCode { writer.signed(Int64(code)) }
            if let status = trace.enhancedStatus { writer.text(status) }
            if let host = trace.mxHost { writer.text(host) }
            writer.text(trace.text)
        }
        if let satellite = report.satellite { writer.text(satellite) }
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8], ids: RecipientIDCodec) throws -> RecipientReport {
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.version else {
            throw StoreError(.corrupt, "an event has a snapshot of an unknown version")
        }
        let flags = Flags(rawValue: try reader.unsigned())
        let recipient = RecipientID(packed: Int64(truncatingIfNeeded: try reader.unsigned()))
        guard let state = RecipientState(rawValue: try reader.byte()) else {
            throw StoreError(.corrupt, "the event of recipient \(recipient) has an unknown state")
        }
        let address = try reader.text()
        let domain = flags.contains(.ownDomain) ? try reader.text() : Self.domain(of: address)
        let trackingID = flags.contains(.ownTrackingID) ? try reader.text() : ids.encode(recipient)
        let tryCount = try reader.int()
        func time() throws -> Timestamp { Timestamp(milliseconds: try reader.signed()) }
        let created = try time()
        let modified = try time()
        let firstTry = flags.contains(.firstTry) ? try time() : nil
        let nextTry = flags.contains(.nextTry) ? try time() : nil
        let leasedAt = flags.contains(.leasedAt) ? try time() : nil
        var trace: AttemptTrace?
        if flags.contains(.trace) {
            let stage = try StageCode.stage(of: Int(try reader.byte()))
            let code = flags.contains(.replyCode) ? Int(truncatingIfNeeded: try reader.signed()) : nil
            let status = flags.contains(.enhancedStatus) ? try reader.text() : nil
            let host = flags.contains(.mxHost) ? try reader.text() : nil
            trace = AttemptTrace(
                stage: stage,
                replyCode: code,
                enhancedStatus: status,
                text: try reader.text(),
                mxHost: host
            )
        }
        let satellite = flags.contains(.satellite) ? try reader.text() : nil
        return RecipientReport(
            recipient: recipient,
            trackingID: trackingID,
            address: address,
            domain: domain,
            state: state,
            uncertain: flags.contains(.uncertain),
            trace: trace,
            satellite: satellite,
            inProgress: flags.contains(.inProgress),
            isTest: flags.contains(.isTest),
            tryCount: tryCount,
            firstTry: firstTry,
            nextTry: nextTry,
            created: created,
            modified: modified,
            leasedAt: leasedAt
        )
    }

    /// When the recipient's state changed; reads no more of the snapshot than it must.
    static func modified(_ bytes: [UInt8]) throws -> Timestamp {
        var reader = ByteReader(bytes)
        guard try reader.byte() == Self.version else {
            throw StoreError(.corrupt, "an event has a snapshot of an unknown version")
        }
        let flags = Flags(rawValue: try reader.unsigned())
        _ = try reader.unsigned()  // the recipient
        _ = try reader.byte()  // its state
        _ = try reader.text()  // its address
        if flags.contains(.ownDomain) { _ = try reader.text() }
        if flags.contains(.ownTrackingID) { _ = try reader.text() }
        _ = try reader.int()  // tries
        _ = try reader.signed()  // created
        return Timestamp(milliseconds: try reader.signed())
    }

    /// The domain: what follows the last `@`, as written.
    private static func domain(of address: String) -> String {
        guard let at = address.utf8.lastIndex(of: UInt8(ascii: "@")) else { return "" }
        return String(address[address.utf8.index(after: at)...])
    }
}
