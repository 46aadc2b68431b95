// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Writes numbers and texts compactly: LEB128 integers, texts with their length before them.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 0) { self.bytes.reserveCapacity(capacity) }

    mutating func byte(_ value: UInt8) { self.bytes.append(value) }

    mutating func unsigned(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            self.bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        self.bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func signed(_ value: Int64) { self.unsigned(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    mutating func text(_ value: String) {
        var value = value
        value.withUTF8 {
            self.unsigned(UInt64($0.count))
            self.bytes.append(contentsOf: $0)
        }
    }
}

/// Reads what ``ByteWriter`` wrote.
struct ByteReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { self.position == self.bytes.count }

    mutating func byte() throws -> UInt8 {
        guard self.position < self.bytes.count else { throw Self.damaged }
        defer { self.position += 1 }
        return self.bytes[self.position]
    }

    mutating func unsigned() throws -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try self.byte()
            guard shift < 64 else { throw Self.damaged }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
    }

    mutating func signed() throws -> Int64 {
        let value = try self.unsigned()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func int() throws -> Int { Int(truncatingIfNeeded: try self.unsigned()) }

    mutating func text() throws -> String {
        let count = try self.unsigned()
        guard count <= UInt64(self.bytes.count - self.position) else { throw Self.damaged }
        let end = self.position + Int(count)
        defer { self.position = end }
        return String(decoding: self.bytes[self.position..<end], as: UTF8.self)
    }

    private static var damaged: StoreError { StoreError(.corrupt, "a stored record ends too early") }
}

/// The stored numbers of stages; never change one.
enum StageCode {
    static func number(of stage: DeliveryStage) -> Int {
        switch stage {
        case .lookup: 0
        case .connect: 1
        case .greeting: 2
        case .hello: 3
        case .tls: 4
        case .mail: 5
        case .recipient: 6
        case .data: 7
        case .content: 8
        case .finalDot: 9
        case .render: 10
        case .master: 11
        }
    }

    private static let stages = DeliveryStage.allCases.sorted { Self.number(of: $0) < Self.number(of: $1) }

    static func stage(of number: Int) throws -> DeliveryStage {
        guard Self.stages.indices.contains(number) else {
            throw StoreError(.corrupt, "\(number) is not the number of a stage")
        }
        return Self.stages[number]
    }
}
