// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import MailDNS
import SatelliteCore

/// What of a daemon's start can be tried without running it.
///
/// Both the start and `--check-config` make these checks, the start before it does anything else. Only whether ports are
/// free is left to the listeners at a start.
struct StartChecks {
    private var failures: [StartFailure] = []

    /// Checks a master's settings.
    ///
    /// - Parameters:
    ///   - settings: What the sources of the configuration say.
    ///   - tryingPorts: Whether the addresses to listen on are tried.
    /// - Throws: ``StartFailures`` with everything that is wrong.
    static func check(_ settings: MasterSettings, tryingPorts: Bool) throws {
        var checks = StartChecks()
        var listeners: [(key: String, address: ListenAddress)] = []
        func listen(_ key: String, _ address: ListenAddress?) { if let address { listeners.append((key, address)) } }
        checks.run { _ = try settings.storeLocation() }
        checks.run { _ = try settings.core() }
        checks.run { listen("api.listen", try settings.apiListen()) }
        checks.run { listen("api.plainListen", try settings.apiPlainListen()) }
        checks.run { listen("status.listen", try settings.statusListen()) }
        checks.run { listen("link.listen", try LinkAddress(settings.link.control, key: "link.listen").listen) }
        checks.run {
            listen("link.contentListen", try LinkAddress(settings.link.content, key: "link.contentListen").listen)
        }
        if let enrolment = settings.link.enrolment {
            checks.run { listen("link.enrolListen", try LinkAddress(enrolment, key: "link.enrolListen").listen) }
        }
        if checks.run({ try Self.checkDirectory(settings.directory) }) {
            checks.run { _ = try LinkKeyFile.load(in: settings.directory) }
            checks.run { _ = try StoreOpening.loadSecret(in: settings.directory) }
        }
        checks.run { try CertificateFiles.check(settings) }
        checks.run { try Self.checkDistinct(listeners) }
        for (key, address) in listeners { checks.run { try address.check(key: key, tryingPort: tryingPorts) } }
        try checks.finish()
    }

    /// Checks a satellite's settings.
    ///
    /// - Parameters:
    ///   - settings: What the sources of the configuration say.
    ///   - tryingPorts: Whether the address to listen on is tried.
    /// - Throws: ``StartFailures`` with everything that is wrong.
    static func check(_ settings: SatelliteSettings, tryingPorts: Bool) throws {
        var checks = StartChecks()
        checks.run {
            for master in try settings.masters() {
                _ = try LinkAddress(master.control, key: "master.endpoints")
                _ = try LinkAddress(master.content, key: "master.contentEndpoints")
            }
        }
        checks.run {
            let core = try settings.core()
            if let local = core.localAddress {
                try ListenAddress(host: local, port: 0).check(key: "smtp.localAddress", tryingPort: true)
            }
        }
        if checks.run({ try Self.checkDirectory(settings.directory) }) {
            checks.run { _ = try LinkKeyFile.load(in: settings.directory) }
        }
        checks.run { try MasterKeyFile.check(settings) }
        if let zone = settings.zoneFile { checks.run { _ = try Resolvers.make(zoneFile: zone, forwardTo: []) } }
        checks.run {
            if let listen = try settings.statusListen() {
                try listen.check(key: "status.listen", tryingPort: tryingPorts)
            }
        }
        try checks.finish()
    }

    /// Makes a check; whether it found nothing wrong.
    @discardableResult
    private mutating func run(_ check: () throws -> Void) -> Bool {
        do {
            try check()
            return true
        } catch {
            self.failures.append(StartFailure(error))
            return false
        }
    }

    private func finish() throws {
        guard !self.failures.isEmpty else { return }
        throw StartFailures(failures: self.failures)
    }

    /// Refuses one address for two listeners, of which the second could not listen.
    private static func checkDistinct(_ listeners: [(key: String, address: ListenAddress)]) throws {
        for (index, listener) in listeners.enumerated() where listener.address.port != 0 {
            guard let other = listeners[..<index].first(where: { $0.address == listener.address }) else { continue }
            throw StartFailure(
                .configuration,
                "\(listener.key) and \(other.key) have the same address \(listener.address); give one of them another port"
            )
        }
    }

    /// Whether the data directory can be used, or made.
    private static func checkDirectory(_ path: String) throws {
        guard let isDirectory = NamedFile.isDirectory(path) else {
            guard errno == ENOENT else {
                throw StartFailure(
                    .unwritableFile,
                    "the data directory \(path) cannot be used: \(NamedFile.reason(errno))"
                )
            }
            var above = URL(fileURLWithPath: path).deletingLastPathComponent().path
            while access(above, F_OK) != 0, above != "/" {
                above = URL(fileURLWithPath: above).deletingLastPathComponent().path
            }
            guard access(above, W_OK | X_OK) == 0 else {
                throw StartFailure(
                    .unwritableFile,
                    "the data directory \(path) cannot be made: in \(above) \(NamedFile.reason(errno))"
                )
            }
            return
        }
        guard isDirectory else {
            throw StartFailure(.unwritableFile, "the data directory \(path) is not a directory")
        }
        guard access(path, R_OK | W_OK | X_OK) == 0 else {
            throw StartFailure(
                .unwritableFile,
                "the data directory \(path) cannot be used: \(NamedFile.reason(errno)); give it to the daemon's user"
            )
        }
    }
}

/// Everything that is wrong with a start.
struct StartFailures: Error {
    /// One or more, the first of which gives the exit status.
    let failures: [StartFailure]
}

/// An address of the cluster link: `tcp://HOST:PORT`.
struct LinkAddress {
    /// Host and port; the host `*` stands for all addresses.
    let listen: ListenAddress

    /// Reads an address.
    ///
    /// - Throws: ``StartFailure`` that names the key.
    init(_ text: String, key: String) throws {
        let scheme = "tcp://"
        guard text.hasPrefix(scheme) else {
            throw StartFailure(.configuration, "\(key) has to be tcp://HOST:PORT, not '\(text)'")
        }
        do {
            var listen = try ListenAddress(String(text.dropFirst(scheme.count)), key: key)
            if listen.host == "*" { listen.host = "0.0.0.0" }
            self.listen = listen
        } catch {
            throw StartFailure(.configuration, "\(key) has to be tcp://HOST:PORT, not '\(text)'")
        }
    }
}

extension ListenAddress: CustomStringConvertible {
    /// An address that is known to be one.
    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// As it is written in a configuration.
    var description: String { self.host.contains(":") ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)" }

    /// Whether the address is one of this machine's and, if that is tried, free.
    ///
    /// - Throws: ``StartFailure``: 78 for an address that is not ours, 69 for a port that is taken now, or for a name that
    ///   cannot be resolved when no port is tried.
    func check(key: String, tryingPort: Bool) throws {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(self.host, "\(self.port)", &hints, &found)
        guard status == 0, let first = found else {
            let reason = status == EAI_AGAIN ? "the DNS does not answer" : "there is no such host"
            // A daemon that starts before the DNS answers is to be started again, so its start does not end with 78.
            throw StartFailure(
                tryingPort && status != EAI_AGAIN ? .configuration : .unavailable,
                "\(key): \(self.host) cannot be resolved: \(reason)"
            )
        }
        defer { freeaddrinfo(found) }
        guard tryingPort else { return }
        let descriptor = socket(first.pointee.ai_family, first.pointee.ai_socktype, first.pointee.ai_protocol)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // As the listeners do, so that connections of a process that has ended are in nobody's way.
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) != 0 else { return }
        switch errno {
        case EADDRINUSE:
            throw StartFailure(.unavailable, "\(key): \(self) is taken now: another process listens there")
        case EADDRNOTAVAIL:
            throw StartFailure(.configuration, "\(key): \(self.host) is no address of this machine")
        case EACCES:
            throw StartFailure(.configuration, "\(key): this user may not listen on port \(self.port)")
        case let number:
            throw StartFailure(.unavailable, "\(key): \(self) cannot be listened on: \(NamedFile.reason(number))")
        }
    }
}
