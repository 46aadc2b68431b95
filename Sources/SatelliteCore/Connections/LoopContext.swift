// SPDX-License-Identifier: Apache-2.0

import DKIM
import MailFormat
import MailMerge
import MailingModel
import NIOCore
import SMTP

/// What the connections of one event loop share: where recipients come from, room to render in, and outcomes on their way out.
///
/// Used on its loop only.
final class LoopContext {
    let loop: any EventLoop
    let scheduler: SharedScheduler
    let reports: Reports
    private let batch: Int
    private let window: TimeAmount
    private let cache: BlobCache
    private let allocator = ByteBufferAllocator()
    private var scratch = RenderScratch()
    private var finished: [FinishedAttempt] = []
    private var flushTimer: Scheduled<Void>?

    init(
        loop: any EventLoop,
        scheduler: SharedScheduler,
        reports: Reports,
        cache: BlobCache,
        configuration: SatelliteConfiguration
    ) {
        self.loop = loop
        self.scheduler = scheduler
        self.reports = reports
        self.cache = cache
        self.batch = configuration.reportBatch
        self.window = TimeAmount(configuration.reportWindow)
        self.finished.reserveCapacity(configuration.reportBatch)
    }

    /// Renders and signs the message of a recipient.
    ///
    /// - Throws: The outcome of an attempt that cannot be made.
    func compose(_ recipient: QueuedRecipient, id: UInt64) throws(CompositionFailure) -> SMTPTransaction {
        guard let revision = recipient.revision, let address = recipient.address else {
            throw CompositionFailure(.deferred(AttemptTrace(stage: .render, text: "the content has not been fetched")))
        }
        let entry = recipient.entry
        do {
            let rendered = RenderRecipient(
                id: entry.recipient,
                trackingID: entry.trackingID,
                address: address,
                mergeFields: entry.mergeFields,
                date: entry.date,
                attachments: try self.attachments(of: entry)
            )
            try revision.content.render(rendered, scratch: &self.scratch)
        } catch let failure as CompositionFailure {
            throw failure
        } catch {
            throw CompositionFailure(.unrenderable(AttemptTrace(stage: .render, text: "\(error)")))
        }
        return SMTPTransaction(
            id: id,
            reversePath: recipient.reversePath,
            recipient: address.envelopeText,
            smtpUTF8: address.requiresSMTPUTF8,
            message: try self.signed(revision, at: entry.date)
        )
    }

    private func attachments(of entry: LeaseEntry) throws -> [Attachment] {
        guard !entry.attachments.isEmpty else { return [] }
        return try entry.attachments.map { hash in
            guard let bytes = self.cache.recentBytes(of: hash) else {
                if let lack = LocalResources.shortage() { throw CompositionFailure(lack: lack) }
                throw CompositionFailure(
                    .deferred(AttemptTrace(stage: .render, text: "attachment \(hash) has not been fetched"))
                )
            }
            return try Attachment(decoding: bytes)
        }
    }

    private func signed(_ revision: Revision, at date: Timestamp) throws(CompositionFailure) -> ByteBuffer {
        var signatures: [UInt8] = []
        if let signer = revision.signer {
            do {
                signatures = try signer.signatures(
                    header: self.scratch.header,
                    body: self.scratch.body,
                    at: date.seconds
                )
            } catch {
                throw CompositionFailure(.deferred(AttemptTrace(stage: .render, text: "signing failed: \(error)")))
            }
        }
        var message = self.allocator.buffer(
            capacity: signatures.count + self.scratch.header.count + 2 + self.scratch.body.count
        )
        message.writeBytes(signatures)
        message.writeBytes(self.scratch.header)
        message.writeStaticString("\r\n")
        message.writeBytes(self.scratch.body)
        return message
    }

    /// Collects the end of an attempt, which the journal has; it leaves with its batch.
    func finish(_ attempt: FinishedAttempt) {
        self.finished.append(attempt)
        if self.finished.count >= self.batch {
            self.flush()
        } else if self.flushTimer == nil {
            self.flushTimer = self.loop.assumeIsolated().scheduleTask(in: self.window) { self.flush() }
        }
    }

    /// Hands over what has been collected.
    func flush() {
        self.flushTimer?.cancel()
        self.flushTimer = nil
        guard !self.finished.isEmpty else { return }
        self.scheduler.ended(self.finished)
        self.finished.removeAll(keepingCapacity: true)
    }
}

/// Why no message can be made for a recipient: the outcome of the attempt, or what this process lacks to make one.
struct CompositionFailure: Error {
    let outcome: DeliveryOutcome
    /// No attempt was made; the recipient waits again.
    let lack: String?

    init(_ outcome: DeliveryOutcome) {
        self.outcome = outcome
        self.lack = nil
    }

    init(lack: String) {
        self.outcome = .deferred(AttemptTrace(stage: .render, text: lack))
        self.lack = lack
    }
}

/// An attempt that a connection has made and the journal has been handed the end of.
struct FinishedAttempt: Sendable {
    var report: DeliveryReport
    /// The site that the connection led to.
    var site: String
    /// Whether its reply says that the site can be used.
    var clears: Bool
}

extension QueuedRecipient {
    /// The envelope sender: VERP if the lease has a return path domain, else the header From's address.
    var reversePath: String {
        let grant = self.lease.grant
        guard !grant.returnPathDomain.isEmpty else { return self.revision?.mailFrom ?? "" }
        // A tracking id may hold any visible character, so the local part may need quotes.
        let localPart = EmailAddress.quoted(localPart: "\(grant.mailing)-\(self.entry.trackingID)")
        return "\(localPart)@\(grant.returnPathDomain)"
    }

    /// The report of the attempt.
    func report(_ outcome: DeliveryOutcome, endedAt: Timestamp) -> DeliveryReport {
        DeliveryReport(
            recipient: self.entry.recipient,
            attempt: self.entry.attempt,
            lease: self.lease.serial,
            outcome: outcome,
            endedAt: endedAt
        )
    }
}
