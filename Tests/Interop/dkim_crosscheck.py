#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verify every signature of a directory of messages with other people's implementations.

usage: dkim_crosscheck.py DIRECTORY KEYS [--expect-bad] [--no-opendkim]

DIRECTORY holds messages as *.eml with CRLF line ends. KEYS has one key record to a line: the DNS name, a space, the
record. Each signature of each message is checked with dkimpy (Ed25519 needs pynacl) and, where the program opendkim is
installed, with it too. The last line is a summary of counts; the exit status is 0 only if all messages have
at least one signature and all signatures are good. With --expect-bad it is 0 only if dkimpy finds none good.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import dkim


def read_keys(path):
    keys = {}
    for line in path.read_text().splitlines():
        name, _, record = line.strip().partition(" ")
        if record:
            keys[name.rstrip(".").lower()] = record
    return keys


def check_with_dkimpy(message, keys):
    """The verdicts of all signatures, from the top down."""

    def fetch(name, timeout=5):
        if isinstance(name, bytes):
            name = name.decode()
        return keys.get(name.rstrip(".").lower(), "").encode() or None

    count = len(re.findall(rb"(?im)^dkim-signature[ \t]*:", message.split(b"\r\n\r\n", 1)[0]))
    verdicts = []
    for index in range(count):
        try:
            verdicts.append(bool(dkim.DKIM(message, minkey=1024).verify(idx=index, dnsfunc=fetch)))
        except dkim.DKIMException as error:
            print(f"  dkimpy: {error}")
            verdicts.append(False)
    return verdicts


class OpenDKIM:
    """The program opendkim in its test mode, with keys from a file instead of the DNS."""

    def __init__(self, keys, folder):
        self.program = shutil.which("opendkim") or shutil.which("opendkim", path="/usr/sbin:/usr/local/sbin")
        self.folder = pathlib.Path(folder)
        (self.folder / "keys").write_text("".join(f"{name} {record}\n" for name, record in keys.items()))
        (self.folder / "conf").write_text(
            f"Mode v\nTestPublicKeys {self.folder}/keys\nSyslog no\nUserID {self.user()}\n"
        )

    @staticmethod
    def user():
        import getpass

        return getpass.getuser()

    def check(self, path):
        """How many signatures are good, and what the program said."""
        run = subprocess.run(
            [self.program, "-x", str(self.folder / "conf"), "-t", str(path), "-vv"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return len(re.findall(r"(?m)^\s+dkim=pass\b", run.stdout)), (run.stdout + run.stderr).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("keys", type=pathlib.Path)
    parser.add_argument("--expect-bad", action="store_true")
    parser.add_argument("--no-opendkim", action="store_true")
    arguments = parser.parse_args()
    keys = read_keys(arguments.keys)
    messages = sorted(arguments.directory.glob("*.eml"))
    counts = dict(messages=len(messages), signatures=0, dkimpy=0, opendkim=0, unsigned=0)
    with tempfile.TemporaryDirectory() as folder:
        other = OpenDKIM(keys, folder)
        use_other = bool(other.program) and not arguments.no_opendkim and not arguments.expect_bad
        for path in messages:
            verdicts = check_with_dkimpy(path.read_bytes(), keys)
            counts["signatures"] += len(verdicts)
            counts["dkimpy"] += sum(verdicts)
            counts["unsigned"] += not verdicts
            if not all(verdicts) and not arguments.expect_bad:
                print(f"{path.name}: dkimpy: {verdicts}")
            if use_other:
                good, said = other.check(path)
                counts["opendkim"] += good
                if good != len(verdicts):
                    print(f"{path.name}: opendkim: {said}")
    print(" ".join(f"{name}={count}" for name, count in counts.items()) + ("" if use_other else " (without opendkim)"))
    if arguments.expect_bad:
        return 0 if messages and counts["dkimpy"] == 0 else 1
    good = messages and not counts["unsigned"] and counts["dkimpy"] == counts["signatures"]
    return 0 if good and (not use_other or counts["opendkim"] == counts["signatures"]) else 1


if __name__ == "__main__":
    sys.exit(main())
