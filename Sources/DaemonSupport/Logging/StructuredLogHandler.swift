// SPDX-License-Identifier: Apache-2.0

public import Logging

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes log events as lines of named values: time, level, logger, message, then the metadata in the order of its names.
public struct StructuredLogHandler: LogHandler {
    /// Values written with every event of this logger.
    public var metadata: Logger.Metadata = [:]
    /// Gives values that belong to the current task.
    public var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let output: LogOutput
    private var ownLevel: Logger.Level?

    /// Makes the handler of one logger.
    public init(label: String, output: LogOutput, metadataProvider: Logger.MetadataProvider?) {
        self.label = label
        self.output = output
        self.metadataProvider = metadataProvider
    }

    /// The least severe level that this logger writes: the output's until it is set.
    public var logLevel: Logger.Level {
        get { self.ownLevel ?? self.output.level }
        set { self.ownLevel = newValue }
    }

    /// One of the values written with every event.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    /// Writes an event.
    public func log(event: LogEvent) {
        var values = self.metadata
        if let provided = self.metadataProvider?.get() {
            values.merge(provided) { _, new in new }
        }
        if let given = event.metadata {
            values.merge(given) { _, new in new }
        }
        if let error = event.error, values["error"] == nil {
            values["error"] = "\(error)"
        }
        var line = LogLine(format: self.output.format)
        line.append("time", LogTime.now())
        line.append("level", event.level.rawValue)
        line.append("logger", self.label)
        line.append("message", "\(event.message)")
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            line.append(LogLine.reserved.contains(key) ? key + "_" : key, value)
        }
        self.output.write(line.finished())
    }
}

/// One line in the making.
struct LogLine {
    static let reserved: Set<String> = ["time", "level", "logger", "message"]

    private let format: LogFormat
    private var bytes: [UInt8] = []

    init(format: LogFormat) {
        self.format = format
        if format == .json { self.bytes.append(UInt8(ascii: "{")) }
    }

    mutating func append(_ key: String, _ text: String) {
        self.key(key)
        self.text(text)
    }

    mutating func append(_ key: String, _ value: Logger.Metadata.Value) {
        self.key(key)
        switch self.format {
        case .logfmt: self.text(Self.flat(value))
        case .json: self.json(value)
        }
    }

    func finished() -> [UInt8] {
        self.bytes + (self.format == .json ? [UInt8(ascii: "}"), 0x0A] : [0x0A])
    }

    private mutating func key(_ key: String) {
        switch self.format {
        case .logfmt:
            if !self.bytes.isEmpty { self.bytes.append(0x20) }
            self.bytes.append(contentsOf: key.utf8.map { Self.isPlain($0) ? $0 : UInt8(ascii: "_") })
            self.bytes.append(UInt8(ascii: "="))
        case .json:
            if self.bytes.count > 1 { self.bytes.append(UInt8(ascii: ",")) }
            self.quoted(key)
            self.bytes.append(UInt8(ascii: ":"))
        }
    }

    private mutating func text(_ text: String) {
        if self.format == .logfmt, !text.isEmpty, text.utf8.allSatisfy(Self.isPlain) {
            self.bytes.append(contentsOf: text.utf8)
        } else {
            self.quoted(text)
        }
    }

    private mutating func json(_ value: Logger.Metadata.Value) {
        switch value {
        case .string(let text): self.quoted(text)
        case .stringConvertible(let value): self.quoted("\(value)")
        case .array(let items):
            self.bytes.append(UInt8(ascii: "["))
            for (index, item) in items.enumerated() {
                if index > 0 { self.bytes.append(UInt8(ascii: ",")) }
                self.json(item)
            }
            self.bytes.append(UInt8(ascii: "]"))
        case .dictionary(let members):
            self.bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { self.bytes.append(UInt8(ascii: ",")) }
                self.quoted(member.key)
                self.bytes.append(UInt8(ascii: ":"))
                self.json(member.value)
            }
            self.bytes.append(UInt8(ascii: "}"))
        }
    }

    /// Appends a text in quotes, so that nothing in it can look like the end of the value or of the line.
    private mutating func quoted(_ text: String) {
        self.bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): self.bytes.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case 0x0A: self.bytes.append(contentsOf: "\\n".utf8)
            case 0x0D: self.bytes.append(contentsOf: "\\r".utf8)
            case 0x09: self.bytes.append(contentsOf: "\\t".utf8)
            case ..<0x20, 0x7F:
                let digits = Array("0123456789abcdef".utf8)
                self.bytes.append(contentsOf: "\\u00".utf8)
                self.bytes.append(contentsOf: [digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            default: self.bytes.append(byte)
            }
        }
        self.bytes.append(UInt8(ascii: "\""))
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
            && byte != UInt8(ascii: "\\")
    }

    private static func flat(_ value: Logger.Metadata.Value) -> String {
        switch value {
        case .string(let text): text
        case .stringConvertible(let value): "\(value)"
        case .array(let items): "[" + items.map(Self.flat).joined(separator: ",") + "]"
        case .dictionary(let members):
            "{"
                + members.sorted { $0.key < $1.key }.map { "\($0.key):\(Self.flat($0.value))" }.joined(separator: ",")
                + "}"
        }
    }
}

/// The time of a log line.
private enum LogTime {
    /// UTC with milliseconds, `2026-11-23T05:40:00.123Z`.
    static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        gmtime_r(&time.tv_sec, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let milliseconds = time.tv_nsec / 1_000_000
        let padding = milliseconds < 10 ? "00" : milliseconds < 100 ? "0" : ""
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(padding)\(milliseconds)Z"
    }
}
