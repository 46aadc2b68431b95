// SPDX-License-Identifier: Apache-2.0

/// The tags of a signature or of a key record.
///
/// - Note: RFC 6376 §3.2.
struct TagList {
    /// Why bytes are not a list of tags, in one line.
    struct Fault: Error {
        let reason: String

        init(_ reason: String) {
            self.reason = reason
        }
    }

    private static let tagLimit = 64

    private var tags: [(name: String, value: String)] = []
    /// The position of the value of `b=`, for its removal.
    private(set) var signatureRange: Range<Int>?

    init(_ bytes: some RandomAccessCollection<UInt8>) throws(Fault) {
        let bytes = Array(bytes)
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x3B) ?? bytes.count
            try self.add(bytes[start..<end])
            start = end + 1
        }
    }

    /// The value of a tag without white space around it.
    subscript(_ name: String) -> String? {
        self.tags.first { $0.name == name }?.value
    }

    /// The value of a tag without any white space within it.
    func joined(_ name: String) -> String? {
        self[name].map { String(decoding: $0.utf8.filter { !Self.isSpace($0) }, as: UTF8.self) }
    }

    /// The name of the first tag.
    var firstName: String? { self.tags.first?.name }

    private mutating func add(_ bytes: ArraySlice<UInt8>) throws(Fault) {
        let trimmed = Self.trimmed(bytes)
        guard !trimmed.isEmpty else { return }
        guard let equals = bytes.firstIndex(of: 0x3D) else { throw Fault("a tag has no value") }
        let name = String(decoding: Self.trimmed(bytes[..<equals]), as: UTF8.self)
        guard !name.isEmpty, name.utf8.allSatisfy({ Self.isName($0) }) else { throw Fault("a tag has no name") }
        guard self[name] == nil else { throw Fault("the tag \(name.prefix(16)) occurs twice") }
        guard self.tags.count < Self.tagLimit else { throw Fault("there are too many tags") }
        if name == "b" { self.signatureRange = (equals + 1)..<bytes.endIndex }
        self.tags.append((name, String(decoding: Self.trimmed(bytes[(equals + 1)...]), as: UTF8.self)))
    }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: true
        default: false
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var slice = bytes
        while let first = slice.first, self.isSpace(first) { slice.removeFirst() }
        while let last = slice.last, self.isSpace(last) { slice.removeLast() }
        return slice
    }
}
