// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MasterCore
import Testing

@testable import CloudMailingAPI

@Suite("Faults of CloudMailing")
struct CloudMailingFaultTests {
    @Test("what the store said goes with the fault to the log, and does not stand in it")
    func cause() {
        let error = MasterError(.storeFailed, "the store failed", cause: "writing store.sqlite: disk I/O error")
        let fault = CloudMailingFault(error, status: nil)
        #expect(fault.code == 503 && fault.message == "the store failed" && fault.status == .ok)
        #expect(fault.cause == error.cause)
        let own = fault.underItsOwnStatus
        #expect(own.status == .serviceUnavailable && own.cause == error.cause)
    }

    @Test("a refusal has no cause")
    func refusal() {
        #expect(CloudMailingFault(MasterError(.busy, "later"), status: nil).cause == nil)
    }
}
