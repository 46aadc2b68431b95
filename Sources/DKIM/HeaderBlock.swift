// SPDX-License-Identifier: Apache-2.0

/// Where the fields of a header are.
struct HeaderBlock {
    /// A field's range, without its final CRLF.
    struct Field {
        let range: Range<Int>
        /// The colon's position, counted from the field's first byte.
        let colon: Int
        /// The bytes of the name without white space before the colon.
        let nameCount: Int
    }

    private(set) var fields: [Field] = []

    /// Finds the fields of a header; lines without a colon are skipped.
    init(_ header: UnsafeBufferPointer<UInt8>) {
        self.fields.reserveCapacity(32)
        var start = 0
        while start < header.count {
            var colon: Int?
            var index = start
            var end = header.count
            while index < header.count {
                let byte = header[index]
                if byte == 0x3A, colon == nil {
                    colon = index - start
                } else if byte == 0x0D, index + 1 < header.count, header[index + 1] == 0x0A {
                    let next = index + 2
                    if next == header.count || (header[next] != 0x20 && header[next] != 0x09) {
                        end = index
                        break
                    }
                    index += 1
                }
                index += 1
            }
            if let colon {
                var nameCount = colon
                while nameCount > 0, header[start + nameCount - 1] == 0x20 || header[start + nameCount - 1] == 0x09 {
                    nameCount -= 1
                }
                self.fields.append(Field(range: start..<end, colon: colon, nameCount: nameCount))
            }
            start = end + 2
        }
    }

    /// Whether a field has a name given in lower case.
    @inline(__always)
    static func isNamed(_ lowerName: [UInt8], _ field: Field, in header: UnsafeBufferPointer<UInt8>) -> Bool {
        guard field.nameCount == lowerName.count else { return false }
        for index in 0..<lowerName.count {
            let byte = header[field.range.lowerBound + index]
            guard (byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte) == lowerName[index] else { return false }
        }
        return true
    }
}
