// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("The master's operations", .timeLimit(.minutes(15)))
struct OperationTests {
    private static func code(_ body: () async throws -> some Sendable) async -> MasterError.Code? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? MasterError)?.code
        }
    }

    private static let unknown = MailingID(rawValue: 77)

    @Test("say when there is no such mailing")
    func unknownMailing() async throws {
        try await TestMaster.run { test in
            let master = test.master
            let expected = MasterError.Code.unknownMailing(Self.unknown)
            #expect(await Self.code { try await master.operator.everyAccount.mailing(Self.unknown) } == expected)
            #expect(await Self.code { try await master.operator.everyAccount.startMailing(Self.unknown) } == expected)
            #expect(await Self.code { try await master.operator.everyAccount.pauseMailing(Self.unknown) } == expected)
            #expect(await Self.code { try await master.operator.everyAccount.closeMailing(Self.unknown) } == expected)
            #expect(await Self.code { try await master.operator.everyAccount.deleteMailing(Self.unknown) } == expected)
            #expect(
                await Self.code {
                    try await master.operator.everyAccount.setProperties(of: Self.unknown, to: MailingChange())
                } == expected
            )
            #expect(await Self.code { try await test.add(1, to: Self.unknown) } == expected)
            #expect(await Self.code { try await master.operator.everyAccount.content(of: Self.unknown) } == expected)
        }
    }

    @Test("say which state forbids a step")
    func badStatus() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            #expect(await Self.code { try await test.operations.pauseMailing(id) } == .badStatus(.filling))
            _ = try await test.operations.startMailing(id)
            #expect(await Self.code { try await test.operations.startMailing(id) } == .badStatus(.ready))
            _ = try await test.operations.closeMailing(id)
            #expect(await Self.code { try await test.operations.startMailing(id) } == .badStatus(.finished))
            #expect(
                await Self.code { try await test.operations.setProperties(of: id, to: MailingChange()) }
                    == .mailingFinished(id)
            )
            #expect(await Self.code { try await test.add(1, to: id) } == .mailingFinished(id))
        }
    }

    @Test("take the sender and the subject of a finished message from its header")
    func message() async throws {
        try await TestMaster.run { test in
            let message =
                "From: =?utf-8?q?Caf=C3=A9?= <cafe@example.org>\r\nSubject: Bonjour {{ name }}\r\n\r\nHello\r\n"
            let mailing = try await test.operations.createMailing(MailingDraft(content: .message(Array(message.utf8))))
            #expect(mailing.properties.mailFrom == "cafe@example.org")
            #expect(mailing.properties.senderName == "Café")
            #expect(mailing.subject == "Bonjour {{ name }}")
            let nobody = MailingDraft(content: .message(Array("Subject: x\r\n\r\ny".utf8)))
            #expect(await Self.code { try await test.operations.createMailing(nobody) } == .badProperty("mail_from"))
        }
    }

    @Test("accept a sender that is only fit for a header, and refuse one that would break it")
    func sender() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing { $0.mailFrom = "my-mailing@%example.org" }
            #expect(try await test.operations.mailing(id).properties.mailFrom == "my-mailing@%example.org")
            #expect(
                await Self.code { try await test.mailing { $0.mailFrom = "a@example.org\r\nBcc: x" } }
                    == .badProperty("mail_from")
            )
            #expect(await Self.code { try await test.mailing { $0.subject = "a\nb" } } == .badProperty("subject"))
        }
    }

    @Test("refuse content that does not compile and say where, leaving the mailing as it was")
    func badContent() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            var change = MailingChange()
            change.subject = "Hello {{ }"
            change.senderName = "Other"
            let code = await Self.code { try await test.operations.setProperties(of: id, to: change) }
            guard case .badContent? = code else {
                Issue.record("got \(String(describing: code))")
                return
            }
            #expect(try await test.operations.mailing(id).properties.senderName == "News")
            #expect(await Self.code { try await test.mailing { $0.subject = "{{ }" } } != nil)
        }
    }

    @Test("change what was asked and keep the rest")
    func change() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            var change = MailingChange()
            change.shownName = .set("Shown")
            change.trackingURL = .set("https://track.example/t/")
            change.clickTracking = true
            change.scheduledDurationMinutes = .set(5)
            let changed = try await test.operations.setProperties(of: id, to: change).mailing
            #expect(changed.properties.shownName == "Shown")
            #expect(changed.properties.senderName == "News")
            #expect(try await test.operations.content(of: id).clickTracking)
            change = MailingChange()
            change.shownName = .clear
            change.scheduledDurationMinutes = .clear
            let cleared = try await test.operations.setProperties(of: id, to: change).mailing
            #expect(cleared.properties.shownName == nil)
            #expect(cleared.properties.scheduledDurationMinutes == nil)
            #expect(cleared.properties.clickTracking)
            #expect(cleared.content == changed.content, "what shapes no byte makes no revision")
            change.scheduledDurationMinutes = .set(0)
            #expect(
                await Self.code { try await test.operations.setProperties(of: id, to: change) }
                    == .badProperty("scheduled_duration")
            )
            change = MailingChange()
            change.trackingURL = .set("javascript:alert(1)")
            #expect(
                await Self.code { try await test.operations.setProperties(of: id, to: change) }
                    == .badProperty("tracking_url")
            )
        }
    }

    @Test("answer every recipient in input order, and refuse more than a thousand at once")
    func recipients() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            let results = try await test.operations.addRecipients(
                [
                    RecipientSubmission(address: "a@example.org", trackingID: "mine"),
                    RecipientSubmission(address: "broken"),
                    RecipientSubmission(address: "b@example.org"),
                    RecipientSubmission(address: "c@example.org", trackingID: "mine"),
                    RecipientSubmission(address: "a@example.org"),
                ],
                to: id
            )
            try #require(results.count == 5)
            guard case .accepted("mine", _) = results[0], case .refused = results[1], case .accepted = results[2],
                case .refused = results[3], case .accepted = results[4]
            else {
                Issue.record("\(results)")
                return
            }
            #expect(try await test.operations.mailing(id).counters.total == 3)
            #expect(try await test.operations.reports(of: ["mine", "nobody"]).map(\.address) == ["a@example.org"])
            #expect(try await test.operations.addRecipients([], to: id) == [])
            let many = [RecipientSubmission](repeating: RecipientSubmission(address: "a@example.org"), count: 1_001)
            #expect(await Self.code { try await test.operations.addRecipients(many, to: id) } == .tooMany(limit: 1_000))
        }
    }

    @Test("make keys that are accepted until they are revoked")
    func keys() async throws {
        try await TestMaster.run { test in
            let created = try await test.master.operator.createKey(name: "shop", account: .root, autoescape: false)
            #expect(test.master.authenticate(secret: created.secret)?.name == "shop")
            #expect(test.master.authenticate(secret: created.secret)?.autoescape == false)
            #expect(test.master.authenticate(secret: created.secret + "x") == nil)
            #expect(test.master.authenticate(secret: "") == nil)
            try await test.master.operator.revokeKey(created.record.publicID)
            #expect(test.master.authenticate(secret: created.secret) == nil)
            #expect(await Self.code { try await test.master.operator.revokeKey("nothing") } == .unknownKey("nothing"))
        }
    }

    @Test("keep satellites' serials unique and their records sane")
    func satellites() async throws {
        try await TestMaster.run { test in
            let record = try await test.satellite("one")
            #expect(await Self.code { try await test.satellite("one") } == .satelliteExists("one"))
            #expect(await Self.code { try await test.satellite("two words") } == .badProperty("serial"))
            #expect(await Self.code { try await test.satellite("w") { $0.weight = 0 } } == .badProperty("weight"))
            var change = SatelliteChange()
            change.publicKeys = [[1, 2, 3]]
            #expect(
                await Self.code { try await test.master.operator.setSatellite(record.id, to: change) }
                    == .badProperty("public_key")
            )
            change = SatelliteChange()
            change.group = .set("fast")
            #expect(try await test.master.operator.setSatellite(record.id, to: change).group == "fast")
            let nobody = SatelliteID(rawValue: 99)
            #expect(
                await Self.code { try await test.master.operator.setSatellite(nobody, to: change) }
                    == .unknownSatellite(nobody)
            )
            #expect(
                await Self.code { try await test.master.operator.removeSatellite(nobody) } == .unknownSatellite(nobody)
            )
        }
    }

    @Test("refuse a public key that another satellite has, and a serial that differs from another's only in case")
    func satelliteIdentity() async throws {
        try await TestMaster.run { test in
            let key = [UInt8](repeating: 7, count: 32)
            let first = try await test.satellite("first") { $0.publicKey = key }
            #expect(
                await Self.code { try await test.satellite("second") { $0.publicKey = key } }
                    == .publicKeyInUse("first")
            )
            let second = try await test.satellite("second")
            var change = SatelliteChange()
            change.publicKeys = second.publicKeys + [key]
            #expect(
                await Self.code { try await test.master.operator.setSatellite(second.id, to: change) }
                    == .publicKeyInUse("first")
            )
            change = SatelliteChange()
            change.serial = "FIRST"
            #expect(
                await Self.code { try await test.master.operator.setSatellite(second.id, to: change) }
                    == .satelliteExists("FIRST")
            )
            #expect(try await test.master.operator.setSatellite(first.id, to: change).serial == "FIRST")
            #expect(await Self.code { try await test.satellite("Second") } == .satelliteExists("Second"))
        }
    }

    @Test("keep a key with the satellite that had it first, where an older version let two have it")
    func sharedKeyOfOldStore() {
        let key = [UInt8](repeating: 7, count: 32)
        let directory = SatelliteDirectory()
        for (id, serial) in [(Int32(1), "first"), (2, "second")] {
            directory.insert(SatelliteRecord(id: SatelliteID(rawValue: id), serial: serial, publicKeys: [key]))
        }
        #expect(directory.record(publicKey: key)?.serial == "first")
        directory.remove(SatelliteID(rawValue: 2))
        #expect(directory.record(publicKey: key)?.serial == "first")
    }

    @Test("clear a satellite's group and affinity, and a mailing's group, by an empty value")
    func cleared() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.satellite("one") {
                $0.group = "fast"
                $0.affinity = DomainAffinity(include: ["A.example"], exclude: [])
            }
            #expect(satellite.affinity.include == ["a.example"])
            var change = SatelliteChange()
            change.group = .set("")
            change.affinity = DomainAffinity()
            let cleared = try await test.master.operator.setSatellite(satellite.id, to: change)
            #expect(cleared.group == nil && cleared.affinity == DomainAffinity())
            #expect(try await test.satellite("two") { $0.group = "" }.group == nil)
            change = SatelliteChange()
            change.affinity = DomainAffinity(include: ["not a domain"], exclude: [])
            #expect(
                await Self.code { try await test.master.operator.setSatellite(satellite.id, to: change) }
                    == .badProperty("domain_affinity")
            )
            let mailing = try await test.mailing()
            var grouped = MailingChange()
            grouped.satelliteGroup = .set("")
            let changed = try await test.operations.setProperties(of: mailing, to: grouped).mailing
            #expect(changed.properties.satelliteGroup == nil)
        }
    }

    @Test("warn of a mailing that is started without a signature or a way to unsubscribe, while it is not over")
    func startWarnings() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            #expect(try await test.master.status().warnings.isEmpty)
            _ = try await test.operations.startMailing(id)
            try await test.until("warnings") { try await !test.master.status().warnings.isEmpty }
            let warnings = try await test.master.status().warnings
            #expect(warnings.count == 2 && warnings.allSatisfy { $0.hasPrefix("mailing \(id): ") })
            #expect(warnings.contains { $0.contains("DKIM") } && warnings.contains { $0.contains("List-Unsubscribe") })
            var change = MailingChange()
            change.trackingURL = .set("https://track.example.org/")
            _ = try await test.operations.setProperties(of: id, to: change)
            try await test.until("one warning") { try await test.master.status().warnings.count == 1 }
            _ = try await test.operations.closeMailing(id)
            try await test.until("no warning") { try await test.master.status().warnings.isEmpty }
            let target = try await test.mailing()
            change = MailingChange()
            change.testing = true
            _ = try await test.operations.setProperties(of: target, to: change)
            _ = try await test.operations.startMailing(target)
            #expect(try await test.master.status().warnings.isEmpty)
        }
    }

    @Test("refuse a DKIM key that cannot be read, and one that is missing")
    func dkim() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            var change = MailingChange()
            change.dkim = [DKIMSettingDraft(domain: "example.org", selector: "s1", privateKey: "not a key")]
            #expect(
                await Self.code { try await test.operations.setProperties(of: id, to: change) } == .badProperty("dkim")
            )
            change.dkim = [DKIMSettingDraft(domain: "example.org", selector: "s1", privateKey: nil)]
            #expect(
                await Self.code { try await test.operations.setProperties(of: id, to: change) } == .badProperty("dkim")
            )
        }
    }
}
