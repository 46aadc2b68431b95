// SPDX-License-Identifier: Apache-2.0

/// Reads what follows a 354: removes stuffed dots and finds the end, which is CRLF, dot, CRLF and nothing else.
///
/// A bare LF or CR never ends a line here. It is remembered as a fault, because another server may see a line end, and
/// then an end of data, where we see none; that difference is what message smuggling lives on. Content past the limit
/// is skipped up to its end.
struct ContentReader {
    private enum State { case lineStart, dot, dotCR, line, lineCR }

    /// The message so far, without stuffed dots.
    private(set) var content: [UInt8] = []
    /// Whether a CR or LF stood alone.
    private(set) var hasBareLineEnd = false
    /// Whether content beyond the limit was skipped.
    private(set) var isTooLarge = false

    private var state = State.lineStart
    private var limit: Int

    /// Reads content of at most `limit` bytes.
    init(limit: Int) { self.limit = limit }

    /// Takes the message away and is ready for the next one; the storage is kept if the caller lets go of it.
    mutating func reset() {
        self.content.removeAll(keepingCapacity: self.content.capacity <= 262_144)
        self.hasBareLineEnd = false
        self.isTooLarge = false
        self.state = .lineStart
    }

    /// Consumes `bytes` up to the end of data.
    ///
    /// - Returns: How many bytes were consumed, and whether the end of data was among them.
    mutating func read(_ bytes: UnsafeRawBufferPointer) -> (consumed: Int, isAtEnd: Bool) {
        let end = bytes.count
        var position = 0
        var run = 0  // start of what is not yet copied
        while position < end {
            switch self.state {
            case .lineStart:
                guard bytes[position] == 0x2E else {
                    self.state = .line
                    continue
                }
                self.keep(bytes, run, position)
                position += 1
                run = position
                self.state = .dot
            case .dot:
                guard bytes[position] == 0x0D else {
                    self.state = .line
                    continue
                }
                position += 1
                run = position
                self.state = .dotCR
            case .dotCR:
                if bytes[position] == 0x0A {
                    self.state = .lineStart
                    return (position + 1, true)
                }
                self.keepBareCR()
                run = position
                self.state = .line
            case .lineCR:
                if bytes[position] == 0x0A {
                    self.append(0x0D)
                    run = position
                    position += 1
                    self.state = .lineStart
                } else {
                    self.keepBareCR()
                    run = position
                    self.state = .line
                }
            case .line:
                let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
                let lineFeed = ByteSearch.first(0x0A, in: rest).map { position + $0 } ?? end
                let line = UnsafeRawBufferPointer(rebasing: bytes[position..<lineFeed])
                if let carriageReturn = ByteSearch.first(0x0D, in: line).map({ position + $0 }) {
                    if carriageReturn + 1 == end {
                        self.keep(bytes, run, carriageReturn)
                        run = end
                        position = end
                        self.state = .lineCR
                    } else if carriageReturn + 1 == lineFeed {
                        position = lineFeed + 1
                        self.state = .lineStart
                    } else {
                        self.hasBareLineEnd = true
                        position = carriageReturn + 1
                    }
                } else if lineFeed < end {
                    self.hasBareLineEnd = true
                    position = lineFeed + 1
                } else {
                    position = end
                }
            }
        }
        self.keep(bytes, run, end)
        return (end, false)
    }

    private mutating func keepBareCR() {
        self.hasBareLineEnd = true
        self.append(0x0D)
    }

    private mutating func append(_ byte: UInt8) {
        guard self.content.count < self.limit else {
            self.isTooLarge = true
            return
        }
        self.content.append(byte)
    }

    @inline(__always)
    private mutating func keep(_ bytes: UnsafeRawBufferPointer, _ from: Int, _ to: Int) {
        guard from < to else { return }
        guard self.content.count + (to - from) <= self.limit else {
            self.isTooLarge = true
            return
        }
        self.content.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[from..<to]))
    }
}
