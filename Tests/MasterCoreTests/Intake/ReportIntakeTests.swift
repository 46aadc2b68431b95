// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterCore

@Suite("Applying reports")
struct ReportIntakeTests {
    private static func report(_ ordinal: UInt32) -> DeliveryReport {
        let recipient = RecipientID(mailing: MailingID(rawValue: 1), bucket: Bucket(rawValue: 0), ordinal: ordinal)
        return TestValues.delivered(recipient, lease: LeaseSerial(rawValue: 1))
    }

    @Test("the stop takes what waits and nothing more, so that a satellite that goes on reporting cannot hold it up")
    func stop() async throws {
        try await TestParts.run { parts in
            let intake = ReportIntake(
                store: parts.store,
                channel: parts.channel,
                directory: parts.directory,
                configuration: parts.configuration.intake,
                time: parts.time,
                health: parts.health,
                rates: RateWindow(time: parts.time),
                logger: parts.logger
            )
            let session = TestValues.session(1)
            intake.add([Self.report(1)], sequence: 1, from: session)
            #expect(intake.waiting.count == 1)
            intake.stop()
            intake.add([Self.report(2)], sequence: 2, from: session)
            #expect(intake.waiting.count == 1)
            await intake.run(generation: { _ in 0 }) { work, _, _ in
                #expect(work.acknowledgements.map(\.sequence) == [1])
                // What comes while the last ones are applied is left to the satellite as well.
                intake.add([Self.report(3)], sequence: 3, from: session)
            }
            #expect(intake.waiting.count == 0)
        }
    }
}
