// SPDX-License-Identifier: Apache-2.0

public import SMTP

/// What a sink listens on, keeps and does.
public struct SinkConfiguration: Sendable {
    /// Finds the key record of a selector, `v=DKIM1; k=…; p=…`; `nil` if there is none.
    public typealias KeyRecord = @Sendable (_ domain: String, _ selector: String) async -> String?

    /// Addresses as `127.0.0.1:2525`, `[::1]:2525` or `2525` (all of IPv4); port 0 takes a free one.
    ///
    /// 1 or more.
    public var addresses: [String]
    /// The name in the greeting.
    public var hostName: String
    /// The file to which a line is appended for each accepted message.
    public var journalPath: String?
    /// The maildir into which each accepted message is written; made if it is missing.
    public var maildirPath: String?
    /// How many messages are written into the maildir at most; all if `nil`.
    public var maildirLimit: Int?
    /// What to do instead of accepting everything.
    public var script: SinkScript
    /// STARTTLS is offered if this is set.
    public var tls: SMTPServerTLS?
    /// Signatures are verified if this is set, else only listed.
    public var keyRecord: KeyRecord?
    /// The largest message in bytes.
    ///
    /// Default 50 MiB.
    public var sizeLimit = 52_428_800
    /// Threads that serve connections, 1 or more.
    ///
    /// Default 1.
    public var threads = 1

    /// Composes a configuration; the defaults accept everything and keep nothing.
    public init(
        addresses: [String],
        hostName: String = "sink.localhost",
        journalPath: String? = nil,
        maildirPath: String? = nil,
        script: SinkScript = SinkScript(),
        tls: SMTPServerTLS? = nil,
        keyRecord: KeyRecord? = nil
    ) {
        self.addresses = addresses
        self.hostName = hostName
        self.journalPath = journalPath
        self.maildirPath = maildirPath
        self.script = script
        self.tls = tls
        self.keyRecord = keyRecord
    }
}
