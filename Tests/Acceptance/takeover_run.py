"""Kills the active of two masters again and again during a running mailing, and reconciles.

Usage: takeover_run.py [--telstar BINARY] [--kills N] [--recipients N]
"""

import argparse
import pathlib
import signal
import statistics
import tempfile
import time

import pair
import postgresql
import telstar


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--telstar", default=telstar.BINARY)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--recipients", type=int, default=20_000)
    arguments = parser.parse_args()
    telstar.BINARY = arguments.telstar
    took, silent = [], []
    with tempfile.TemporaryDirectory() as directory, postgresql.server() as database:
        directory = pathlib.Path(directory)
        # Slow enough that the mailing runs all the time.
        sink = telstar.Sink(directory / "sink", "at dot: delay 150ms\n")
        try:
            with pair.running(directory / "pair", database.url, sink.port) as masters:
                mailing = telstar.make_mailing(masters.api(), telstar.people(arguments.recipients))
                telstar.await_condition(sink.messages, "mail goes out")
                for number in range(arguments.kills):
                    began = time.monotonic()
                    seconds, former = masters.takeover(signal.SIGKILL)
                    took.append(seconds)
                    # What had been started has arrived in the meantime; the next message is the new master's doing.
                    received = len(sink.messages())
                    telstar.await_condition(lambda: len(sink.messages()) > received, "mail goes out again", 60, 0.02)
                    silent.append(time.monotonic() - began)
                    print(f"kill {number + 1}: {seconds:.2f} s, mail after {silent[-1]:.2f} s, {received} received",
                          flush=True)
                    former.start()
                was_running = masters.mailing(mailing)["status"] == "RUNNING"
                telstar.await_condition(lambda: masters.mailing(mailing)["status"] == "FINISHED", "it finishes", 1200)
                last = telstar.reconcile(masters, sink, mailing)
                uncertain = sum(1 for event in last.values() if event.get("uncertain"))
                print(f"{len(took)} takeovers: median {statistics.median(took):.2f} s, worst {max(took):.2f} s; "
                      f"mail again after {statistics.median(silent):.2f} s, worst {max(silent):.2f} s; "
                      f"{len(last)} of {arguments.recipients} reported, lost 0, repeated 0, uncertain {uncertain}; "
                      f"{'running' if was_running else 'finished'} at the last")
        finally:
            sink.stop()


if __name__ == "__main__":
    main()
