// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import DaemonSupport
import MasterCore
import Synchronization

/// The master's status as metrics.
final class MasterMetrics: Sendable {
    private let master: Master
    private let link: MasterLink
    private let status = Mutex<MasterStatus?>(nil)

    init(master: Master, link: MasterLink) {
        self.master = master
        self.link = link
    }

    /// Asks the master; an unreachable store leaves the last values standing, and `telstar_master_ready` is 0.
    func refresh() async {
        let current = try? await self.master.status()
        self.status.withLock { status in
            if let current { status = current } else { status?.ready = false }
        }
    }

    /// The values of the last refresh.
    func collect() -> [CollectedMetric] {
        guard let status = self.status.withLock({ $0 }) else { return [] }
        func gauge(_ name: String, _ help: String, _ value: Int) -> CollectedMetric {
            CollectedMetric(MetricDefinition("telstar_master_" + name, .gauge, help: help), Double(value))
        }
        return [
            gauge("ready", "1 if the master can do its work, else 0.", status.ready ? 1 : 0),
            gauge(
                "pending_recipients",
                "Recipients whose delivery is not finished: waiting or deferred.",
                status.pending
            ),
            gauge("backlog_recipients", "Recipients that could be leased now.", status.backlog),
            gauge("unroutable_recipients", "Recipients that no known satellite may take.", status.unroutable),
            gauge("uncertain_recipients", "Recipients held as uncertain.", status.uncertain),
            gauge("leased_recipients", "Recipients under a lease.", status.leased),
            gauge("oldest_lease_seconds", "Age of the oldest open lease.", Int(status.oldestLeaseSeconds)),
            gauge("queued_reports", "Reports received and not yet stored.", status.queuedReports),
            gauge("feed_head", "The newest position of the feed.", Int(status.feedHead)),
            gauge("delivered_last_minute", "Deliveries reported within the last minute.", status.deliveredLastMinute),
            CollectedMetric(
                MetricDefinition(
                    "telstar_master_unstarted_reports_total",
                    .counter,
                    help: "Reports of attempts that satellites made without permission to start; 0 in health."
                ),
                Double(status.unstartedReports)
            ),
            CollectedMetric(
                MetricDefinition(
                    "telstar_master_count_drift_total",
                    .counter,
                    help: "Mailing counters that a recount found wrong and corrected; 0 in a healthy store."
                ),
                Double(status.counterDrift)
            ),
            CollectedMetric(
                MetricDefinition("telstar_master_mailings", .gauge, help: "Mailings by state."),
                status.mailings.sorted { $0.key < $1.key }.map {
                    (labels: [("state", $0.key)], value: Double($0.value))
                }
            ),
            CollectedMetric(
                MetricDefinition(
                    "telstar_master_satellite_connected",
                    .gauge,
                    help: "1 if the satellite is connected, else 0."
                ),
                status.satellites.map { (labels: [("satellite", $0.serial)], value: $0.connected ? 1 : 0) }
            ),
            CollectedMetric(
                MetricDefinition(
                    "telstar_master_satellite_outstanding",
                    .gauge,
                    help: "Recipients that a satellite holds."
                ),
                status.satellites.map { (labels: [("satellite", $0.serial)], value: Double($0.outstanding)) }
            ),
            CollectedMetric(
                MetricDefinition(
                    "telstar_master_link_troubles_total",
                    .counter,
                    help: "Errors on the cluster link, by kind."
                ),
                self.link.troubleCounts.sorted { $0.key < $1.key }.map {
                    (labels: [("kind", $0.key)], value: Double($0.value))
                }
            ),
        ]
    }
}
