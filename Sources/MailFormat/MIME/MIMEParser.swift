// SPDX-License-Identifier: Apache-2.0

/// Takes a message apart without recursion deeper than its limit and without copying more than the leaves.
struct MIMEParser {
    private let limits: MIMELimits
    private var parts = 0

    init(limits: MIMELimits) {
        self.limits = limits
    }

    mutating func entity(
        _ bytes: ArraySlice<UInt8>,
        depth: Int
    ) throws(MIMEError) -> MIMEEntity {
        guard depth <= self.limits.depth else { throw .tooDeep(limit: self.limits.depth) }
        self.parts += 1
        guard self.parts <= self.limits.parts else { throw .tooManyParts(limit: self.limits.parts) }
        let (headers, bodyStart) = try self.header(bytes)
        let content = bytes[bodyStart...]
        let field = headers.first { $0.isNamed("Content-Type") }
        let type = field.flatMap { ContentType(parsing: $0.unfolded) } ?? .plainText
        guard type.isMultipart, let boundary = type.parameter("boundary"), (1...200).contains(boundary.utf8.count),
            let split = self.split(content, boundary: Array(boundary.utf8))
        else { return MIMEEntity(headers: headers, body: .leaf(Array(content)), original: bytes) }
        var parts: [MIMEEntity] = []
        for part in split.parts {
            parts.append(try self.entity(part, depth: depth + 1))
        }
        let body = MIMEEntity.Body.multipart(
            boundary: boundary,
            parts: parts,
            preamble: Array(split.preamble),
            epilogue: Array(split.epilogue)
        )
        return MIMEEntity(headers: headers, body: body, original: bytes)
    }

    /// The fields and the position where the body begins.
    private func header(_ bytes: ArraySlice<UInt8>) throws(MIMEError) -> ([HeaderField], Int) {
        var fields: [HeaderField] = []
        var position = bytes.startIndex
        while position < bytes.endIndex {
            var line = Line(in: bytes, from: position)
            if line.content.isEmpty { return (fields, line.next) }
            let start = position
            while line.next < bytes.endIndex, ASCIIText.isSpace(bytes[line.next]) {
                line = Line(in: bytes, from: line.next)
            }
            position = line.next
            let whole = bytes[start..<line.content.endIndex]
            guard let colon = whole.firstIndex(of: 0x3A) else { continue }
            var name = whole[..<colon]
            while let last = name.last, ASCIIText.isSpace(last) { name.removeLast() }
            guard !name.isEmpty, name.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { continue }
            guard fields.count < self.limits.fields else { throw .tooManyFields(limit: self.limits.fields) }
            fields.append(
                HeaderField(name: String(decoding: name, as: UTF8.self), value: Array(whole[(colon + 1)...]))
            )
        }
        return (fields, bytes.endIndex)
    }

    private struct Split {
        var preamble: ArraySlice<UInt8>
        var parts: [ArraySlice<UInt8>] = []
        var epilogue: ArraySlice<UInt8>
    }

    /// The pieces between boundary lines; `nil` if there is no such line.
    private func split(_ bytes: ArraySlice<UInt8>, boundary: [UInt8]) -> Split? {
        var split = Split(preamble: bytes.prefix(0), epilogue: bytes.suffix(0))
        var start: Int?
        var position = bytes.startIndex
        var previousEnd = bytes.startIndex
        while position < bytes.endIndex {
            let line = Line(in: bytes, from: position)
            if let isLast = self.isDelimiter(line.content, boundary) {
                if let start {
                    split.parts.append(bytes[start..<max(start, previousEnd)])
                } else {
                    split.preamble = bytes[bytes.startIndex..<previousEnd]
                }
                start = line.next
                if isLast {
                    split.epilogue = bytes[line.next...]
                    return split
                }
                // One part more than the limit is enough for the limit to speak.
                if split.parts.count > self.limits.parts { return split }
            }
            previousEnd = line.content.endIndex
            position = line.next
        }
        guard let start else { return nil }
        split.parts.append(bytes[start...])
        return split
    }

    /// Whether a line is a boundary, and then whether it is the last one.
    private func isDelimiter(_ line: ArraySlice<UInt8>, _ boundary: [UInt8]) -> Bool? {
        guard line.count >= boundary.count + 2, line.first == 0x2D, line.dropFirst().first == 0x2D,
            line.dropFirst(2).starts(with: boundary)
        else { return nil }
        var rest = line.dropFirst(2 + boundary.count)
        let isLast = rest.starts(with: [0x2D, 0x2D])
        if isLast { rest = rest.dropFirst(2) }
        return rest.allSatisfy { ASCIIText.isSpace($0) } ? isLast : nil
    }

    /// A line, ended by LF or CRLF or the end.
    private struct Line {
        let content: ArraySlice<UInt8>
        let next: Int

        init(in bytes: ArraySlice<UInt8>, from start: Int) {
            let rest = bytes[start...]
            guard let end = rest.firstIndex(of: 0x0A) else {
                self.content = rest
                self.next = bytes.endIndex
                return
            }
            let isPair = end > start && bytes[end - 1] == 0x0D
            self.content = bytes[start..<(isPair ? end - 1 : end)]
            self.next = end + 1
        }
    }
}
