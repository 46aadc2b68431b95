// SPDX-License-Identifier: Apache-2.0

import CUnbound

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The thread that owns a libunbound context.
///
/// libunbound resolves on a thread of its own and signals a descriptor; here
/// questions are handed in, answers taken out and deadlines kept. Nothing in here leaves the thread but answers.
struct LookupThread: ~Copyable {
    /// A question that libunbound has; its callback finds it by reference.
    private final class Pending {
        let lookup: Lookup
        let queue: LookupQueue
        var id: Int32 = 0
        var isDone = false

        init(_ lookup: Lookup, _ queue: LookupQueue) {
            self.lookup = lookup
            self.queue = queue
        }

        func end(_ answer: DNSAnswer) {
            guard !self.isDone else { return }
            self.isDone = true
            self.queue.give(answer, to: self.lookup)
        }
    }

    /// What the thread is started with.
    private final class Start {
        let queue: LookupQueue
        let configuration: UnboundConfiguration
        let context: OpaquePointer

        init(_ queue: LookupQueue, _ configuration: UnboundConfiguration, _ context: OpaquePointer) {
            self.queue = queue
            self.configuration = configuration
            self.context = context
        }
    }

    private let queue: LookupQueue
    private let context: OpaquePointer
    private let parallel: Int
    private var waiting: [Lookup] = []
    private var pending: [Pending] = []

    /// Sets libunbound up on the caller's thread, so that mistakes are thrown, and hands it to a new one.
    static func start(_ queue: LookupQueue, _ configuration: UnboundConfiguration) throws {
        guard let context = ub_ctx_create() else { throw ResolverError("libunbound cannot be set up: no memory") }
        do {
            try self.configure(context, configuration)
        } catch {
            ub_ctx_delete(context)
            throw error
        }
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Start(queue, configuration, context)).toOpaque()
        let result = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                var owner = LookupThread(start)
                owner.run()
                return nil
            },
            argument
        )
        guard result == 0 else {
            Unmanaged<Start>.fromOpaque(argument).release()
            ub_ctx_delete(context)
            throw ResolverError("starting the resolver's thread: error \(result)")
        }
        pthread_detach(thread)
    }

    private static func configure(_ context: OpaquePointer, _ configuration: UnboundConfiguration) throws {
        func check(_ result: Int32, _ doing: String) throws {
            guard result == 0 else { throw ResolverError("\(doing): \(String(cString: ub_strerror(result)))") }
        }
        func set(_ option: String, _ value: String) throws {
            try check(ub_ctx_set_option(context, "\(option):", value), "setting \(option) to \(value)")
        }
        try check(ub_ctx_async(context, 1), "choosing threads")
        try set("msg-cache-size", "\(configuration.cacheBytes)")
        try set("rrset-cache-size", "\(configuration.cacheBytes)")
        try set("num-queries-per-thread", "\(max(1, configuration.parallelLookups))")
        try set("do-not-query-localhost", "no")
        if let file = configuration.rootHints { try set("root-hints", file) }
        if let file = configuration.trustAnchors {
            try check(ub_ctx_add_ta_file(context, file), "reading the trust anchors \(file)")
        }
        for address in configuration.forwardTo {
            try check(ub_ctx_set_fwd(context, address), "forwarding to \(address)")
        }
        if configuration.forwardTo.isEmpty, let file = configuration.resolvConf {
            try check(ub_ctx_resolvconf(context, file), "reading \(file)")
        }
        if !configuration.forwardTo.isEmpty || configuration.resolvConf != nil {
            // libunbound denies "test." by itself; whoever names servers has them decide on names of their own. Last,
            // because it ends the context's configuration.
            try check(ub_ctx_zone_add(context, "test.", "transparent"), "asking for names under test")
        }
    }

    private init(_ start: Start) {
        self.queue = start.queue
        self.context = start.context
        self.parallel = max(1, start.configuration.parallelLookups)
    }

    private mutating func run() {
        while let asked = self.queue.take() {
            self.waiting += asked
            self.handIn()
            self.wait()
            // A failure here shows as questions that run into their deadlines.
            ub_process(self.context)
            self.expire(.now)
        }
        for pending in self.pending { pending.end(.failure("the resolver is closed")) }
        for lookup in self.waiting { self.queue.give(.failure("the resolver is closed"), to: lookup) }
        // Ends libunbound's thread; callbacks of what was under way are not called, so their references stay behind.
        for pending in self.pending where ub_cancel(self.context, pending.id) == 0 {
            Unmanaged.passUnretained(pending).release()
        }
        ub_ctx_delete(self.context)
    }

    private mutating func handIn() {
        let count = min(self.waiting.count, self.parallel - self.pending.count)
        guard count > 0 else { return }
        for lookup in self.waiting.prefix(count) {
            let pending = Pending(lookup, self.queue)
            let reference = Unmanaged.passRetained(pending)
            let result = ub_resolve_async(
                self.context,
                lookup.name,
                lookup.type.rawValue,
                1,
                reference.toOpaque(),
                { data, error, result in
                    guard let data else { return ub_resolve_free(result) }
                    let pending = Unmanaged<Pending>.fromOpaque(data).takeRetainedValue()
                    pending.end(LookupThread.read(error, result, pending.lookup.type))
                    ub_resolve_free(result)
                },
                &pending.id
            )
            guard result == 0 else {
                reference.release()
                pending.end(.failure(String(cString: ub_strerror(result))))
                continue
            }
            self.pending.append(pending)
        }
        self.waiting.removeFirst(count)
    }

    /// Sleeps until there is a question, an answer or a deadline.
    private func wait() {
        var descriptors = [
            pollfd(fd: self.queue.wake, events: Int16(POLLIN), revents: 0),
            pollfd(fd: ub_fd(self.context), events: Int16(POLLIN), revents: 0),
        ]
        var timeout: Int32 = -1
        let deadlines = [self.pending.lazy.map(\.lookup.deadline).min(), self.waiting.first?.deadline].compactMap { $0 }
        if let deadline = deadlines.min() {
            let (seconds, attoseconds) = (deadline - .now).components
            timeout = Int32(clamping: max(0, min(seconds, 3_600) * 1_000 + attoseconds / 1_000_000_000_000_000 + 1))
        }
        poll(&descriptors, nfds_t(descriptors.count), timeout)
    }

    private mutating func expire(_ now: ContinuousClock.Instant) {
        for pending in self.pending where !pending.isDone && pending.lookup.deadline <= now {
            if ub_cancel(self.context, pending.id) == 0 { Unmanaged.passUnretained(pending).release() }
            pending.end(.failure("no answer in time"))
        }
        self.pending.removeAll(where: \.isDone)
        guard let first = self.waiting.first, first.deadline <= now else { return }
        for lookup in self.waiting where lookup.deadline <= now {
            self.queue.give(.failure("no answer in time"), to: lookup)
        }
        self.waiting.removeAll { $0.deadline <= now }
    }

    private static func read(_ error: Int32, _ result: UnsafeMutablePointer<ub_result>?, _ type: DNSType) -> DNSAnswer {
        guard error == 0, let result = result?.pointee else {
            return .failure(error == 0 ? "no answer" : String(cString: ub_strerror(error)))
        }
        let timeToLive = Int(max(0, result.ttl))
        if result.bogus != 0 {
            return .failure("DNSSEC: \(result.why_bogus.map { String(cString: $0) } ?? "the answer is forged")")
        }
        if result.nxdomain != 0 { return .noName(timeToLive: timeToLive) }
        // 2 SERVFAIL, 5 REFUSED and the like: not the domain's final answer.
        guard result.rcode == 0 else { return .failure(result.rcode == 2 ? "SERVFAIL" : "DNS error \(result.rcode)") }
        guard result.havedata != 0, let data = result.data, let lengths = result.len else {
            return .noData(timeToLive: timeToLive)
        }
        var records: [DNSRecord] = []
        var index = 0
        while let start = data[index] {
            let bytes = UnsafeRawBufferPointer(start: start, count: Int(lengths[index]))
            if let record = RecordData.record(type, Array(bytes)) { records.append(record) }
            index += 1
        }
        return records.isEmpty ? .failure("records that cannot be read") : .records(records, timeToLive: timeToLive)
    }
}
