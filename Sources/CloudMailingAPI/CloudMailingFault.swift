// SPDX-License-Identifier: Apache-2.0

import APIServing
import HTTPTypes
import MailingModel
import MasterCore

/// A refusal as an XML-RPC fault, with the HTTP status that it travels under.
struct CloudMailingFault: LoggedError, Hashable, Sendable {
    /// The fault's number.
    var code: Int
    /// The fault's text.
    var message: String
    /// What the store said, if it failed: for the log only.
    var cause: String?
    /// 200, or the number itself for the calls whose clients expect that.
    var status: HTTPResponse.Status

    /// Composes a fault that travels under HTTP 200 unless another status is given.
    init(_ code: Int, _ message: String, status: HTTPResponse.Status = .ok) {
        self.code = code
        self.message = message
        self.status = status
    }

    /// The same fault under the HTTP status of its number, if that is one.
    var underItsOwnStatus: CloudMailingFault {
        guard (400..<600).contains(self.code) else { return self }
        var fault = self
        fault.status = .init(code: self.code)
        return fault
    }

    /// The fault for what the master refused.
    init(_ error: MasterError, status: HTTPResponse.Status?) {
        let code: Int
        switch error.code {
        case .unknownMailing, .unknownSatellite, .unknownKey, .unknownAccount, .unknownItem: code = 404
        case .mailingFinished, .tooMany: code = 400
        case .badProperty, .satelliteExists, .publicKeyInUse: code = 406
        case .badCursor: code = 410
        case .badStatus, .badContent: code = 8002
        case .satelliteBusy, .accountExists, .accountBusy, .nameTaken, .itemInUse: code = 409
        case .busy, .storeFull, .storeFailed, .safeMode: code = 503
        }
        self.init(code, error.message, status: status ?? .ok)
        self.cause = error.cause
    }
}
