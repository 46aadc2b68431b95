// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import Foundation

/// The properties of a mailing that `create` and `set` take.
struct MailingOptions: ParsableArguments {
    @Option(help: "The header From's name.") var senderName: String?
    @Option(help: "The address that replies go to, if not to the header From.") var replyTo: String?
    @Option(help: "The file of the plain part, a template; made from the HTML if there is none.") var plain: String?
    @Option(help: "The charset of the HTML and the plain file, such as windows-1252; utf-8 if absent.")
    var charset = "utf-8"
    @Option(help: "A name for people.") var name: String?
    @Option(help: "The satellite group that delivers it.") var group: String?
    @Option(help: "The base URL of the tracking site; without it nothing is tracked.") var trackingURL: String?
    @Flag(inversion: .prefixedNo, help: "Append the pixel that shows that a message was opened; done by default.")
    var readTracking: Bool?
    @Flag(inversion: .prefixedNo, help: "Lead links over the tracking site; not done by default.")
    var clickTracking: Bool?
    @Option(help: "Nothing is sent before: RFC 3339 with its zone, such as 2026-12-01T09:00:00+01:00.")
    var startAt: String?
    @Option(help: "What is unfinished then expires: RFC 3339 with its zone.") var endAt: String?
    @Option(help: "So many minutes after its first recipient was leased it ends.") var duration: Int?
    @Flag(inversion: .prefixedNo, help: "Escape merge fields in HTML parts.") var autoescape: Bool?
    @Flag(inversion: .prefixedNo, help: "Deliver to the satellites' test target instead of the recipients' servers.")
    var testing: Bool?
    @Option(name: .customLong("dkim-domain"), help: "The domain that signs (d=); the sender's domain if absent.")
    var dkimDomain: String?
    @Option(name: .customLong("dkim-selector"), help: "The selector of the signing key (s=).") var dkimSelector: String?
    @Option(name: .customLong("dkim-key-file"), help: "The file of the signing key, PEM.") var dkimKeyFile: String?
    @Option(name: .customLong("dkim-identity"), help: "The identity that signs (i=).") var dkimIdentity: String?

    func validate() throws {
        for (name, text) in [("--start-at", self.startAt), ("--end-at", self.endAt)] {
            guard let text else { continue }
            // A time without a zone would be read as UTC, hours away from what its writer meant.
            let pattern = #/\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)/#
            guard text.wholeMatch(of: pattern) != nil else {
                throw ValidationError("\(name) takes a time with its zone, such as 2026-12-01T09:00:00+01:00")
            }
        }
        let signs = self.dkimSelector != nil || self.dkimKeyFile != nil
        guard signs || (self.dkimDomain == nil && self.dkimIdentity == nil) else {
            throw ValidationError("--dkim-domain and --dkim-identity need --dkim-selector and --dkim-key-file")
        }
        guard !signs || (self.dkimSelector != nil && self.dkimKeyFile != nil) else {
            throw ValidationError("--dkim-selector and --dkim-key-file need each other")
        }
        guard TextFile.encoding(self.charset) != nil else {
            throw ValidationError(
                "the charset \(self.charset) is not known; known are \(TextFile.charsets.joined(separator: ", "))"
            )
        }
    }

    /// The members of the control API's body for what is given.
    ///
    /// - Parameter from: The header From's address, whose domain signs if none is given.
    /// - Returns: Only what is given, by the names of the control API.
    /// - Throws: ``StartFailure`` if a file that is named cannot be read.
    func members(from: String?) throws -> [String: BodyValue] {
        var body: [String: BodyValue] = [:]
        func set(_ name: String, _ value: BodyValue?) { if let value { body[name] = value } }
        set("sender_name", self.senderName.map { .text($0) })
        set("reply_to", self.replyTo.map { .text($0) })
        set("plain", try self.plain.map { .text(try TextFile.read($0, "the plain part", charset: self.charset)) })
        set("shown_name", self.name.map { .text($0) })
        set("satellite_group", self.group.map { .text($0) })
        set("tracking_url", self.trackingURL.map { .text($0) })
        set("read_tracking", self.readTracking.map { .truth($0) })
        set("click_tracking", self.clickTracking.map { .truth($0) })
        set("scheduled_start", self.startAt.map { .text($0) })
        set("scheduled_end", self.endAt.map { .text($0) })
        set("scheduled_duration", self.duration.map { .integer($0) })
        set("autoescape", self.autoescape.map { .truth($0) })
        set("testing", self.testing.map { .truth($0) })
        if let selector = self.dkimSelector, let file = self.dkimKeyFile {
            guard let domain = self.dkimDomain ?? Self.domain(of: from) else {
                throw ValidationError("give --dkim-domain, or --from")
            }
            var signature: [String: BodyValue] = [
                "domain": .text(domain), "selector": .text(selector),
                "private_key": .text(try NamedFile.text(file, "the signing key")),
            ]
            signature["identity"] = self.dkimIdentity.map { .text($0) }
            body["dkim"] = .list([.members(signature)])
        }
        return body
    }

    private static func domain(of address: String?) -> String? {
        guard let address, let at = address.lastIndex(of: "@") else { return nil }
        let domain = address[address.index(after: at)...]
        return domain.isEmpty ? nil : String(domain)
    }
}

/// A value in a body of the control API.
enum BodyValue: Encodable, Sendable {
    case text(String), truth(Bool), integer(Int), absent
    case list([BodyValue])
    case members([String: BodyValue])

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .truth(let truth): try container.encode(truth)
        case .integer(let number): try container.encode(number)
        case .absent: try container.encodeNil()
        case .list(let list): try container.encode(list)
        case .members(let members): try container.encode(members)
        }
    }
}

/// Text files in a charset that is named.
enum TextFile {
    private static let encodings: [String: String.Encoding] = [
        "utf-8": .utf8, "us-ascii": .ascii, "iso-8859-1": .windowsCP1252, "iso-8859-2": .isoLatin2,
        "windows-1250": .windowsCP1250, "windows-1251": .windowsCP1251, "windows-1252": .windowsCP1252,
        "windows-1253": .windowsCP1253, "windows-1254": .windowsCP1254, "utf-16": .utf16, "shift_jis": .shiftJIS,
        "iso-2022-jp": .iso2022JP, "euc-jp": .japaneseEUC,
    ]

    /// The names of the charsets.
    static var charsets: [String] { self.encodings.keys.sorted() }

    /// The encoding of a charset; `nil` if it is not known.
    static func encoding(_ charset: String) -> String.Encoding? { self.encodings[charset.lowercased()] }

    /// The text of a file.
    ///
    /// - Throws: ``StartFailure`` 66 if it cannot be read, 65 if it is no text in this charset.
    static func read(_ path: String, _ what: String, charset: String) throws -> String {
        guard let encoding = self.encoding(charset), encoding != .utf8 else { return try NamedFile.text(path, what) }
        guard let text = String(data: Data(try NamedFile.bytes(path, what)), encoding: encoding) else {
            throw StartFailure(.badData, "\(what) \(path) is not text in \(charset)")
        }
        return text
    }
}
