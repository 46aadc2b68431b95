// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MailingModel

@Suite("The crash plan of a process")
struct CrashPlanTests {
    @Test(
        "is read as a point and a count",
        arguments: [
            ("masterAfterClaim", CrashPoint.masterAfterClaim, 1),
            ("satelliteAfterDot:7", .satelliteAfterDot, 7),
        ]
    )
    func reads(text: String, point: CrashPoint, occurrence: Int) throws {
        let plan = try #require(CrashPlan(parsing: text))
        #expect(plan.point == point)
        #expect(plan.occurrence == occurrence)
    }

    @Test(
        "is nowhere if it cannot be read",
        arguments: ["", "nowhere", "masterAfterClaim:0", "masterAfterClaim:x", ":1"]
    )
    func refuses(text: String) {
        #expect(CrashPlan(parsing: text) == nil)
    }

    @Test("comes at the n-th time, once")
    func counts() throws {
        let armed = ArmedCrash(try #require(CrashPlan(parsing: "masterAfterClaim:3")))
        #expect((1...5).map { _ in armed.isTheTime() } == [false, false, true, false, false])
    }

    @Test("is empty in a process without one")
    func unarmed() {
        #expect(!CrashPoint.isArmed)
        for point in CrashPoint.allCases { CrashPoint.reached(point) }
    }
}
