// SPDX-License-Identifier: Apache-2.0

import MailFormat

/// A message's body as it is compiled: bytes that are the same for everybody with the rendered parts between them.
struct Skeleton: Sendable {
    /// A piece of the body.
    enum Piece: Sendable {
        case bytes([UInt8])
        case leaf(Leaf)
    }

    /// A text that is rendered per recipient.
    struct Leaf: Sendable {
        var program: Program
        var mode: Renderer.Mode
        /// How errors name it, such as `text/html`.
        var name: String
        /// The template's size, which the output may exceed by the budget.
        var size: Int
        /// Whether text that every recipient gets cannot be sent as 7bit.
        var needsEncoding: Bool
        /// Whether the template ended with a line end, which Jinja2 drops and mail wants back.
        var endsWithNewline: Bool
        /// Whether the open pixel is appended.
        var hasPixel: Bool
        /// Its header fields without the transfer encoding.
        var fields: [UInt8]
    }

    /// The outermost entity's `Content-…` fields; those of a leaf are its own.
    var fields: [UInt8] = []
    var pieces: [Piece] = []
    /// The last delimiter of a `multipart/mixed`, before which attachments go; else empty.
    var closing: [UInt8] = []
    /// The outermost entity's boundary if it is `multipart/mixed`.
    var mixedBoundary: String?
    /// Boundaries that a rendered text must not imitate.
    var boundaries: [[UInt8]] = []
}
