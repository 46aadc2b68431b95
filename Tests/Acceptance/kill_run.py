"""Kills the satellite, then the master, with SIGKILL in the midst of a large mailing, and reconciles.

Usage: kill_run.py [--telstar BINARY] [--recipients N]
"""

import argparse
import pathlib
import tempfile
import time

import telstar


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--telstar", default=telstar.BINARY)
    parser.add_argument("--recipients", type=int, default=100_000)
    arguments = parser.parse_args()
    telstar.BINARY = arguments.telstar
    domains = tuple(f"domain{number}.test" for number in range(12))
    with tempfile.TemporaryDirectory() as directory:
        with telstar.cluster_with_sink(pathlib.Path(directory), settings=["finishGrace=0s"]) as (cluster, sink):
            mailing = telstar.make_mailing(cluster.api(), telstar.people(arguments.recipients, domains))
            began = time.monotonic()
            for role, share in (("satellite", 0.25), ("master", 0.6)):
                wanted = arguments.recipients * share
                telstar.await_condition(lambda: sink.journal.exists() and sink.journal.stat().st_size > wanted * 250,
                                        f"{share:.0%} are on their way")
                print(f"kill -9 of the {role}, process {cluster.kill(role)}, after {time.monotonic() - began:.1f} s", flush=True)
            cluster.await_status(mailing, "FINISHED", 300)
            took = time.monotonic() - began
            last = telstar.reconcile(cluster, sink, mailing)
            uncertain = sorted(address for address, event in last.items() if event.get("uncertain"))
            print(f"{len(last)} recipients in {took:.1f} s: lost 0, repeated 0, uncertain {len(uncertain)}")
            print("uncertain:", ", ".join(uncertain[:40]) or "none")


if __name__ == "__main__":
    main()
