// SPDX-License-Identifier: Apache-2.0

import Foundation
import ServiceLifecycle
import Testing

@testable import DaemonSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

final class TemporaryFolder {
    let path: String

    init() throws {
        self.path = "/tmp/daemon-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: false)
    }

    deinit {
        // What is left behind in the temporary folder harms nobody.
        try? FileManager.default.removeItem(atPath: self.path)
    }

    func file(_ name: String) -> String { "\(self.path)/\(name)" }
}

@Suite("Directory lock")
struct DirectoryLockTests {
    @Test("a directory in use is refused, naming the process, until it is given free")
    func excludes() throws {
        let folder = try TemporaryFolder()
        let lock = try DirectoryLock(directory: folder.path)
        let failure = #expect(throws: StartFailure.self) { try DirectoryLock(directory: folder.path) }
        #expect(failure?.exitCode == .unavailable)
        #expect(failure?.description == "\(folder.path) is in use by process \(getpid())")
        lock.release()
        let again = try DirectoryLock(directory: folder.path)
        #expect(again.path == folder.file("lock"))
    }

    @Test("goes with its owner")
    func endsWithOwner() throws {
        let folder = try TemporaryFolder()
        _ = try DirectoryLock(directory: folder.path)
        _ = try DirectoryLock(directory: folder.path)
    }

    @Test("is not inherited by processes started meanwhile")
    func isNotInherited() throws {
        let folder = try TemporaryFolder()
        let lock = try DirectoryLock(directory: folder.path)
        let child = Process()
        child.executableURL = URL(fileURLWithPath: "/bin/cat")
        let input = Pipe()
        child.standardInput = input
        try child.run()
        lock.release()
        let again = try DirectoryLock(directory: folder.path)
        again.release()
        try input.fileHandleForWriting.close()
        child.waitUntilExit()
    }

    @Test("a directory that is not there is a failure that says so")
    func refusesMissing() {
        let failure = #expect(throws: StartFailure.self) { try DirectoryLock(directory: "/nonexistent/x") }
        #expect(failure?.description == "cannot open lock file /nonexistent/x/lock: No such file or directory")
    }
}

@Suite("Atomic file")
struct AtomicFileTests {
    @Test("replaces content and mode, and leaves nothing beside")
    func replaces() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a")
        try AtomicFile.write(path, contents: [1, 2, 3], mode: 0o644)
        try AtomicFile.write(path, contents: [UInt8](repeating: 7, count: 300_000))
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == 300_000)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a"])
    }

    @Test("keeps the old content when the new one cannot be put in place")
    func keepsOld() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.file("a/b"), withIntermediateDirectories: true)
        let error = #expect(throws: AtomicFileError.self) { try AtomicFile.write(folder.file("a"), contents: [1]) }
        #expect(error?.description.hasPrefix("cannot rename to \(folder.file("a")): ") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a"])
        #expect(throws: AtomicFileError.self) { try AtomicFile.write("/nonexistent/x", contents: []) }
    }
}

@Suite("Supervisor notifications")
struct SupervisorTests {
    /// A datagram socket that waits for messages.
    private final class Listener {
        let descriptor: Int32

        init(_ path: String) throws {
            self.descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            let address = try #require(LocalAddress(path: path))
            let descriptor = self.descriptor
            let result = address.withSocketAddress { bind(descriptor, $0, $1) }
            try #require(result == 0)
        }

        deinit { close(self.descriptor) }

        func next() -> String {
            var bytes = [UInt8](repeating: 0, count: 1000)
            let count = recv(self.descriptor, &bytes, bytes.count, 0)
            return String(decoding: bytes[..<max(count, 0)], as: UTF8.self)
        }
    }

    @Test("says ready, status, alive and stopping, one datagram each")
    func notifies() throws {
        let folder = try TemporaryFolder()
        let listener = try Listener(folder.file("notify"))
        let notifier = SupervisorNotifier(environment: ["NOTIFY_SOCKET": folder.file("notify")])
        notifier.ready(status: "3 satellites\nconnected")
        notifier.status("sending")
        notifier.alive()
        notifier.extendTimeout(by: .milliseconds(1500))
        notifier.stopping()
        #expect(listener.next() == "READY=1\nSTATUS=3 satellites connected")
        #expect(listener.next() == "STATUS=sending")
        #expect(listener.next() == "WATCHDOG=1")
        #expect(listener.next() == "EXTEND_TIMEOUT_USEC=1500000")
        #expect(listener.next() == "STOPPING=1")
    }

    #if os(Linux)
    @Test("reaches abstract sockets")
    func reachesAbstract() throws {
        let name = "@telstar-\(UUID().uuidString)"
        let listener = try Listener(name)
        SupervisorNotifier(environment: ["NOTIFY_SOCKET": name]).ready()
        #expect(listener.next() == "READY=1")
    }
    #endif

    @Test("does nothing where nobody listens")
    func staysQuiet() {
        SupervisorNotifier(environment: [:]).ready()
        SupervisorNotifier(environment: ["NOTIFY_SOCKET": "/nonexistent/socket"]).ready()
        SupervisorNotifier(environment: ["NOTIFY_SOCKET": String(repeating: "x", count: 500)]).ready()
    }

    @Test("the watchdog counts for the process it names")
    func watchdog() {
        let watched = ["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "\(getpid())"]
        #expect(SupervisorNotifier(environment: watched).watchdogInterval == .seconds(30))
        #expect(SupervisorNotifier(environment: ["WATCHDOG_USEC": "5000"]).watchdogInterval == .milliseconds(5))
        #expect(
            SupervisorNotifier(environment: ["WATCHDOG_USEC": "5000", "WATCHDOG_PID": "1"]).watchdogInterval == nil
        )
        #expect(SupervisorNotifier(environment: ["WATCHDOG_USEC": "0"]).watchdogInterval == nil)
    }

    @Test("the watchdog service reports until shutdown")
    func watchdogService() async throws {
        let folder = try TemporaryFolder()
        let listener = try Listener(folder.file("notify"))
        let notifier = SupervisorNotifier(
            environment: ["NOTIFY_SOCKET": folder.file("notify"), "WATCHDOG_USEC": "2000"]
        )
        let task = Task { try await WatchdogService(notifier: notifier).run() }
        #expect(listener.next() == "WATCHDOG=1")
        #expect(listener.next() == "WATCHDOG=1")
        task.cancel()
        _ = await task.result
    }
}
