// SPDX-License-Identifier: Apache-2.0

public import ClusterLink

/// The way to the satellites: the cluster link, or a script in tests.
public protocol SatelliteChannel: Sendable {
    /// Events in order; ends when the channel has closed. To be read once.
    var events: any AsyncSequence<MasterLinkEvent, Never> & Sendable { get }
    /// Hands a message over; it is lost if the session has ended.
    func send(_ message: MasterMessage, to session: SatelliteSession) async -> SendResult
    /// Ends a session because its key is no longer allowed, or its satellite is removed.
    func drop(_ session: SatelliteSession) async
}
