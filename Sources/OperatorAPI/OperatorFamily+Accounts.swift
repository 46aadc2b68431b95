// SPDX-License-Identifier: Apache-2.0

import APIServing
import Foundation
import HTTPTypes
import Hummingbird
import MailingModel
import MasterCore

extension OperatorFamily {
    static let accountRoutes: [APIRoute<OperatorFamily>] = [
        APIRoute(.get, "/telstar/v1/accounts") { family, _, _ in
            try Self.json(AccountsView(try await family.master.operator.accounts()))
        },
        APIRoute(.post, "/telstar/v1/accounts") { family, request, context in
            let name = try await family.body(request, context, as: AccountBody.self).name
            return try Self.json(AccountView(try await family.master.operator.createAccount(named: name)))
        },
        APIRoute(.get, "/telstar/v1/accounts/{account}") { family, _, context in
            let account = try await family.master.operator.account(named: Self.segment("account", context))
            return try Self.json(
                AccountView(account, items: try await family.master.operator.items(ofAccount: account.name))
            )
        },
        APIRoute(.delete, "/telstar/v1/accounts/{account}") { family, _, context in
            let removed = try await family.master.operator.removeAccount(named: Self.segment("account", context))
            return try Self.json(AccountView(removed))
        },
        APIRoute(.get, "/telstar/v1/accounts/{account}/{kind}") { family, _, context in
            let (account, kind) = (Self.segment("account", context), try Self.kind(context))
            return try Self.json(AccountItemsView(try await family.master.operator.items(ofAccount: account, kind)))
        },
        APIRoute(.post, "/telstar/v1/accounts/{account}/{kind}") { family, request, context in
            let (account, kind) = (Self.segment("account", context), try Self.kind(context))
            let draft = try await family.body(request, context, as: AccountItemBody.self).draft(kind)
            return try Self.json(AccountItemView(try await family.master.operator.add(draft, toAccount: account)))
        },
        APIRoute(.delete, "/telstar/v1/accounts/{account}/{kind}/{name}") { family, request, context in
            let removed = try await family.master.operator.remove(
                try Self.kind(context),
                named: Self.segment("name", context),
                api: try request.uri.queryParameters.get("api").map { try AccountItemBody.api($0) },
                ofAccount: Self.segment("account", context)
            )
            return try Self.json(AccountItemView(removed))
        },
    ]

    private static func segment(_ name: String, _ context: APIContext) -> String {
        let text = context.parameters.get(name) ?? ""
        return text.removingPercentEncoding ?? text
    }

    private static func kind(_ context: APIContext) throws -> AccountItem.Kind {
        guard let kind = AccountItem.Kind(rawValue: Self.segment("kind", context)) else {
            let names = AccountItem.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw APIRefusal(.notFound, "unknown_kind", "there is no such kind of item; these are: \(names)")
        }
        return kind
    }
}
