// SPDX-License-Identifier: Apache-2.0

import Crypto

/// A message as a verifier sees it: its fields' positions and where the body begins.
struct ParsedMessage {
    private static let signatureName = Array("dkim-signature".utf8)

    private let message: [UInt8]
    private let bodyStart: Int
    private let block: HeaderBlock
    /// The indices, among the fields, of those that are signatures.
    let signatureFields: [Int]

    init(_ message: [UInt8]) {
        let (headerEnd, bodyStart) = Self.split(message)
        self.message = message
        self.bodyStart = bodyStart
        let (block, signatures) = message.withUnsafeBufferPointer { bytes in
            let header = UnsafeBufferPointer(rebasing: bytes[..<headerEnd])
            let block = HeaderBlock(header)
            let signatures = block.fields.indices.filter {
                HeaderBlock.isNamed(Self.signatureName, block.fields[$0], in: header)
            }
            return (block, signatures)
        }
        self.block = block
        self.signatureFields = signatures
    }

    /// The bytes after a field's colon.
    func value(of index: Int) -> [UInt8] {
        let field = self.block.fields[index]
        return Array(self.message[(field.range.lowerBound + field.colon + 1)..<field.range.upperBound])
    }

    /// The hash of the body as a signature has it made; `nil` if the body is too short for its length.
    func bodyHash(_ signature: DKIMSignature) -> [UInt8]? {
        var body = self.message.withUnsafeBufferPointer {
            signature.body.body(UnsafeBufferPointer(rebasing: $0[self.bodyStart...]))
        }
        if let length = signature.bodyLength {
            guard length <= body.count else { return nil }
            body.removeLast(body.count - length)
        }
        return Array(SHA256.hash(data: body))
    }

    /// The digest over the signed fields and the signature itself without its value.
    func headerDigest(_ signature: DKIMSignature, at index: Int) -> SHA256.Digest {
        var canonical: [UInt8] = []
        self.message.withUnsafeBufferPointer { bytes in
            var used = Set<Int>()
            for name in signature.signedFields {
                let lower = Array(name.utf8)
                // The last of several comes first, and a name without a further field stands for nothing.
                let found = self.block.fields.indices.last {
                    !used.contains($0) && HeaderBlock.isNamed(lower, self.block.fields[$0], in: bytes)
                }
                guard let found else { continue }
                used.insert(found)
                let field = self.block.fields[found]
                let own = UnsafeBufferPointer(rebasing: bytes[field.range])
                signature.header.appendField(own, colon: field.colon, to: &canonical)
                canonical.append(contentsOf: [0x0D, 0x0A])
            }
        }
        let field = self.block.fields[index]
        var own = Array(self.message[field.range])
        let valueStart = field.colon + 1
        own.removeSubrange(
            (valueStart + signature.signatureRange.lowerBound)..<(valueStart + signature.signatureRange.upperBound)
        )
        own.withUnsafeBufferPointer { signature.header.appendField($0, colon: field.colon, to: &canonical) }
        return SHA256.hash(data: canonical)
    }

    /// The end of the header with the CRLF of its last line, and the beginning of the body.
    private static func split(_ message: [UInt8]) -> (headerEnd: Int, bodyStart: Int) {
        if message.starts(with: [0x0D, 0x0A]) { return (0, 2) }
        var index = 0
        while index + 3 < message.count {
            if message[index] == 0x0D, message[index + 1] == 0x0A, message[index + 2] == 0x0D,
                message[index + 3] == 0x0A
            {
                return (index + 2, index + 4)
            }
            index += 1
        }
        return (message.count, message.count)
    }
}
