// SPDX-License-Identifier: Apache-2.0

/// Reads a request from chunks of bytes as they arrive.
///
/// Every limit is applied while reading, so that a hostile document is refused before it has cost more than it is
/// allowed. After an error the parser stays in that error.
public struct XMLRPCRequestParser: Sendable {
    private var reader: DocumentReader

    /// Makes a parser for one request.
    public init(limits: XMLRPCLimits = XMLRPCLimits()) {
        self.reader = DocumentReader(kind: .request, limits: limits)
    }

    /// Reads the next bytes of the document.
    ///
    /// - Throws: What is wrong with the document so far; see ``XMLRPCError/Code``.
    public mutating func consume(_ chunk: Span<UInt8>) throws(XMLRPCError) {
        try self.reader.consume(chunk)
    }

    /// Reads the next bytes of the document.
    ///
    /// - Throws: What is wrong with the document so far; see ``XMLRPCError/Code``.
    public mutating func consume(_ chunk: [UInt8]) throws(XMLRPCError) {
        try self.reader.consume(chunk.span)
    }

    /// Ends the document and returns what it asks for.
    ///
    /// - Throws: `incomplete` if the document is not at its end, or the error that an earlier chunk met.
    public mutating func finish() throws(XMLRPCError) -> XMLRPCCall {
        try self.reader.finish()
        return try self.reader.builder.call()
    }

    /// Reads a request that is already whole.
    ///
    /// - Throws: What is wrong with the document; see ``XMLRPCError/Code``.
    public static func parse(
        _ document: [UInt8],
        limits: XMLRPCLimits = XMLRPCLimits()
    ) throws(XMLRPCError) -> XMLRPCCall {
        var parser = Self(limits: limits)
        try parser.consume(document)
        return try parser.finish()
    }
}

/// Reads a response from chunks of bytes as they arrive; the client's side of ``XMLRPCRequestParser``.
public struct XMLRPCResponseParser: Sendable {
    private var reader: DocumentReader

    /// Makes a parser for one response.
    public init(limits: XMLRPCLimits = XMLRPCLimits()) {
        self.reader = DocumentReader(kind: .response, limits: limits)
    }

    /// Reads the next bytes of the document.
    ///
    /// - Throws: What is wrong with the document so far; see ``XMLRPCError/Code``.
    public mutating func consume(_ chunk: Span<UInt8>) throws(XMLRPCError) {
        try self.reader.consume(chunk)
    }

    /// Reads the next bytes of the document.
    ///
    /// - Throws: What is wrong with the document so far; see ``XMLRPCError/Code``.
    public mutating func consume(_ chunk: [UInt8]) throws(XMLRPCError) {
        try self.reader.consume(chunk.span)
    }

    /// Ends the document and returns the answer.
    ///
    /// - Throws: `incomplete` if the document is not at its end, or the error that an earlier chunk met.
    public mutating func finish() throws(XMLRPCError) -> XMLRPCResponse {
        try self.reader.finish()
        return try self.reader.builder.response()
    }

    /// Reads a response that is already whole.
    ///
    /// - Throws: What is wrong with the document; see ``XMLRPCError/Code``.
    public static func parse(
        _ document: [UInt8],
        limits: XMLRPCLimits = XMLRPCLimits()
    ) throws(XMLRPCError) -> XMLRPCResponse {
        var parser = Self(limits: limits)
        try parser.consume(document)
        return try parser.finish()
    }
}

/// A scanner that remembers the error it met.
private struct DocumentReader: Sendable {
    private var scanner: XMLScanner
    private var failure: XMLRPCError?

    init(kind: DocumentBuilder.Kind, limits: XMLRPCLimits) {
        self.scanner = XMLScanner(builder: DocumentBuilder(kind: kind, limits: limits))
    }

    var builder: DocumentBuilder { self.scanner.builder }

    mutating func consume(_ chunk: Span<UInt8>) throws(XMLRPCError) {
        if let failure = self.failure { throw failure }
        do throws(XMLRPCError) {
            try self.scanner.scan(chunk)
        } catch {
            self.failure = error
            throw error
        }
    }

    func finish() throws(XMLRPCError) {
        if let failure = self.failure { throw failure }
        guard self.scanner.isBetweenTags else {
            var failure = XMLRPCError(.incomplete, "the document ends too early")
            failure.offset = self.scanner.consumed
            throw failure
        }
    }
}
