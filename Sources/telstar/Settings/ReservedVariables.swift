// SPDX-License-Identifier: Apache-2.0

import DaemonSupport

/// Environment variables that begin with `TELSTAR_` and may be set although the program that reads its settings has no
/// such option.
enum ReservedVariables {
    /// Variables of the program and its tests that are no settings.
    static let ofTheProgram: [String: String] = [
        "TELSTAR_DIR": "The directory that --dir names, for an operator's commands.",
        "TELSTAR_LIFELINE":
            "Set by `telstar cluster` and the demo for their children: standard input ends with the parent.",
        "TELSTAR_CRASH_AT": "A point at which a process kills itself; for tests.",
        "TELSTAR_BINARY": "The program that the acceptance tests run.",
        "TELSTAR_BENCH": "Switches benchmarks among the tests on.",
        "TELSTAR_DKIMPY": "The Python that the tests of signatures ask.",
    ]

    /// These, and the options of both roles: the children of a cluster share one environment.
    static let all: Set<String> = SettingsRouting.Role.allCases.reduce(into: Set(Self.ofTheProgram.keys)) {
        $0.formUnion($1.table.environmentVariables)
    }
}
