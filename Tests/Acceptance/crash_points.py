"""Every named crash point, in a real cluster: the process kills itself there, and all is reconciled afterwards.

Usage: crash_points.py [--telstar BINARY] [--only NAME] [--recipients N]
"""

import argparse
import collections
import pathlib
import re
import signal
import sys
import tempfile
import xmlrpc.client

import telstar

TABLE = telstar.ROOT / "Sources/MailingModel/Crash/CrashPoint.swift"
Row = collections.namedtuple("Row", "point role died recipients delivered uncertain repeated lost")

# The occurrence at which a point kills: late enough that work is under way, early enough to be reached.
OCCURRENCE = collections.defaultdict(lambda: 1, {
    "satelliteBeforeDot": 40, "satelliteAfterDot": 40, "satelliteAfterFinalDotWritten": 40, "satelliteBeforeDone": 40})


# A cluster makes its store before its master starts, so this one has a test of its own, `test_migration.py`.
ELSEWHERE = {"masterWithinMigration"}


def points():
    names = re.findall(r"^    case ((?:master|satellite)\w+)$", TABLE.read_text(), re.MULTILINE)
    return [name for name in names if name not in ELSEWHERE]


def again(call, what):
    """Repeats a call whose server may die in the middle of it."""
    def attempt():
        return (call(),)
    return telstar.await_condition(attempt, what)[0]


def add(cluster, mailing, recipients):
    """Adds recipients by ids of our own, so that repeating a call whose answer was lost adds nobody twice."""
    def call():
        answers = cluster.api().add_recipients(mailing, recipients)
        assert all("id" in a or "tracking" in a["error"].lower() for a in answers), answers
        return True
    again(call, "recipients are added")


def start(cluster, mailing):
    def call():
        try:
            cluster.api().start_mailing(mailing)
        except xmlrpc.client.Fault:
            return cluster.mailing(mailing)["status"] != "FILLING_RECIPIENTS"
        return True
    again(call, "the mailing is started")


def provoke(cluster, point, mailing):
    """What it takes beside a running mailing to come to the point."""
    if "Pause" in point:
        again(lambda: cluster.api().pause_mailing(mailing), "the mailing is paused")
        start(cluster, mailing)
    if "Revoke" in point:
        # One that is stopped before it holds a lease has nothing that could be revoked.
        telstar.await_condition(lambda: cluster.status()["leased"] > 0, f"{point}: a lease is out", every=0.002)
        pid = cluster.kill("satellite", signal.SIGSTOP)
        telstar.await_condition(lambda: "died" in cluster.text(), f"{point} is reached")
        telstar.os.kill(pid, signal.SIGCONT)


def run(point, directory, count=400):
    role = "master" if point.startswith("master") else "satellite"
    settings = ["finishGrace=0s"]
    script = None
    if "Pause" in point or "Revoke" in point:
        settings += ["lease.lifetime=3s"]
        script = "at dot: delay 30ms\n"
    with telstar.cluster_with_sink(
            directory, script, settings=settings,
            environment={"TELSTAR_CRASH_AT": f"{point}:{OCCURRENCE[point]}"}) as (cluster, sink):
        mailing = again(lambda: cluster.api().create_mailing(
            "news@example.org", "News", "Hello", "<p>{{ firstname }}</p>", "{{ firstname }}", "utf-8"), "it is created")
        recipients = telstar.people(count)
        for number, recipient in enumerate(recipients):
            recipient["tracking_id"] = f"t{number}"
        for first in range(0, count, 100):
            add(cluster, mailing, recipients[first:first + 100])
        start(cluster, mailing)
        provoke(cluster, point, mailing)
        telstar.await_condition(lambda: cluster.mailing(mailing)["status"] == "FINISHED", f"{point}: finished")
        telstar.await_condition(lambda: "died" in cluster.text(), f"{point} is reached", 10)
        last = telstar.reconcile(cluster, sink, mailing)
        copies = sink.copies()
        assert len(last) == count, f"{point}: {len(last)} of {count} reported"
        assert cluster.mailing(mailing)["total_recipient"] == count
        uncertain = sum(1 for event in last.values() if event.get("uncertain"))
        return Row(point, role, True, count, sum(1 for e in last.values() if e["status"] == "FINISHED"), uncertain,
                   sum(1 for n in copies.values() if n > 1), sum(1 for a, e in last.items()
                                                                 if e["status"] == "FINISHED" and not copies[a]))


def table(rows):
    header = Row._fields
    cells = [header] + [tuple(str(value) for value in row) for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--telstar", default=telstar.BINARY)
    parser.add_argument("--only")
    parser.add_argument("--recipients", type=int, default=400)
    arguments = parser.parse_args()
    telstar.BINARY = arguments.telstar
    rows = []
    failures = []
    for point in points():
        if arguments.only in (None, point):
            with tempfile.TemporaryDirectory() as directory:
                try:
                    rows.append(run(point, pathlib.Path(directory), arguments.recipients))
                    print(rows[-1], flush=True)
                except AssertionError as error:
                    failures.append(f"{point}: {error}")
                    print("FAILED", failures[-1][:300], flush=True)
    print(table(rows))
    for failure in failures:
        print("FAILED", failure)
    return 0 if rows and not failures else 1


if __name__ == "__main__":
    sys.exit(main())
