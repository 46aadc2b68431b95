// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import MasterStore

/// Makes the parts of the master that work by themselves, runs them and ends them in order.
///
/// Each part owns its state and holds references to the few others that it needs; callers use the parts directly.
final class Engine: Sendable {
    private let configuration: MasterConfiguration
    private let time: MasterTime
    private let health: StoreHealth
    private let listener: SatelliteListener
    private let starts: StartIntake
    private let reports: ReportIntake
    private let keyRequests: SigningKeyRequests
    private let scheduler: MailingScheduler
    private let redatingJob: RedatingJob
    private let retentionJob: RetentionJob
    private let recountJob: RecountJob
    let safeMode: SafeMode
    let dispatcher: Dispatcher
    let changes: ChangeNotifier
    /// Notified when events may have been appended to the feed.
    let feedWatch: FeedWatch
    let status: StatusComposer

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        configuration: MasterConfiguration,
        time: MasterTime,
        logger: Logger
    ) {
        let started = time.now()
        let rates = RateWindow(time: time)
        self.configuration = configuration
        self.time = time
        self.health = StoreHealth(configuration: configuration.intake, logger: logger)
        self.safeMode = SafeMode(store: store, logger: logger)
        self.feedWatch = FeedWatch()
        self.dispatcher = Dispatcher(
            store: store,
            channel: channel,
            directory: directory,
            configuration: configuration,
            time: time,
            rates: rates,
            safeMode: self.safeMode,
            logger: logger
        )
        self.scheduler = MailingScheduler(
            store: store,
            configuration: configuration,
            time: time,
            signal: Signal(),
            logger: logger
        )
        let changes = ChangeNotifier(dispatcher: self.dispatcher, scheduler: self.scheduler, feedWatch: self.feedWatch)
        self.changes = changes
        self.starts = StartIntake(
            store: store,
            channel: channel,
            directory: directory,
            time: time,
            health: self.health,
            logger: logger
        )
        self.reports = ReportIntake(
            store: store,
            channel: channel,
            directory: directory,
            configuration: configuration.intake,
            time: time,
            health: self.health,
            rates: rates,
            logger: logger
        )
        self.keyRequests = SigningKeyRequests(
            store: store,
            channel: channel,
            time: time,
            health: self.health,
            logger: logger
        )
        self.listener = SatelliteListener(
            channel: channel,
            safeMode: self.safeMode,
            dispatcher: self.dispatcher,
            starts: self.starts,
            reports: self.reports,
            keyRequests: self.keyRequests
        )
        self.redatingJob = RedatingJob(
            store: store,
            interval: configuration.longestSleep,
            time: time,
            logger: logger,
            redated: { await changes.dispatcher.workChanged() }
        )
        self.retentionJob = RetentionJob(
            store: store,
            configuration: configuration.upkeep,
            time: time,
            logger: logger,
            deleted: { await changes.mailingDeleted($0, revoked: $1) }
        )
        self.recountJob = RecountJob(store: store, configuration: configuration.upkeep, time: time, logger: logger)
        self.status = StatusComposer(
            store: store,
            version: configuration.version,
            started: started,
            time: time,
            health: self.health,
            safeMode: self.safeMode,
            rates: rates,
            dispatcher: self.dispatcher,
            reports: self.reports,
            scheduler: self.scheduler,
            recountJob: self.recountJob
        )
    }

    /// Runs until the task is cancelled, then ends in order: refuse calls, stop granting, apply what was taken, stop.
    func run(gate: CallGate) async throws {
        let stop = Signal()
        // The bridge of the shutdown: this task is not cancelled with ours, so that it can end in order.
        let work = Task { await self.serve(until: stop, gate: gate) }
        await withTaskCancellationHandler {
            await work.value
        } onCancel: {
            gate.refuse()
            stop.notify()
        }
    }

    private func serve(until stop: Signal, gate: CallGate) async {
        let intakeEnded = Signal()
        await withTaskGroup { group in
            group.addTask { await self.listener.run() }
            group.addTask { await self.repeatTurns("leasing", self.dispatcher.signal) { try await self.lease() } }
            group.addTask {
                await self.repeatTurns("keeping schedules", self.scheduler.signal) { try await self.keepSchedules() }
            }
            group.addTask { await self.redatingJob.run() }
            group.addTask { await self.retentionJob.run() }
            group.addTask { await self.recountJob.run() }
            group.addTask { await self.keyRequests.run() }
            group.addTask {
                await self.starts.run { decisions, satellite in
                    await self.dispatcher.decided(decisions, for: satellite)
                }
            }
            group.addTask {
                await self.applyReports()
                intakeEnded.notify()
            }
            await stop.wait()
            await gate.close()
            await self.dispatcher.stopGranting()
            self.reports.stop()
            await intakeEnded.wait()
            group.cancelAll()
        }
    }

    // MARK: Turns

    /// Repeats the turns of a part until cancelled: whenever it is notified, and at the deadline that its last turn gave.
    ///
    /// - Parameters:
    ///   - work: What fails if a turn throws, as a phrase that follows "while".
    ///   - signal: Notifies the part.
    ///   - turn: Makes one turn and returns when the next is due; one that throws is made again after a while.
    private func repeatTurns(_ work: String, _ signal: Signal, turn: () async throws -> Duration) async {
        while !Task.isCancelled {
            do {
                let deadline = try await turn()
                await signal.wait(until: deadline, by: self.time)
            } catch {
                await self.health.pause(after: error, while: work, by: self.time)
            }
        }
    }

    private func lease() async throws -> Duration {
        let deadline = try await self.dispatcher.turn()
        self.health.succeeded("leasing")
        let leased = await self.dispatcher.takeNewlyLeased()
        if !leased.isEmpty { await self.scheduler.leasedFirst(leased) }
        await self.scheduler.mayBeComplete(await self.dispatcher.takeResolved())
        return deadline
    }

    private func keepSchedules() async throws -> Duration {
        let (effects, next) = try await self.scheduler.turn()
        self.health.succeeded("keeping schedules")
        await self.changes.carryOut(effects)
        let latest = self.time.elapsed() + self.configuration.longestSleep
        return next.map { min(latest, self.time.elapsed(at: $0)) } ?? latest
    }

    private func applyReports() async {
        await self.reports.run(
            generation: { await self.dispatcher.generation(of: $0) },
            applied: { work, result, generation in
                self.feedWatch.changed()
                await self.dispatcher.reported(
                    work.reports,
                    by: work.satellite,
                    result: result,
                    generation: generation
                )
                await self.scheduler.mayBeComplete(result.mailings)
            }
        )
    }
}
