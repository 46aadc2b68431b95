// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import Logging
import Synchronization
import Testing

@Suite("Log lines")
struct LoggingTests {
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: [UInt8]) { self.lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
        var all: [String] { self.lines.withLock { $0 } }
    }

    private func output(_ format: LogFormat, _ level: Logger.Level = .info) -> (LogOutput, Lines) {
        let lines = Lines()
        return (LogOutput(format: format, level: level) { lines.add($0) }, lines)
    }

    private func withoutTime(_ line: String) -> String {
        line.replacingOccurrences(
            of: #"^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "#,
            with: "",
            options: .regularExpression
        )
    }

    @Test("logfmt names time, level, logger and message, then metadata in the order of its names")
    func logfmt() {
        let (output, lines) = self.output(.logfmt)
        var logger = output.logger(label: "store")
        logger[metadataKey: "satellite"] = "alpha"
        logger.info("mailing started", metadata: ["mailing": "7", "count": .stringConvertible(3)])
        #expect(
            lines.all.map(self.withoutTime)
                == ["level=info logger=store message=\"mailing started\" count=3 mailing=7 satellite=alpha\n"]
        )
    }

    @Test("nothing in a value can begin another value or line")
    func resistsInjection() {
        let (output, lines) = self.output(.logfmt)
        let logger = output.logger(label: "x")
        logger.info("a\nlevel=error", metadata: ["k e=y": "\" b=1\r\n\u{1B}[31m", "empty": "", "path": "C:\\x"])
        #expect(lines.all.count == 1)
        #expect(
            lines.all.map(self.withoutTime) == [
                #"level=info logger=x message="a\nlevel=error" empty="" k_e_y="\" b=1\r\n\u001b[31m" path="C:\\x""#
                    + "\n"
            ]
        )
    }

    @Test("JSON lines are objects that keep structure")
    func json() throws {
        let (output, lines) = self.output(.json)
        let logger = output.logger(label: "x")
        logger.warning("é \"q\"\n", metadata: ["list": ["1", ["a": "b"]], "level": "mine", "text": "\u{7F}\u{0}"])
        let line = try #require(lines.all.first)
        #expect(line.hasSuffix("}\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["message"] as? String == "é \"q\"\n")
        #expect(object["level"] as? String == "warning")
        #expect(object["level_"] as? String == "mine")
        #expect(object["text"] as? String == "\u{7F}\u{0}")
        #expect((object["list"] as? [Any])?.first as? String == "1")
        #expect(object["time"] != nil)
    }

    @Test("the level can be changed while loggers are in use; one with a level of its own keeps it")
    func changesLevel() {
        let (output, lines) = self.output(.logfmt)
        let logger = output.logger(label: "a")
        var own = output.logger(label: "b")
        own.logLevel = .error
        logger.debug("1")
        output.level = .debug
        logger.debug("2")
        own.warning("3")
        own.error("4")
        #expect(lines.all.map { $0.contains("message=2") || $0.contains("message=4") } == [true, true])
    }
}
