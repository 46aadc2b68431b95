"""A store is copied while a mailing runs, lost, and restored: the master knows that it is behind, and waits for the operator."""

import contextlib
import json
import shutil
import subprocess
import urllib.request
import xmlrpc.client

import pair
import postgresql
import pytest
import telstar

PEOPLE = 3000


def run(*arguments):
    return subprocess.run([telstar.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=telstar.DEADLINE)


class SQLiteStore:
    """A store in a file, beside the master's keys."""

    def __init__(self, directory):
        self.directory = directory
        self.url = f"sqlite:{directory}/first.sqlite"

    def copy(self, master):
        backup = run("backup", self.directory / "copy.sqlite", "--dir", master.data)
        assert backup.returncode == 0, backup

    def restore(self):
        shutil.copy(self.directory / "copy.sqlite", self.directory / "second.sqlite")
        return f"sqlite:{self.directory}/second.sqlite"


class PostgreSQLStore:
    """A store in a database of a server."""

    def __init__(self, server):
        self.server = server
        self.url = server.url

    def copy(self, master):
        refused = run("backup", master.data / "copy", "--dir", master.data)
        assert refused.returncode != 0
        [line] = refused.stderr.splitlines()
        assert "pg_dump" in line
        self.server.dump("copy")

    def restore(self):
        return self.server.restore("copy", "second")


@contextlib.contextmanager
def stores(kind, directory):
    if kind == "sqlite":
        yield SQLiteStore(directory)
    else:
        with postgresql.server() as server:
            yield PostgreSQLStore(server)


def restored_api(master, key):
    """Of a master that is not ready, which the roles' own client would wait for."""
    return xmlrpc.client.ServerProxy(f"http://admin:{key}@127.0.0.1:{master.api}/CloudMailing", allow_none=True)


def status(master):
    with urllib.request.urlopen(f"http://127.0.0.1:{master.status_port}/status", timeout=telstar.DEADLINE) as answer:
        return json.load(answer)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_restored_store_sends_nothing_until_the_operator_says_so(kind, tmp_path):
    with stores(kind, tmp_path) as store:
        sink = telstar.Sink(tmp_path / "sink", "at dot: delay 60ms\n")
        try:
            with pair.running(tmp_path / "roles", store.url, sink.port, names=["master"], settings=["lease.size=20"]) as roles:
                [master] = roles.masters
                mailing = telstar.make_mailing(roles.api(), telstar.people(PEOPLE))
                telstar.await_condition(lambda: len(sink.messages()) > 200, "mail goes out")
                before = set(sink.copies())
                store.copy(master)
                at_copy = len(sink.messages())
                assert roles.mailing(mailing)["status"] == "RUNNING"
                telstar.await_condition(lambda: len(sink.messages()) > at_copy + 200, "the mailing goes on")
                ahead = roles.api().get_recipients_status_updated_since("", {}, PEOPLE)["cursor"]
                roles.satellite.stop()
                assert master.program.stop() == 0
                at_end = sink.copies()
                assert len(at_end) < PEOPLE and set(at_end.values()) == {1}

                # The directory keeps secret.key and link.key, which belong to a backup.
                master.use_store(store.restore())
                master.start()
                telstar.await_condition(lambda: master.readiness() is not None, "the master is back")
                roles.satellite = roles.start_satellite()
                reason = telstar.await_condition(lambda: status(master).get("safe_mode"), "it knows that it is behind")
                assert reason.endswith("a restored or cloned copy") and not status(master)["ready"]
                assert master.readiness()[0] == 503
                telstar.await_condition(
                    lambda: "the master is in safe mode" in roles.satellite.text(), "the satellite has asked, and was refused")
                with pytest.raises(telstar.Unmet):
                    telstar.await_condition(lambda: sink.copies() != at_end, "mail without the operator's word", deadline=4)

                with pytest.raises(xmlrpc.client.Fault) as refused:
                    restored_api(master, roles.key).get_recipients_status_updated_since(ahead, {}, 10)
                assert refused.value.faultCode == 410

                confirmed = run("confirm-store", "--dir", master.data)
                assert confirmed.returncode == 0, confirmed
                telstar.await_condition(lambda: master.is_active, "it is ready")
                telstar.await_condition(lambda: roles.mailing(mailing)["status"] == "FINISHED", "the mailing finishes")
                # Nobody has it twice but those to whom it went after the copy was begun.
                copies = sink.copies()
                assert max(copies.values()) <= 2
                twice = {address for address, count in copies.items() if count == 2}
                assert twice <= set(at_end) - before
                # Whom the satellite had, in the copy, and has no longer is uncertain, and not sent to again: nobody else is without mail.
                last = {event["email"]: event for event in roles.feed(mailing)}
                uncertain = {address for address, event in last.items() if event.get("uncertain")}
                assert len(last) == PEOPLE and not uncertain & twice
                assert set(last) - set(copies) <= uncertain
                assert {event["status"] for address, event in last.items() if address not in uncertain} == {"FINISHED"}
                assert roles.mailing(mailing)["total_sent"] == PEOPLE - len(uncertain)
        finally:
            sink.stop()
