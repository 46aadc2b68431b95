// SPDX-License-Identifier: Apache-2.0

/// Numbers that both ends of the link must agree on.
public enum LinkProtocol {
    /// The protocol versions that this program speaks.
    public static let supportedVersions: ClosedRange<UInt32> = 1...1
    /// No control frame's body is longer; a longer message travels in parts.
    public static let maximumFrameBytes = 512 * 1024
    /// The greatest piece of a blob in one answer.
    public static let maximumPieceBytes = 64 * 1024
    /// So many heartbeats missed in a row are silence.
    public static let missedHeartbeats = 3
}
