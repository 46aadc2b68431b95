// SPDX-License-Identifier: Apache-2.0

/// Finds what was probably meant by a mistyped name.
enum NearestName {
    /// The candidate with the smallest edit distance, or `nil` if none is near: a third of the name may differ.
    static func find(_ name: String, among candidates: some Sequence<String>) -> String? {
        let typed = Array(name.lowercased())
        let allowed = max(2, typed.count / 3)
        var best: (distance: Int, candidate: String)?
        for candidate in candidates.sorted() {
            let distance = self.distance(typed, Array(candidate.lowercased()))
            if distance <= allowed, distance < best?.distance ?? .max {
                best = (distance, candidate)
            }
        }
        return best?.candidate ?? self.sameLastPart(name, among: candidates)
    }

    /// An option whose last part is the name's last part, for one written in the wrong group.
    private static func sameLastPart(_ name: String, among candidates: some Sequence<String>) -> String? {
        guard let part = name.split(separator: ".").last?.lowercased() else { return nil }
        return candidates.sorted().first { $0.split(separator: ".").last?.lowercased() == part }
    }

    /// Insertions, deletions, replacements and swaps of neighbours that make one name from the other.
    static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            for column in right.indices {
                let replaced = previous[column] + (left[row] == right[column] ? 0 : 1)
                var cost = min(replaced, previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    cost = min(cost, beforePrevious[column - 1] + 1)
                }
                current.append(cost)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
