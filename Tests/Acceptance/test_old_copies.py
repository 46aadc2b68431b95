"""A daemon's files are set back to an older copy while a mailing runs: whatever may have been sent since is known or listed."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import urllib.request

import pair
import postgresql
import pytest
import telstar

CONFIRMED = 0


def status(master):
    with urllib.request.urlopen(f"http://127.0.0.1:{master.status_port}/status", timeout=telstar.DEADLINE) as answer:
        return json.load(answer)


def copy(source, target):
    """As operators do: everything with its times, into a new directory."""
    subprocess.run(["cp", "-a", source, target], check=True)


@contextlib.contextmanager
def stopped(process):
    """Its files stand still meanwhile."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


class SQLiteFiles:
    """A store in the master's data directory."""

    def __init__(self, directory):
        self.data = directory / "roles" / "master" / "data"
        self.saved = directory / "saved"
        self.url = f"sqlite:{self.data}/store.sqlite"

    def copy(self, master):
        with stopped(master.program.process):
            copy(self.data, self.saved)

    def put_back(self, master):
        shutil.rmtree(self.data)
        copy(self.saved, self.data)

    def highest_lease(self):
        with sqlite3.connect(f"file:{self.data}/store.sqlite?mode=ro", uri=True) as database:
            return int(database.execute("SELECT value FROM meta WHERE name = 'lease'").fetchone()[0])


class PostgreSQLFiles:
    """A store in a server, copied by a base backup."""

    def __init__(self, server):
        self.server = server
        self.url = server.url
        self.saved = server.directory / "saved"

    def copy(self, master):
        self.server._run("pg_basebackup", *self.server._access, "-D", self.saved, "--checkpoint=fast")

    def put_back(self, master):
        self.server.stop("immediate")
        shutil.rmtree(self.server.data)
        copy(self.saved, self.server.data)
        self.server.start()

    def highest_lease(self):
        return int(self.server.query("SELECT value FROM meta WHERE name = 'lease'")[0])


@contextlib.contextmanager
def files(kind, directory):
    if kind == "sqlite":
        yield SQLiteFiles(directory)
    else:
        with postgresql.server() as server:
            yield PostgreSQLFiles(server)


@contextlib.contextmanager
def running(directory, url, script, **credit):
    """A master and a satellite that holds so much; the sink's pace leaves time for what a test does in the middle."""
    sink = telstar.Sink(directory / "sink", script)
    try:
        with pair.running(directory / "roles", url, sink.port, names=["master"]) as roles:
            roles.satellite.stop()
            with roles.satellite_config.open("a") as config:
                config.write("credit:\n" + "".join(f"  {name}: {value}\n" for name, value in credit.items()))
            roles.satellite = roles.start_satellite()
            yield roles, sink
    finally:
        sink.stop()


def start_mailing(roles, count):
    """Nobody of unknown outcome is sent to again, so that every second copy is a fault."""
    return telstar.make_mailing(roles.api(), telstar.people(count), uncertain_policy="hold")


def await_more(sink, count, what):
    target = len(sink.messages()) + count
    telstar.await_condition(lambda: len(sink.messages()) >= target, what)


def check_end(roles, sink, mailing, count):
    """Nobody twice, nobody lost; returns who is listed as uncertain."""
    telstar.await_condition(lambda: roles.mailing(mailing)["status"] == "FINISHED", "the mailing finishes")
    copies = sink.copies()
    twice = {address for address, number in copies.items() if number > 1}
    assert not twice, f"{len(twice)} were sent to twice, such as {sorted(twice)[:5]}"
    last = telstar.reconcile(roles, sink, mailing)
    uncertain = {address for address, event in last.items() if event.get("uncertain")}
    assert len(last) == count
    assert len(set(copies) | uncertain) == count
    return uncertain


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_masters_files_put_back_are_recognised_without_any_lease_in_between(kind, tmp_path):
    people = 3000
    with files(kind, tmp_path) as store, running(tmp_path, store.url, "at dot: delay 60ms\n", started=300) as (roles, sink):
        [master] = roles.masters
        mailing = start_mailing(roles, people)

        def all_leased():
            now = status(master)
            return now["leased"] > 0 and now["backlog"] == 0 and now["mailings"].get("running") == 1
        telstar.await_condition(all_leased, "everybody is leased")
        await_more(sink, 200, "mail goes out")
        # The receiver stands still while files are copied and the master ends: what a slow machine takes for it costs no mail.
        with stopped(sink.process):
            lease = store.highest_lease()
            store.copy(master)
        await_more(sink, 900, "the mailing goes on")
        with stopped(sink.process):
            assert store.highest_lease() == lease
            master.kill()
        at_loss = len(sink.messages())
        assert at_loss < people - 600

        store.put_back(master)
        master.start()
        reason = telstar.await_condition(lambda: status(master).get("safe_mode"), "it knows that it is behind")
        assert "restored or cloned copy" in reason
        assert master.readiness()[0] == 503
        telstar.await_condition(
            lambda: "the master is in safe mode" in roles.satellite.text(), "the satellite has asked, and was refused")
        # What the satellite had permission to start goes out, and nothing else.
        with pytest.raises(telstar.Unmet):
            telstar.await_condition(lambda: len(sink.messages()) > at_loss + 600, "mail without leave", deadline=6)
        assert max(sink.copies().values()) == 1

        confirmed = subprocess.run(
            [telstar.BINARY, "confirm-store", "--dir", str(master.data)], capture_output=True, text=True, timeout=telstar.DEADLINE)
        assert confirmed.returncode == CONFIRMED, confirmed
        telstar.await_condition(lambda: master.is_active, "it is ready")
        uncertain = check_end(roles, sink, mailing, people)
        # Those that were sent to in the time that was lost, and whose outcome nobody has any more.
        assert 0 < len(uncertain) < people - 600

        # The confirmation is kept, and the satellite's memory is in line with the store.
        assert master.program.stop() == 0
        master.start()
        telstar.await_condition(lambda: master.is_active, "it is ready again")
        telstar.await_condition(
            lambda: any(satellite["connected"] for satellite in status(master)["satellites"]), "the satellite is back")
        assert status(master).get("safe_mode") is None


def put_back_as_new_files(saved, data):
    shutil.rmtree(data)
    copy(saved, data)


def put_back_in_place(saved, data):
    copy(f"{saved}/.", data)


@pytest.mark.parametrize("put_back", [put_back_as_new_files, put_back_in_place])
def test_a_satellites_files_put_back_make_what_was_started_uncertain(put_back, tmp_path):
    people = 6000
    with running(tmp_path, f"sqlite:{tmp_path}/store.sqlite", "at dot: delay 20ms\n", bulk=8000) as (roles, sink):
        mailing = start_mailing(roles, people)
        await_more(sink, 1000, "mail goes out")
        data, saved = tmp_path / "roles" / "satellite", tmp_path / "saved"
        with stopped(roles.satellite.process):
            copy(data, saved)
        await_more(sink, 600, "the mailing goes on")
        roles.satellite.process.kill()
        roles.satellite.process.wait()
        put_back(saved, data)
        roles.satellite = roles.start_satellite()
        uncertain = check_end(roles, sink, mailing, people)
        assert uncertain
        assert "journal is not the newest that was seen of it" in roles.masters[0].program.text()


def second_satellite(roles, directory, data):
    """A process with another data directory and everything else the same."""
    config = directory / "second.yaml"
    text = roles.satellite_config.read_text().replace(f"{directory}/roles/satellite", str(data))
    listen = next(line for line in text.splitlines() if line.startswith("  listen:"))
    config.write_text(text.replace(listen, f'  listen: "127.0.0.1:{telstar.free_port()}"'))
    return telstar.Program(["satellite", "--config", config], directory / "second.log")


@pytest.mark.parametrize("end_of_original", [None, signal.SIGKILL, signal.SIGTERM], ids=["goes on", "is killed", "is stopped"])
def test_a_copy_started_beside_a_satellite_is_turned_away(end_of_original, tmp_path):
    people = 6000
    with running(tmp_path, f"sqlite:{tmp_path}/store.sqlite", "at dot: delay 20ms\n", bulk=8000) as (roles, sink):
        mailing = start_mailing(roles, people)
        await_more(sink, 1000, "mail goes out")
        with stopped(roles.satellite.process):
            copy(tmp_path / "roles" / "satellite", tmp_path / "copied")
        second = second_satellite(roles, tmp_path, tmp_path / "copied")
        try:
            telstar.await_condition(
                lambda: "a second process came with a copy of its journal" in second.text(), "the copy is rejected")
            assert "a second process came with a copy of its journal" in roles.masters[0].program.text()
            assert roles.satellite.process.poll() is None
            if end_of_original is not None:
                os.kill(roles.satellite.process.pid, end_of_original)
                roles.satellite.process.wait()
            uncertain = check_end(roles, sink, mailing, people)
            if end_of_original is None:
                assert not uncertain
        finally:
            second.stop()
