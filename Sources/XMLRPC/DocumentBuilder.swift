// SPDX-License-Identifier: Apache-2.0

/// Puts tags and text together into a request or a response, refusing whatever the protocol does not have.
///
/// Open elements are a stack; finished values wait on a second one until their array, struct or parameter list ends, so
/// that a value costs no allocation of its own.
struct DocumentBuilder: Sendable {
    /// What the document must be.
    enum Kind: Sendable {
        case request, response
    }

    private enum Element: String, Sendable, CaseIterable {
        // The most frequent first: look-up is linear.
        case value, string, member, name, structure = "struct", int, boolean, double, array, data, i4, base64
        case dateTime = "dateTime.iso8601"
        case `nil`, extensionNil = "ex:nil", i8, extensionI8 = "ex:i8", i1, extensionI1 = "ex:i1", i2
        case extensionI2 = "ex:i2"
        case param, params, methodName, methodCall, methodResponse, fault

        var isScalar: Bool {
            switch self {
            case .string, .int, .i4, .boolean, .double, .base64, .dateTime, .nil, .extensionNil, .i8, .extensionI8, .i1,
                .extensionI1, .i2, .extensionI2:
                true
            default: false
            }
        }

        var isNested: Bool { self == .array || self == .structure }

        var takesText: Bool { self == .value || self == .name || self == .methodName || self.isScalar }
    }

    /// A name of up to 16 bytes, all that the protocol has, as a number that is quickly compared.
    private struct PackedName: Equatable, Sendable {
        private var high: UInt64 = 0
        private var low: UInt64 = 0

        init?(_ name: some Collection<UInt8>) {
            guard name.count <= 16 else { return nil }
            for byte in name {
                self.high = self.high << 8 | self.low >> 56
                self.low = self.low << 8 | UInt64(byte)
            }
        }
    }

    private static let elements: [(name: PackedName, element: Element)] = Element.allCases.compactMap { element in
        PackedName(element.rawValue.utf8).map { ($0, element) }
    }

    private struct Frame {
        let element: Element
        let name: PackedName
        /// Values and names finished before this element.
        let values: Int
        let names: Int
        /// Whether the one child that the element may have is there.
        var isFilled = false
    }

    let limits: XMLRPCLimits
    private let kind: Kind
    private let elements = Self.elements
    private var stack: [Frame] = []
    private var values: [XMLRPCValue] = []
    private var names: [String] = []
    private var buffer: [UInt8] = []
    private var takesText = false
    private var nodes = 0
    private var depth = 0
    private var method: String?
    private var isFault = false
    private var isComplete = false

    init(kind: Kind, limits: XMLRPCLimits) {
        self.kind = kind
        self.limits = limits
    }

    // MARK: Results

    func call() throws(XMLRPCError) -> XMLRPCCall {
        guard self.isComplete, let method = self.method else { throw Self.incomplete }
        return XMLRPCCall(method: method, parameters: self.values)
    }

    func response() throws(XMLRPCError) -> XMLRPCResponse {
        guard self.isComplete, let value = self.values.first else { throw Self.incomplete }
        guard self.isFault else { return .success(value) }
        guard
            case .structure(let members) = value, case .int(let code)? = members["faultCode"],
            case .string(let message)? = members["faultString"]
        else { throw XMLRPCError(.badValue, "a <fault> holds no faultCode and faultString") }
        return .fault(code: code, message: message)
    }

    private static var incomplete: XMLRPCError { XMLRPCError(.incomplete, "the document ends too early") }

    // MARK: Text

    mutating func text(_ run: Span<UInt8>) throws(XMLRPCError) {
        guard self.takesText else {
            for index in 0..<run.count where !run[index].isXMLSpace {
                throw self.misplacedText
            }
            return
        }
        try self.reserve(run.count)
        run.withUnsafeBufferPointer { self.buffer.append(contentsOf: $0) }
    }

    mutating func byte(_ byte: UInt8) throws(XMLRPCError) {
        guard self.takesText else {
            guard byte.isXMLSpace else { throw self.misplacedText }
            return
        }
        try self.reserve(1)
        self.buffer.append(byte)
    }

    mutating func character(_ value: UInt32) throws(XMLRPCError) {
        if value < 0x80 {
            try self.byte(UInt8(value))
        } else if let encoded = Unicode.Scalar(value).flatMap(UTF8.encode) {
            for byte in encoded {
                try self.byte(byte)
            }
        }
    }

    private func reserve(_ count: Int) throws(XMLRPCError) {
        guard count <= self.limits.textBytes - self.buffer.count else {
            throw XMLRPCError(.tooLarge, "a text exceeds \(self.limits.textBytes) bytes")
        }
    }

    private var misplacedText: XMLRPCError {
        guard let element = self.stack.last?.element else {
            return XMLRPCError(.notWellFormed, "text outside the document's element")
        }
        return XMLRPCError(.unexpectedElement, "text where <\(element.rawValue)> has none")
    }

    // MARK: Elements

    mutating func start(_ name: [UInt8]) throws(XMLRPCError) {
        self.nodes += 1
        guard self.nodes <= self.limits.nodes else {
            throw XMLRPCError(.tooManyNodes, "document exceeds \(self.limits.nodes) elements")
        }
        guard let (packed, element) = self.element(name), self.allows(element) else {
            let text = String(decoding: name, as: UTF8.self)
            let parent = self.stack.last.map { "in <\($0.element.rawValue)>" } ?? "as the document's element"
            throw XMLRPCError(.unexpectedElement, "unexpected <\(text)> \(parent)")
        }
        if element.isNested {
            self.depth += 1
            guard self.depth <= self.limits.depth else {
                throw XMLRPCError(.tooDeep, "arrays and structs are nested deeper than \(self.limits.depth)")
            }
        }
        if !self.buffer.isEmpty {
            guard self.buffer.allSatisfy(\.isXMLSpace) else { throw self.misplacedText }
            self.buffer.removeAll(keepingCapacity: true)
        }
        self.stack.append(
            Frame(element: element, name: packed, values: self.values.count, names: self.names.count)
        )
        self.takesText = element.takesText
    }

    private func element(_ name: [UInt8]) -> (name: PackedName, element: Element)? {
        guard let packed = PackedName(name) else { return nil }
        for known in self.elements where known.name == packed {
            return known
        }
        return nil
    }

    /// Whether the innermost open element may have this child now.
    private func allows(_ child: Element) -> Bool {
        guard let parent = self.stack.last else {
            return !self.isComplete && child == (self.kind == .request ? .methodCall : .methodResponse)
        }
        switch parent.element {
        case .methodCall:
            return self.method == nil ? child == .methodName : child == .params && !parent.isFilled
        case .methodResponse: return (child == .params || child == .fault) && !parent.isFilled
        case .params: return child == .param && !(self.kind == .response && parent.isFilled)
        case .param, .fault: return child == .value && !parent.isFilled
        case .value: return (child.isScalar || child.isNested) && !parent.isFilled
        case .array: return child == .data && !parent.isFilled
        case .data: return child == .value
        case .structure: return child == .member
        case .member:
            return child == .name ? self.names.count == parent.names : child == .value && !parent.isFilled
        default: return false
        }
    }

    mutating func end(_ name: [UInt8]) throws(XMLRPCError) {
        guard let frame = self.stack.last, PackedName(name) == frame.name else {
            let open = self.stack.last.map { "<\($0.element.rawValue)> is open" } ?? "no element is open"
            throw XMLRPCError(.notWellFormed, "unexpected </\(String(decoding: name, as: UTF8.self))>: \(open)")
        }
        try self.finish(frame)
        self.stack.removeLast()
        self.takesText = false
        if !self.buffer.isEmpty {
            self.buffer.removeAll(keepingCapacity: true)
        }
        guard !self.stack.isEmpty else {
            self.isComplete = true
            return
        }
        if frame.element != .name, frame.element != .methodName {
            self.stack[self.stack.count - 1].isFilled = true
        }
    }

    private mutating func finish(_ frame: Frame) throws(XMLRPCError) {
        switch frame.element {
        case .value:
            if !frame.isFilled {
                self.values.append(.string(try self.string()))
            }
        case .data, .params:
            break
        case .array:
            let elements = Array(self.values[frame.values...])
            self.values.removeSubrange(frame.values...)
            self.values.append(.array(elements))
            self.depth -= 1
        case .structure:
            self.finishStructure(frame)
        case .member:
            guard frame.isFilled, self.names.count > frame.names else {
                throw XMLRPCError(.unexpectedElement, "a <member> lacks its <name> or <value>")
            }
        case .name:
            self.names.append(try self.string())
        case .methodName:
            self.method = try self.methodName()
        case .methodCall:
            guard self.method != nil else { throw XMLRPCError(.unexpectedElement, "<methodCall> has no <methodName>") }
        case .methodResponse, .param, .fault:
            guard frame.isFilled, !self.values.isEmpty else {
                throw XMLRPCError(.unexpectedElement, "<\(frame.element.rawValue)> is empty")
            }
            self.isFault = self.isFault || frame.element == .fault
        default:
            self.values.append(try self.scalar(frame.element))
        }
    }

    private mutating func finishStructure(_ frame: Frame) {
        var members: [XMLRPCStructure.Member] = []
        members.reserveCapacity(self.names.count - frame.names)
        for index in frame.names..<self.names.count {
            members.append(
                XMLRPCStructure.Member(
                    name: self.names[index],
                    value: self.values[frame.values + index - frame.names]
                )
            )
        }
        self.names.removeSubrange(frame.names...)
        self.values.removeSubrange(frame.values...)
        self.values.append(.structure(XMLRPCStructure(members)))
        self.depth -= 1
    }

    // MARK: Scalars

    private func scalar(_ element: Element) throws(XMLRPCError) -> XMLRPCValue {
        switch element {
        case .string:
            return .string(try self.string())
        case .nil, .extensionNil:
            if self.trimmed.isEmpty { return .nil }
        case .i8, .extensionI8:
            if let number = self.integer { return .i8(number) }
        case .int, .i4, .i1, .extensionI1, .i2, .extensionI2:
            if let number = self.integer { return Int32(exactly: number).map { .int(Int($0)) } ?? .i8(number) }
        case .boolean:
            switch self.trimmedText {
            case "1", "true": return .bool(true)
            case "0", "false": return .bool(false)
            default: break
            }
        case .double:
            if let number = self.floatingPoint { return .double(number) }
        case .dateTime:
            if let date = XMLRPCDateTime(parsing: self.buffer) { return .dateTime(date) }
        case .base64:
            if let bytes = Base64Text.decode(self.buffer) { return .base64(bytes) }
        default:
            break
        }
        let shown = String(decoding: self.buffer.prefix(40), as: UTF8.self)
        throw XMLRPCError(.badValue, "<\(element.rawValue)> cannot be '\(shown)'")
    }

    private var trimmed: ArraySlice<UInt8> {
        var slice = self.buffer[...]
        while let first = slice.first, first.isXMLSpace { slice.removeFirst() }
        while let last = slice.last, last.isXMLSpace { slice.removeLast() }
        return slice
    }

    private var trimmedText: String { String(decoding: self.trimmed, as: UTF8.self) }

    private var integer: Int64? {
        let digits = self.trimmed
        guard digits.count <= 40 else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }

    /// The number, also the forms that Python writes for values outside the decimal notation.
    private var floatingPoint: Double? {
        let text = self.trimmedText
        switch text {
        case "nan", "inf", "-inf": return Double(text)
        default:
            // The longest exact decimal expansion of a double has 1,077 characters.
            guard text.utf8.count <= 1_100, text.utf8.allSatisfy({ Self.decimalBytes.contains($0) }) else { return nil }
            return Double(text)
        }
    }

    private static let decimalBytes: [UInt8] = Array("0123456789+-.eE".utf8)

    private func string() throws(XMLRPCError) -> String {
        guard let string = String(validating: self.buffer, as: UTF8.self) else {
            throw XMLRPCError(.invalidText, "a text is not valid UTF-8")
        }
        return string
    }

    private func methodName() throws(XMLRPCError) -> String {
        let name = self.trimmedText
        guard !name.isEmpty, name.utf8.count <= 255, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw XMLRPCError(.badValue, "<methodName> names no procedure")
        }
        return name
    }
}
