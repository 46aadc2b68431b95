// SPDX-License-Identifier: Apache-2.0

/// Random numbers that are the same in every run: SplitMix64 (Steele, Lea and Flood, 2014).
public struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// Begins a sequence that the seed determines.
    public init(seed: UInt64) { self.state = seed }

    /// The next number.
    public mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// One of several values.
    public mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: 0..<values.count, using: &self)]
    }

    /// The bytes with a few of them changed, removed, doubled or replaced by ones that parsers trip over.
    public mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        let hostile: [UInt8] = [
            0, 9, 10, 13, 0x20, 0x22, 0x28, 0x2D, 0x2E, 0x3A, 0x3B, 0x3C, 0x3D, 0x40, 0x5C, 0x80, 0xC3,
        ]
        var result = bytes
        for _ in 0..<Int.random(in: 1...4, using: &self) where !result.isEmpty {
            let position = Int.random(in: 0..<result.count, using: &self)
            switch Int.random(in: 0..<6, using: &self) {
            case 0: result[position] = UInt8.random(in: 0...255, using: &self)
            case 1: result[position] = self.pick(hostile)
            case 2: result.remove(at: position)
            case 3: result.insert(self.pick(hostile), at: position)
            case 4:
                let end = min(result.count, position + Int.random(in: 1...40, using: &self))
                result.insert(contentsOf: Array(result[position..<end]), at: position)
            default:
                result.removeSubrange(position..<min(result.count, position + Int.random(in: 1...20, using: &self)))
            }
        }
        return result
    }

    /// Text of words in several scripts.
    public mutating func text(words: ClosedRange<Int>) -> String {
        let letters = Array("abcXYZ019 .,;:!?=_\"\\()<>@-éüßñ日本語русский😀👩‍👩‍👧‍👦\u{301}")
        var result = ""
        for _ in 0..<Int.random(in: words, using: &self) {
            for _ in 0..<Int.random(in: 0...14, using: &self) { result.append(self.pick(letters)) }
            result.append(" ")
        }
        return result
    }
}
