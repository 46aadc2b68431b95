// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import SatelliteCore

/// The satellite's status as metrics and as readiness.
enum SatelliteMetrics {
    /// Why the satellite does not do its work; empty if it does.
    static func unreadyReasons(_ status: SatelliteStatus) -> [String] {
        var reasons: [String] = []
        if !status.isConnected { reasons.append(status.rejection ?? "no master is connected") }
        if status.isDiskFull { reasons.append("the journal has no room: the disk is full") }
        if status.isDraining { reasons.append("the satellite is stopping") }
        return reasons
    }

    /// The values of a status.
    static func collect(_ status: SatelliteStatus) -> [CollectedMetric] {
        func gauge(_ name: String, _ help: String, _ value: Double) -> CollectedMetric {
            CollectedMetric(MetricDefinition("telstar_satellite_" + name, .gauge, help: help), value)
        }
        let outcomes: [(String, UInt64)] = [
            ("delivered", status.delivered), ("deferred", status.deferred), ("failed", status.failed),
            ("unrenderable", status.unrenderable), ("uncertain", status.uncertain),
        ]
        return [
            gauge("connected", "1 if a master has accepted this satellite, else 0.", status.isConnected ? 1 : 0),
            gauge("leases", "Leases with recipients that are not reported.", Double(status.leases)),
            gauge("waiting_recipients", "Recipients never started.", Double(status.waiting)),
            gauge("started_recipients", "Recipients started and not reported.", Double(status.started)),
            gauge("connections", "SMTP connections open or being opened.", Double(status.connections)),
            gauge(
                "unacknowledged_reports",
                "Reports that the master has not acknowledged.",
                Double(status.unacknowledgedReports)
            ),
            gauge("journal_bytes", "Bytes of the journal's files.", Double(status.journalBytes)),
            gauge(
                "journal_available_bytes",
                "Bytes that the journal can still take.",
                Double(status.journalAvailableBytes)
            ),
            gauge(
                "problems",
                "Things that a human should look at; the status names them.",
                Double(status.problems.count)
            ),
            gauge(
                "paused_sites",
                "Sites left alone for a while, of the busiest 50.",
                Double(status.sites.filter(\.isPaused).count)
            ),
            gauge("disk_full", "1 if the journal has no room for leases, else 0.", status.isDiskFull ? 1 : 0),
            CollectedMetric(
                MetricDefinition("telstar_satellite_attempts_total", .counter, help: "Attempts by outcome."),
                outcomes.map { (labels: [("outcome", $0.0)], value: Double($0.1)) }
            ),
        ]
    }
}
