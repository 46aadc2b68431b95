"""Compares two builds of the program in pairs, in turn, on the same machine: rates, CPU and memory, and the ratios between them.

Usage: compare_run.py --before BINARY --after BINARY [--pairs N] [--recipients N] [--stored N] [--only WORKLOAD …] [--json FILE]

Each pair runs both programs one after the other, the first of them in turn, so that what the machine does by itself meets both.
A ratio is after / before of one pair. Stated are the medians and, for the ratio, the interval that holds the median with a
confidence of 95 % or more: from the second to the last but one of ten, by the binomial distribution (n = 10: 97.9 %). With fewer
than six pairs there is none; then all of them are stated. CPU and memory of the store's bench are the client's, without the server's.
"""

import argparse
import contextlib
import json
import math
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess

import postgresql
import telstar

SENDING = {"unsigned": "none", "Ed25519": "ed25519", "RSA": "rsa"}
STORING = ["SQLite", "PostgreSQL"]
STORED = {
    "recipients_added_a_second": "added/s", "reports_applied_a_second": "reports/s", "lease_of_up_to_1_000": "lease, ms",
    "start_of_a_lease": "start, ms", "feed_page_of_1_000_at_a_random_cursor": "feed page, ms", "peak_memory": "client peak MiB",
}


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def smtp_sink():
    """Postfix's sink, which takes everything and keeps nothing."""
    port = telstar.free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    path = shutil.which("smtp-sink") or "/usr/sbin/smtp-sink"
    process = subprocess.Popen([path, *user, f"127.0.0.1:{port}", "1024"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        telstar.await_condition(lambda: is_listening(port), "the sink listens")
        yield port
    finally:
        process.terminate()
        process.wait()


def sending(binary, recipients, dkim, port):
    """Figures of one mailing through a cluster of its own."""
    done = subprocess.run([binary, "demo", "--recipients", str(recipients), "--dkim", dkim, "--sink", f"127.0.0.1:{port}"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {"messages/s": float(re.search(r"sent in .* s: (\d+) messages a second", done.stdout)[1])}
    for name, role in (("master", "master"), ("satellite-1", "satellite")):
        memory, cpu = re.search(rf"^{name} +(\d+) MiB +([\d.]+)", done.stdout, re.MULTILINE).groups()
        figures |= {f"{role}, CPU µs a message": float(cpu), f"{role}, peak MiB": float(memory)}
    return figures


def storing(binary, recipients, server):
    """Figures of the store's operations on one mailing."""
    with contextlib.ExitStack() as stack:
        url = ["--store", stack.enter_context(server.fresh_database())] if server else []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [binary, "bench", "store", "--recipients", str(recipients), "--json", *url], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    printed = json.loads(done.stdout)
    assert printed["counters_that_differ_from_a_recount"] == "0", printed
    # A figure begins with its number: of latencies, the median.
    figures = {what: float(re.match(r"[\d.]+", printed[name])[0]) for name, what in STORED.items()}
    return figures | {"client CPU µs a recipient": cpu / recipients * 1e6}


def interval(ratios):
    """The order statistics that enclose the median with 95 % or more; all of them if there are too few."""
    ordered, count = sorted(ratios), len(ratios)
    low = 0
    while low + 1 < count / 2 and 1 - 2 * sum(math.comb(count, k) for k in range(low + 2)) / 2 ** count >= 0.95:
        low += 1
    return ordered[low], ordered[count - 1 - low]


def table(workload, pairs):
    """The rows of one workload, in Markdown."""
    for name in pairs[0][0]:
        before, after = [pair[0][name] for pair in pairs], [pair[1][name] for pair in pairs]
        if not all(before):
            print(f"| {workload} | {name} | not measurable: {before} | {after} | | |")
            continue
        ratios = [new / old for old, new in zip(before, after)]
        low, high = interval(ratios)
        print(f"| {workload} | {name} | {statistics.median(before):,.1f} | {statistics.median(after):,.1f} "
              f"| {statistics.median(ratios):.3f} | {low:.3f} to {high:.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True)
    parser.add_argument("--after", required=True)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--recipients", type=int, default=60_000, help="of a mailing that is sent")
    parser.add_argument("--stored", type=int, default=1_000_000, help="of a mailing in the store alone")
    parser.add_argument("--only", nargs="+", choices=[*SENDING, *STORING], default=[*SENDING, *STORING])
    parser.add_argument("--json", type=pathlib.Path, help="where every figure is written, after each pair")
    arguments = parser.parse_args()
    programs = (arguments.before, arguments.after)
    figures = {workload: [] for workload in arguments.only}
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(smtp_sink()) if set(arguments.only) & set(SENDING) else None
        server = stack.enter_context(postgresql.server(settings=["max_wal_size=4GB"])) if "PostgreSQL" in arguments.only else None

        def run(workload, program):
            if workload in SENDING:
                return sending(program, arguments.recipients, SENDING[workload], port)
            return storing(program, arguments.stored, server if workload == "PostgreSQL" else None)

        for number in range(arguments.pairs):
            for workload in arguments.only:
                order = (0, 1) if number % 2 == 0 else (1, 0)
                pair = [None, None]
                for which in order:
                    pair[which] = run(workload, programs[which])
                figures[workload].append(pair)
            if arguments.json:
                arguments.json.write_text(json.dumps(figures, indent=1))
            print(f"pair {number + 1} of {arguments.pairs}", flush=True)
    print("\n| workload | figure | before | after | ratio | its interval |\n|---|---|---|---|---|---|")
    for workload, pairs in figures.items():
        table(workload, pairs)


if __name__ == "__main__":
    main()
