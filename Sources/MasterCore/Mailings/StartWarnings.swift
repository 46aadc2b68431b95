// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// What large receivers refuse or file as spam, and the owner of a mailing may have forgotten.
enum StartWarnings {
    /// The warnings for a mailing that is started; none for one that goes to the test target.
    static func of(_ properties: MailingProperties) -> [String] {
        guard !properties.testing else { return [] }
        var warnings: [String] = []
        if !properties.dkim.contains(where: \.enabled) {
            warnings.append("its messages carry no DKIM signature: set `dkim`")
        }
        if properties.trackingURL == nil {
            warnings.append(
                "its messages carry no List-Unsubscribe, and `unsubscribe` in them is empty: set `tracking_url`"
            )
        }
        return warnings
    }
}

extension Mailing {
    /// What its owner should know when it is started.
    public var startWarnings: [String] { StartWarnings.of(self.properties) }
}
