"""A store of the schema before the newest, with so many recipients: killed while it is brought up to date, and gone on with.

Usage: migration_run.py [--telstar BINARY] [--store sqlite|postgresql] [--rows N]
"""

import argparse
import contextlib
import json
import pathlib
import signal
import sqlite3
import subprocess
import tempfile
import time
import xmlrpc.client

import pair
import postgresql
import telstar


# What undoes the rest of the newest step.
UNDOING = ["DROP INDEX account_name", *(f"ALTER TABLE account DROP COLUMN {name}" for name in ("folded", "created", "removed"))]


class SQLite:
    # The tables that the newest step makes.
    made = ["credential", "account_object"]

    def __init__(self, path):
        self.path = path
        self.url = f"sqlite:{path}"

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            return [row[0] for row in database.execute(sql).fetchall()]

    def version(self):
        return self.query("PRAGMA user_version")[0]

    def tables(self):
        return self.query("SELECT name FROM sqlite_master WHERE type = 'table'")

    def undo(self, version):
        for statement in [*(f"DROP TABLE {table}" for table in self.made), *UNDOING, f"PRAGMA user_version = {version}"]:
            self.query(statement)


class PostgreSQL:
    made = ["credential", "account_object"]

    def __init__(self, server):
        self.server = server
        self.url = server.url

    def query(self, sql):
        return self.server.query(sql)

    def version(self):
        return int(self.query("SELECT version FROM store")[0])

    def tables(self):
        return self.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")

    def undo(self, version):
        for statement in [*(f"DROP TABLE {table}" for table in self.made), *UNDOING, f"UPDATE store SET version = {version}"]:
            self.query(statement)


def run(store, directory, rows):
    """Returns how many seconds the master took to be ready after the kill."""
    master = pair.Master(directory / "master", store.url)
    master.start()
    try:
        telstar.await_condition(lambda: master.is_active, "the master serves")

        def command(*words):
            return json.loads(subprocess.check_output(
                [telstar.BINARY, *map(str, words), "--dir", str(master.data), "--json"], text=True))
        key = command("key", "create", "--name", "migration")["key"]
        api = xmlrpc.client.ServerProxy(f"http://admin:{key}@127.0.0.1:{master.api}/CloudMailing", allow_none=True)
        mailing = telstar.make_mailing(api, [], start=False)
        people = directory / "people.csv"
        people.write_text("email,number\n" + "".join(f"p{number}@d{number % 50}.test,{number}\n" for number in range(rows)))
        command("mailing", "import", mailing, people)
        assert master.program.stop() == 0
        deliveries = [table for table in store.tables() if table == "delivery" or table.startswith("delivery_")]
        version = store.version()
        store.undo(version - 1)

        master.start({"TELSTAR_CRASH_AT": "masterWithinMigration"})
        master.program.process.wait(telstar.DEADLINE)
        assert master.program.process.returncode == -signal.SIGKILL, master.program.text()
        assert store.version() == version - 1
        assert not set(store.made) & set(store.tables())

        began = time.monotonic()
        master.start()
        telstar.await_condition(lambda: master.is_active, "the master serves again", every=0.01)
        took = time.monotonic() - began
        assert store.version() == version
        assert set(store.made) <= set(store.tables())
        assert "the store's tables are brought up to date" in master.program.text()
        assert api.list_mailings({"id": [mailing]})[0]["total_recipient"] == rows
        recipients = [table for table in store.tables() if table == "recipient" or table.startswith("recipient_")]
        assert sum(int(store.query(f"SELECT count(*) FROM {table}")[0]) for table in recipients) == rows
        return took, len(deliveries)
    finally:
        master.program.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--telstar", default=telstar.BINARY)
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    telstar.BINARY = arguments.telstar
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        is_local = arguments.store == "sqlite"
        store = SQLite(directory / "store.sqlite") if is_local else PostgreSQL(stack.enter_context(postgresql.server()))
        took, tables = run(store, directory, arguments.rows)
        print(f"{arguments.store}: {arguments.rows} recipients, {tables} tables of deliveries, killed in the middle: "
              f"ready {took:.2f} s after the next start")


if __name__ == "__main__":
    main()
