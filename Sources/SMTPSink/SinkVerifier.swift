// SPDX-License-Identifier: Apache-2.0

import DKIM

/// Verifies a message's signatures, away from the event loops.
enum SinkVerifier {
    /// Verifies, and hands the verdicts to the session.
    @concurrent
    static func verify(_ verification: SinkVerification, keyRecord: @escaping SinkConfiguration.KeyRecord) async {
        let results = await DKIMVerifier.verify(message: verification.content) { domain, selector in
            await keyRecord(domain, selector)
        }
        verification.finish(
            results.map { result in
                SinkSignature(
                    domain: result.domain,
                    selector: result.selector,
                    algorithm: result.algorithm,
                    verdict: Self.text(result.verdict)
                )
            }
        )
    }

    private static func text(_ verdict: DKIMResult.Verdict) -> String {
        switch verdict {
        case .pass: "pass"
        case .fail(let reason): "fail: \(reason)"
        case .temperror(let reason): "temperror: \(reason)"
        case .permerror(let reason): "permerror: \(reason)"
        }
    }
}
