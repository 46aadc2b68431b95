// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MailingModel
import MasterCore
import TestAPI
import Testing

@testable import CloudMailingAPI

@Suite("What belongs to another account does not exist for CloudMailing")
struct OtherAccountTests {
    private static func call(_ method: String, _ parameters: [String]) -> String {
        let values = parameters.map { "<param><value>\($0)</value></param>" }.joined()
        return
            "<?xml version=\"1.0\"?><methodCall><methodName>\(method)</methodName><params>\(values)</params></methodCall>"
    }

    private static func text(_ text: String) -> String { "<string>\(text)</string>" }

    private static func list(_ values: String...) -> String {
        "<array><data>\(values.map { "<value>\($0)</value>" }.joined())</data></array>"
    }

    private static func structure(_ name: String, _ value: String) -> String {
        "<struct><member><name>\(name)</name><value>\(value)</value></member></struct>"
    }

    /// Arguments that name what the tenant has, for every call that could reach it.
    private static func parameters(of method: String, _ tenant: Tenant) -> [[String]]? {
        let mailing = "<int>\(tenant.mailing)</int>"
        let mailings = self.structure("id", self.list(mailing))
        let recipients = self.structure("mailings", self.list("<int>\(tenant.ended)</int>"))
        let domain = self.list(self.text("\(tenant.name).example"))
        switch method {
        case "list_mailings", "get_mailings_count": return [[], [mailings], [self.structure("domain", domain)]]
        case "set_mailing_properties": return [[mailing, self.structure("subject", self.text("stolen"))]]
        case "delete_mailing", "start_mailing", "pause_mailing": return [[mailing]]
        case "delete_all_mailings_for_domain": return [[self.text("\(tenant.name).example")]]
        case "add_recipients", "send_test":
            return [[mailing, self.list(self.structure("email", self.text("a@example.org")))]]
        case "get_recipients_status", "reset_recipients_status": return [[self.list(self.text(tenant.trackingID))]]
        case "get_recipients_status_updated_since":
            return [[], [self.text(""), recipients], [self.text(""), self.structure("sender_domains", domain)]]
        case "get_recipients_count": return [[], [recipients], [self.structure("sender_domains", domain)]]
        case "update_statistics", "mailing_manager_force_check", "force_purge_empty_mailings": return [[]]
        // They name nothing that belongs to an account.
        case "create_mailing", "create_mailing_ext", "cloud_get_satellites_count", "cloud_list_satellites",
            "cloud_add_satellite", "cloud_set_satellite_properties", "cloud_delete_satellite":
            return []
        default: return nil
        }
    }

    @Test("every call, by the table that dispatches them", arguments: CloudMailingTables.calls)
    func calls(method: String) async throws {
        try await TestAPI.run({ [CloudMailingFamily(master: $0, maximumBodyBytes: 1 << 20)] }) { api in
            let tenant = try await api.makeTenant(AccountID(rawValue: 1), "tenant")
            let before = try await tenant.state()
            let parameters = try #require(Self.parameters(of: method, tenant), "\(method) is called and not checked")
            for some in parameters {
                let body = Self.call(method, some)
                let answer = try await api.send("POST /CloudMailing", authorization: api.basic, body: body)
                #expect(!answer.text.contains("tenant"), "\(body)")
                if method.hasSuffix("count") { #expect(answer.text.contains(">0</i"), "\(answer.text)") }
                if method.hasSuffix("_mailing") { #expect(answer.text.contains("<int>404</int>"), "\(answer.text)") }
                // The tenant's own key is none of this API's.
                let refused = try await api.send(
                    "POST /CloudMailing",
                    authorization: TestAPI.basic("admin", tenant.key.secret),
                    body: body
                )
                #expect(refused.status == .unauthorized)
            }
            #expect(try await tenant.state() == before)
        }
    }
}
