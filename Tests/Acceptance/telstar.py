"""Drives the real program from outside: a cluster, a sink, and the questions that tests ask of both."""

import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
import xmlrpc.client

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TELSTAR_BINARY", str(ROOT / ".build/debug/telstar"))
# Only what hangs takes this long.
DEADLINE = float(os.environ.get("TEST_DEADLINE", "600"))
# Never set: waiting for it paces the questions put to processes that offer nothing to await.
NOTHING = threading.Event()


class Unmet(AssertionError):
    """A condition that did not come true in time."""


def await_condition(question, what, deadline=DEADLINE, every=0.05):
    """The first true answer of `question`; an exception that a restart explains counts as not yet."""
    until = time.monotonic() + deadline
    last = None
    while time.monotonic() < until:
        try:
            answer = question()
            if answer:
                return answer
            last = answer
        except (OSError, xmlrpc.client.Error, json.JSONDecodeError, KeyError) as error:
            last = error
        NOTHING.wait(every)
    raise Unmet(f"{what}: not within {deadline} s, last answer {last!r}")


# The last ports that were given to somebody; not all, since a run asks for thousands.
GIVEN = collections.deque(maxlen=200)


def free_port():
    """A port below those of outgoing connections, which might take one of their own range while its server restarts."""
    first_outgoing = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(10240, max(11240, first_outgoing))
    # Workers that test side by side draw from ports of their own: a port is free between the draw and its server's start.
    worker, workers = (int(os.environ.get(name, default).lstrip("gw")) for name, default in (
        ("PYTEST_XDIST_WORKER", "gw0"), ("PYTEST_XDIST_WORKER_COUNT", "1")))
    while True:
        with socket.socket() as probe:
            port = random.choice(ports[worker::workers])
            # The one who asked last may not listen yet.
            if port in GIVEN:
                continue
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            GIVEN.append(port)
            return port


def free_ports(role):
    """Flags that move a role's listeners off the default ports, which another program of this machine may have."""
    addresses = {"status.listen": "127.0.0.1"}
    if role == "master":
        addresses |= {"api.listen": "127.0.0.1", **{
            f"link.{name}": "tcp://127.0.0.1" for name in ("listen", "contentListen", "enrolListen")}}
    return [word for key, host in addresses.items() for word in ("--set", f"{key}={host}:{free_port()}")]


def as_somebody_else():
    """The program's command line as a user without rights; the test is skipped where there can be none."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("another user is needed")
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY]
    try:
        may = subprocess.run([*command, "--version"], capture_output=True, cwd="/").returncode == 0
    except OSError:
        may = False
    if not may:
        pytest.skip("another user may not run the program where it lies")
    return command


class Program:
    """A running `telstar` subcommand."""

    def __init__(self, arguments, log, environment=None):
        self.log = pathlib.Path(log)
        self.output = self.log.open("ab")
        self.process = subprocess.Popen(
            [BINARY, *map(str, arguments)], stdout=self.output, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})})

    def stop(self, patience=DEADLINE):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()
        return self.process.returncode

    def text(self):
        return self.log.read_text(errors="replace")


class Sink(Program):
    """A receiving server with a journal."""

    def __init__(self, directory, script=None, port=None, addresses=("127.0.0.2",), arguments=()):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.journal = self.directory / "sink.jsonl"
        arguments = ["sink", "--listen", ",".join(f"{a}:{self.port}" for a in addresses), "--journal", self.journal, *arguments]
        if script is not None:
            (self.directory / "sink.script").write_text(script)
            arguments += ["--script", self.directory / "sink.script"]
        super().__init__(arguments, self.directory / "sink.log")
        await_condition(lambda: socket.create_connection((addresses[0], self.port), 1).close() or True, "sink listens")

    def messages(self):
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text().splitlines() if line.endswith("}")]

    def copies(self):
        """How many messages the receiver holds by recipient."""
        return collections.Counter(address for message in self.messages() for address in message["rcpt_to"])


class Cluster(Program):
    """A local cluster: a master and its satellites."""

    def __init__(self, directory, sink_port, satellites=1, zone="* MX 10 mx.sink.test\nmx.sink.test A 127.0.0.2\n",
                 settings=(), environment=None, arguments=(), api_port=0):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "zone").write_text(zone)
        flags = [flag for setting in settings for flag in ("--set", setting)]
        super().__init__(
            ["cluster", "--dir", self.directory / "cluster", "--satellites", satellites, "--api-port", api_port,
             "--smtp-port", sink_port, "--fake-dns", self.directory / "zone", *flags, *arguments],
            self.directory / "cluster.log", environment)
        self.file = self.directory / "cluster" / "cluster.json"
        try:
            self.described = await_condition(self.describe, "the cluster is ready")
        except Unmet:
            self.stop()
            raise Unmet(self.text()) from None

    def describe(self):
        if self.process.poll() is not None:
            raise Unmet(f"the cluster ended with {self.process.returncode}: {self.text()[-4000:]}")
        return json.loads(self.file.read_text())

    def logs(self, lines=40):
        """The last lines of the cluster and of each of its processes."""
        texts = {"cluster": self.text(), **{
            name: pathlib.Path(path).read_text(errors="replace") for name, path in self.described["logs"].items()}}
        return "\n".join(f"-- {name}\n" + "\n".join(text.splitlines()[-lines:]) for name, text in texts.items())

    @property
    def certificate(self):
        """The file of the API's certificate."""
        return self.directory / "cluster" / "master" / "certificate.pem"

    @property
    def pids(self):
        return self.describe()["pids"]

    def kill(self, role, number=signal.SIGKILL, index=0):
        pid = self.pids[role][index]
        os.kill(pid, number)
        return pid

    def api(self):
        """A fresh XML-RPC client over TLS, with the certificate unchecked as the original's clients do."""
        url = self.described["api_url"].replace("https://", f"https://admin:{self.described['api_key']}@")
        return xmlrpc.client.ServerProxy(url + "/CloudMailing", context=ssl._create_unverified_context())

    def status(self):
        with urllib.request.urlopen(self.described["status_url"], timeout=DEADLINE) as answer:
            return json.load(answer)

    def mailing(self, mailing):
        return self.api().list_mailings({"id": [mailing]})[0]

    def await_status(self, mailing, status, deadline=DEADLINE):
        def question():
            current = self.mailing(mailing)
            return current if current["status"] == status else None
        return await_condition(question, f"mailing {mailing} is {status}", deadline)

    def feed(self, mailing=None, statuses=()):
        """Every event of the feed in order."""
        api, cursor, events = self.api(), "", []
        while True:
            filters = {}
            if mailing is not None:
                filters["mailings"] = [mailing]
            if statuses:
                filters["status"] = list(statuses)
            page = api.get_recipients_status_updated_since(cursor, filters, 1000)
            if not page["recipients"]:
                return events
            events += page["recipients"]
            cursor = page["cursor"]


@contextlib.contextmanager
def cluster_with_sink(directory, script=None, **options):
    directory = pathlib.Path(directory)
    sink = Sink(directory / "sink", script)
    try:
        cluster = Cluster(directory, sink.port, **options)
        try:
            yield cluster, sink
        except BaseException:
            print(cluster.logs())
            raise
        finally:
            cluster.stop()
    finally:
        sink.stop()


def make_mailing(api, recipients, domain="example.org", subject="Hello {{ firstname }}", start=True, **properties):
    mailing = api.create_mailing(f"news@{domain}", "News", subject, "<p>Dear {{ firstname }}, {{ text }}</p>",
                                 "Dear {{ firstname }}, {{ text }}\n", "utf-8")
    if properties:
        api.set_mailing_properties(mailing, properties)
    for first in range(0, len(recipients), 1000):
        answers = api.add_recipients(mailing, recipients[first:first + 1000])
        assert all("id" in answer for answer in answers), answers
    if start:
        api.start_mailing(mailing)
    return mailing


def people(count, domains=("one.test", "two.test", "three.test"), prefix="person"):
    return [{"email": f"{prefix}{number}@{domains[number % len(domains)]}", "firstname": f"Zoë {number}", "lastname": "Müller",
             "text": "für alle"} for number in range(count)]


def reconcile(cluster, sink, mailing):
    """Counters = feed replay = what the receiver holds; returns the final word on each recipient."""
    counters = cluster.mailing(mailing)
    last = {}
    for event in cluster.feed(mailing):
        last[event["email"]] = event
    statuses = collections.Counter(event["status"] for event in last.values())
    uncertain = {address for address, event in last.items() if event.get("uncertain")}
    copies = sink.copies()
    finished = {address for address, event in last.items() if event["status"] == "FINISHED"}
    assert counters["total_sent"] == statuses["FINISHED"], (counters, statuses)
    assert counters["total_error"] == statuses["ERROR"] + statuses["GENERAL_ERROR"], (counters, statuses)
    assert counters["total_softbounce"] == statuses["WARNING"], (counters, statuses)
    lost = {a for a in finished if copies[a] == 0 and a not in uncertain}
    repeated = {a for a, n in copies.items() if n > 1 and a not in uncertain and a in last}
    unaccounted = {a for a, n in copies.items() if a in last and n and a not in finished and a not in uncertain}
    assert not lost, f"reported delivered but never received: {sorted(lost)[:5]}"
    assert not repeated, f"received more than once: {sorted(repeated)[:5]}"
    assert not unaccounted, f"received but reported otherwise: {sorted(unaccounted)[:5]}"
    return last
