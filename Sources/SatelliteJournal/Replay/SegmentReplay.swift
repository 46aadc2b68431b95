// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// Reads segments in order and adds their records up.
///
/// Pure: bytes in, state out.
struct SegmentReplay {
    private(set) var state = JournalState()
    /// In which segment the records of a lease begin.
    private(set) var home: [LeaseSerial: UInt64] = [:]
    /// Where each segment's last record ends.
    private(set) var used: [UInt64: Int] = [:]
    /// Segments whose tail was torn by an interrupted write: zeros are due from their end on.
    private(set) var torn: Set<UInt64> = []
    /// The first damage found.
    private(set) var damage: String?

    private let frame = RecordFrame()
    private let bootID: String

    /// - Parameter bootID: The present boot; a tear in the middle is damage unless the machine was started anew.
    init(bootID: String) { self.bootID = bootID }

    /// Takes the next segment.
    mutating func read(_ segment: UInt64, _ bytes: [UInt8]) {
        var offset = 0
        while true {
            switch self.frame.read(bytes, at: offset) {
            case .record(let record, let next):
                switch self.state.apply(record) {
                case .held(let lease): self.home[lease] = segment
                case .released(let lease): self.home[lease] = nil
                case .none: break
                }
                offset = next
            case .end:
                self.used[segment] = offset
                return
            case .broken(let reason, let isTail):
                self.used[segment] = offset
                if isTail || self.state.session?.bootID != self.bootID {
                    self.torn.insert(segment)
                } else if self.damage == nil {
                    self.damage = "segment \(segment) at byte \(offset): \(reason)"
                }
                return
            }
        }
    }

    /// Ends the last session: the process that wrote it is dead, or goes on with the original of this copy.
    mutating func finish(isCopy: Bool) {
        let sameBoot = self.state.session?.bootID == self.bootID && self.damage == nil
        self.state.endSession(dotsAreKnown: sameBoot && !isCopy)
    }
}
