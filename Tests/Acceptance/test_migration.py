"""A master that is killed while it brings its store up to date changes nothing; the next start goes on."""

import migration_run
import postgresql


def test_a_kill_in_the_middle_on_sqlite(tmp_path):
    _, tables = migration_run.run(migration_run.SQLite(tmp_path / "store.sqlite"), tmp_path, 51_000)
    assert tables == 2  # a partition among them


def test_a_kill_in_the_middle_on_postgresql(tmp_path):
    with postgresql.server() as server:
        _, tables = migration_run.run(migration_run.PostgreSQL(server), tmp_path, 51_000)
    assert tables == 2
