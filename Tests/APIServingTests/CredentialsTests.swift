// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import Testing

@Suite("Credentials of a request")
struct CredentialsTests {
    @Test(
        "are read from the Authorization field",
        arguments: [
            ("Basic YWRtaW46c2VjcmV0", Credentials.basic(user: "admin", password: "secret")),
            ("basic  YWRtaW46c2VjcmV0 ", .basic(user: "admin", password: "secret")),
            ("Basic YTpiOmM=", .basic(user: "a", password: "b:c")), ("Basic Og==", .basic(user: "", password: "")),
            ("Bearer tk_1", .bearer("tk_1")), ("bearer  tk_1", .bearer("tk_1")),
        ]
    )
    func read(field: String, expected: Credentials) { #expect(Credentials([.authorization: field]) == expected) }

    @Test("what is none is none", arguments: ["", "Basic", "Basic !", "Basic YWRtaW4=", "Digest x=y", "tk_1"])
    func none(field: String) {
        #expect(Credentials([.authorization: field]) == nil)
        #expect(Credentials([:]) == nil)
    }
}
