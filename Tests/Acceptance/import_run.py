"""How fast a large CSV with some bad lines comes in, in how much memory, and what the side file holds.

Usage: import_run.py [--telstar BINARY] [--store sqlite|postgresql] [--rows N] [--repeat]
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import tempfile
import time
import xmlrpc.client

import pair
import postgresql
import telstar

NAMES = ["Zoë", "Müller", "José", "Ann", "Łukasz", "Иван"]


def write(path, rows):
    """One row of a thousand has no address; returns how many."""
    bad = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("email,firstname,lastname,city,customer\n")
        for number in range(rows):
            is_bad = number % 1000 == 500
            bad += is_bad
            address = f"nobody {number}" if is_bad else f"person{number}@domain{number % 50}.test"
            file.write(f"{address},{NAMES[number % 6]},{NAMES[(number + 1) % 6]},Zürich,{number}\n")
    return bad


def peak(pid):
    """The largest resident set of a process so far, in MiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no peak")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--telstar", default=telstar.BINARY)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", action="store_true", help="import the same file again")
    arguments = parser.parse_args()
    telstar.BINARY = arguments.telstar
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        path = directory / "people.csv"
        bad = write(path, arguments.rows)
        is_local = arguments.store == "sqlite"
        url = f"sqlite:{directory}/store.sqlite" if is_local else stack.enter_context(postgresql.server()).url
        master = pair.Master(directory / "master", url)
        master.start()
        stack.callback(master.program.stop)
        telstar.await_condition(lambda: master.is_active, "the master serves")

        def run(*words):
            done = subprocess.run([telstar.BINARY, *map(str, words), "--dir", str(master.data), "--json"],
                                  text=True, capture_output=True)
            # 65 says that some lines were refused.
            assert done.returncode in (0, 65), done.stderr
            return json.loads(done.stdout)
        key = run("key", "create", "--name", "import")["key"]
        api = xmlrpc.client.ServerProxy(f"http://admin:{key}@127.0.0.1:{master.api}/CloudMailing", allow_none=True)
        mailing = telstar.make_mailing(api, [], start=False)
        for turn in range(1 + arguments.repeat):
            began = time.monotonic()
            answer = run("mailing", "import", mailing, path)
            took = time.monotonic() - began
            side = pathlib.Path(f"{path}.errors.ndjson").read_text().splitlines()
            assert answer["accepted"] == arguments.rows - bad and answer["refused"] == len(side) == bad, answer
            assert answer["repeated"] == (arguments.rows - bad if turn else 0), answer
            assert api.list_mailings({"id": [mailing]})[0]["total_recipient"] == arguments.rows - bad
            print(f"{arguments.store}: {arguments.rows} rows of {path.stat().st_size / 1e6:.0f} MB in {took:.1f} s: "
                  f"{arguments.rows / took:.0f} a second, {bad} bad lines, the master's peak {peak(master.program.process.pid):.0f} MiB",
                  flush=True)
        print(f"side file: {len(side)} lines, the first {side[0]}")


if __name__ == "__main__":
    main()
