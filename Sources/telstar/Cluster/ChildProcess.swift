// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import Synchronization

/// One role as a child process: started, watched, restarted with backoff, stopped.
///
/// The child's standard input is a pipe whose other end only this process holds: when this process dies, however it dies,
/// the child reads the end of file and leaves (`TELSTAR_LIFELINE`).
final class ChildProcess: Sendable {
    /// What happens to a child.
    enum Event: Sendable {
        /// It said that it serves; a restart says so again.
        case ready(pid: Int32)
        /// It ended and will be started again after the wait.
        case died(status: Int32, restartIn: Duration)
    }

    /// A name for people and file names: `master`, `satellite-1`, `sink`.
    let name: String
    private let arguments: [String]
    private let environment: [String: String]
    private let log: String
    private let state = Mutex(State())

    private struct State {
        var process: Process?
        var stopping = false
    }

    /// Held while a child is made.
    ///
    /// Foundation notices a child's end when the last copy of a socket is closed, which the child inherits: a sibling made at
    /// the same time may inherit it too, and the end goes unnoticed.
    private static let making = Mutex(())

    /// Describes a child; nothing runs yet.
    ///
    /// - Parameters:
    ///   - name: Unique among the children.
    ///   - arguments: Of this same program.
    ///   - environment: Added to ours.
    ///   - log: The file that its output is appended to.
    init(name: String, arguments: [String], environment: [String: String] = [:], log: String) {
        self.name = name
        self.arguments = arguments
        self.environment = environment
        self.log = log
    }

    /// The number of the running process, if one runs.
    var pid: Int32? {
        self.state.withLock { state in
            guard let process = state.process, process.isRunning else { return nil }
            return process.processIdentifier
        }
    }

    /// After so many lives in which it never served, a child is given up.
    private static let livesInVain = 8

    /// Runs the child until ``stop()`` or cancellation, starting it again whenever it dies.
    ///
    /// - Parameter report: Called for every event.
    /// - Throws: If the program cannot be started; ``StartFailure`` with the child's own last message if its configuration is
    ///   wrong, or if it dies again and again and has never served.
    func run(report: @escaping @Sendable (Event) async -> Void) async throws {
        var wait = Duration.milliseconds(200)
        var isFirstLife = true
        var lives = 0
        let hasServed = Atomic(false)
        while !self.state.withLock({ $0.stopping }), !Task.isCancelled {
            let began = ContinuousClock.now
            let status: Int32
            do {
                status = try await self.runOnce(isFirstLife: isFirstLife) { event in
                    if case .ready = event { hasServed.store(true, ordering: .relaxed) }
                    await report(event)
                }
            } catch  where !isFirstLife {
                // It has run before: what is short now may be there after a wait.
                status = -1
            }
            isFirstLife = false
            if self.state.withLock({ $0.stopping }) || Task.isCancelled { return }
            lives += 1
            // Trying again does not help against a wrong command line or configuration.
            let lasting: [DaemonSupport.ExitCode] = [.usage, .unreadableFile, .unwritableFile, .configuration]
            for code in lasting where status == code.rawValue {
                throw StartFailure(code, "\(self.name) does not start: \(self.lastMessage)")
            }
            if lives >= Self.livesInVain, !hasServed.load(ordering: .relaxed) {
                throw StartFailure(
                    .unavailable,
                    "\(self.name) has died \(lives) times and never served (status \(status)): \(self.lastMessage)"
                )
            }
            if began.duration(to: .now) > .seconds(30) { wait = .milliseconds(200) }
            await report(.died(status: status, restartIn: wait))
            // Cancellation ends the wait; the loop's condition then ends the loop.
            try? await Task.sleep(for: wait)
            wait = min(wait * 2, .seconds(10))
        }
    }

    /// Asks the child to end (SIGTERM) and starts it no more.
    func stop() { self.signal(SIGTERM, stopping: true) }

    /// Ends the child at once.
    func kill() { self.signal(SIGKILL, stopping: true) }

    private func signal(_ number: Int32, stopping: Bool) {
        self.state.withLock { state in
            state.stopping = stopping
            guard let process = state.process, process.isRunning else { return }
            Foundation.kill(process.processIdentifier, number)
        }
    }

    private func runOnce(
        isFirstLife: Bool,
        report: @escaping @Sendable (Event) async -> Void
    ) async throws -> Int32 {
        let readiness = try ReadinessSocket(label: self.name)
        let lifeline = Self.making.withLock { _ in
            let pipe = Pipe()
            // Only this process may hold the writing end, or a sibling would keep the child alive.
            _ = fcntl(pipe.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
            return pipe
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.executable)
        process.arguments = self.arguments
        process.environment = ProcessInfo.processInfo.environment
            .merging(self.environment) { $1 }
            .merging(["NOTIFY_SOCKET": readiness.name, "TELSTAR_LIFELINE": "1"]) { $1 }
        // A crash point kills one life only, or the restarted child would die at the same point for ever.
        if !isFirstLife { process.environment?["TELSTAR_CRASH_AT"] = nil }
        process.standardInput = lifeline
        let output = try Self.appending(to: self.log)
        process.standardOutput = output
        process.standardError = output
        let (ended, end) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingNewest(1))
        process.terminationHandler = { process in
            end.yield(process.terminationStatus)
            end.finish()
        }
        let started = try self.state.withLock { state in
            guard !state.stopping else { return false }
            try Self.making.withLock { _ in try process.run() }
            state.process = process
            return true
        }
        guard started else { return 0 }
        let pid = process.processIdentifier
        return await withTaskGroup(of: Int32?.self) { group in
            group.addTask {
                for await _ in readiness.readiness { await report(.ready(pid: pid)) }
                return nil
            }
            group.addTask {
                await withTaskCancellationHandler {
                    for await status in ended { return status }
                    return nil
                } onCancel: {
                    Foundation.kill(pid, SIGTERM)
                }
            }
            for await status in group {
                if let status {
                    group.cancelAll()
                    return status
                }
            }
            return 0
        }
    }

    /// The last line of its log, which a daemon that fails to start gives to the reason.
    private var lastMessage: String {
        let text = (try? String(contentsOfFile: self.log, encoding: .utf8)) ?? ""
        let line = text.suffix(4_096).split(whereSeparator: \.isNewline).last { !$0.isEmpty }
        return "\(line.map { $0.trimmingPrefix("telstar: ") } ?? "it says nothing") (its log is \(self.log))"
    }

    private static let executable: String = {
        let link =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        // The link of a program that was replaced while it runs ends in this remark.
        return link.hasSuffix(" (deleted)") ? String(link.dropLast(10)) : link
    }()

    private static func appending(to path: String) throws -> FileHandle {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StartFailure(.unwritableFile, "the log \(path) cannot be written: \(NamedFile.reason(errno))")
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
}
