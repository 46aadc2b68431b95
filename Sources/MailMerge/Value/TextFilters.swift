// SPDX-License-Identifier: Apache-2.0

/// The text operations behind filters and methods.
enum TextFilters {
    /// The first character in title case, the others in lower case.
    static func capitalized(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        guard let first = UTF8Text.scalar(bytes, at: bytes.startIndex) else { return Array(bytes) }
        var result = Array(first.value.properties.titlecaseMapping.utf8)
        result.append(contentsOf: UTF8Text.lowercased(bytes.dropFirst(first.length)))
        return result
    }

    /// Jinja2's `title`: a word begins at the start and after white space, `-`, `(`, `{`, `[` and `<`.
    static func titled(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var isStart = true
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "-", "(", "{", "[", "<":
                result.append(contentsOf: Character(scalar).utf8)
                isStart = true
            case _ where Spaces.contains(scalar):
                result.append(contentsOf: Character(scalar).utf8)
                isStart = true
            default:
                let properties = scalar.properties
                result.append(contentsOf: (isStart ? properties.uppercaseMapping : properties.lowercaseMapping).utf8)
                isStart = false
            }
        }
        return result
    }

    /// Python's `str.title`: a word begins at every letter that follows none.
    static func pythonTitled(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var isInside = false
        return UTF8Text.map(bytes) { scalar in
            let properties = scalar.properties
            let mapped = isInside ? properties.lowercaseMapping : properties.titlecaseMapping
            isInside = properties.isCased
            return mapped
        }
    }

    /// The text without white space, or without the given characters, around it.
    static func trimmed(
        _ bytes: ArraySlice<UInt8>,
        _ characters: ArraySlice<UInt8>?,
        atStart: Bool = true,
        atEnd: Bool = true
    ) -> ArraySlice<UInt8> {
        let set = characters.map { Set(String(decoding: $0, as: UTF8.self).unicodeScalars) }
        func isCut(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? Spaces.contains(scalar) }
        var rest = bytes
        while atStart, let first = UTF8Text.scalar(rest, at: rest.startIndex), isCut(first.value) {
            rest = rest.dropFirst(first.length)
        }
        while atEnd, !rest.isEmpty {
            var position = rest.endIndex - 1
            while position > rest.startIndex, rest[position] & 0xC0 == 0x80 { position -= 1 }
            guard let last = UTF8Text.scalar(rest, at: position), isCut(last.value) else { break }
            rest = rest[..<position]
        }
        return rest
    }

    /// The text with the first `limit` occurrences replaced; stops once it is longer than `bound`.
    static func replaced(
        _ bytes: ArraySlice<UInt8>,
        _ old: ArraySlice<UInt8>,
        _ new: ArraySlice<UInt8>,
        limit: Int,
        bound: Int
    ) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var left = limit
        if old.isEmpty {
            let positions = UTF8Text.boundaries(bytes)
            for (index, position) in positions.enumerated() {
                if left > 0, result.count <= bound { result.append(contentsOf: new) }
                left -= 1
                if index + 1 < positions.count { result.append(contentsOf: bytes[position..<positions[index + 1]]) }
            }
            return result
        }
        var position = bytes.startIndex
        while left > 0, result.count <= bound, let found = Operations.find(old, in: bytes, from: position) {
            result.append(contentsOf: bytes[position..<found])
            result.append(contentsOf: new)
            position = found + old.count
            left -= 1
        }
        result.append(contentsOf: bytes[position...])
        return result
    }

    /// The parts between separators, or between runs of white space.
    static func split(
        _ bytes: ArraySlice<UInt8>,
        _ separator: ArraySlice<UInt8>?,
        limit: Int
    ) -> [ArraySlice<UInt8>] {
        var parts: [ArraySlice<UInt8>] = []
        if let separator {
            var position = bytes.startIndex
            while parts.count < limit, let found = Operations.find(separator, in: bytes, from: position) {
                parts.append(bytes[position..<found])
                position = found + separator.count
            }
            parts.append(bytes[position...])
            return parts
        }
        var rest = Self.trimmed(bytes, nil, atEnd: false)
        while !rest.isEmpty {
            guard parts.count < limit else {
                parts.append(Self.trimmed(rest, nil))
                break
            }
            var end = rest.startIndex
            while let scalar = UTF8Text.scalar(rest, at: end), !Spaces.contains(scalar.value) { end += scalar.length }
            if end == rest.startIndex { end += 1 }
            parts.append(rest[..<end])
            rest = Self.trimmed(rest[end...], nil, atEnd: false)
        }
        return parts
    }

    /// How many runs of letters, digits and underscores there are.
    static func wordCount(_ bytes: ArraySlice<UInt8>) -> Int {
        var count = 0
        var isInside = false
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            let isWord = Self.isWord(scalar)
            if isWord, !isInside { count += 1 }
            isInside = isWord
        }
        return count
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == "_" { return true }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber:
            return true
        default: return false
        }
    }

    /// Python's `str.isupper` and `str.islower`.
    static func hasCase(_ bytes: ArraySlice<UInt8>, upper: Bool) -> Bool {
        var found = false
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            let properties = scalar.properties
            if upper ? properties.isLowercase : properties.isUppercase { return false }
            if properties.generalCategory == .titlecaseLetter { return false }
            if upper ? properties.isUppercase : properties.isLowercase { found = true }
        }
        return found
    }
}
