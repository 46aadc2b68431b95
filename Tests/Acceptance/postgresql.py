"""A PostgreSQL server of the test's own, run by an unprivileged user on a Unix socket and a port of 127.0.0.1."""

import contextlib
import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import telstar


def _programs():
    """Debian keeps the server's programs out of the PATH."""
    found = shutil.which("initdb")
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin")) + ([os.path.dirname(found)] if found else [])
    assert folders, "PostgreSQL's server programs are missing: scripts/install-packages test"
    return pathlib.Path(folders[0])


class PostgreSQL:
    def __init__(self, settings=()):
        self.bin = _programs()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="telstar-pg-"))
        self.port = telstar.free_port()
        if os.getuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        self.data = self.directory / "data"
        self._run("initdb", "-D", self.data, "-U", "telstar", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.directory}", *settings]
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("".join(f"{name} = '{value}'\n" for name, value in (option.split("=", 1) for option in options)))
        self.start()
        try:
            self._run("createdb", "-h", self.directory, "-p", self.port, "-U", "telstar", "store")
        except AssertionError:
            self.remove()
            raise

    @property
    def url(self):
        return f"postgresql://telstar@127.0.0.1:{self.port}/store"

    def start(self):
        self._run("pg_ctl", "-D", self.data, "-l", self.directory / "log", "-w", "-t", "60", "start")

    def stop(self, how="fast"):
        self._run("pg_ctl", "-D", self.data, "-m", how, "-w", "stop")

    def dump(self, name):
        """Copies the running store to a file, as operators do."""
        self._run("pg_dump", *self._access, "--format=custom", f"--file={self.directory / name}", "store")

    def restore(self, name, database):
        """Fills a fresh database from a copy; returns its URL."""
        self._run("createdb", *self._access, database)
        self._run("pg_restore", *self._access, "--no-owner", "--exit-on-error", "-d", database, self.directory / name)
        return self.url.removesuffix("store") + database

    @property
    def _access(self):
        return "-h", self.directory, "-p", self.port, "-U", "telstar"

    def query(self, sql):
        """The first column of each row, as text."""
        return self._run("psql", "-h", self.directory, "-p", self.port, "-U", "telstar", "-d", "store", "-AtXc", sql).split()

    def _run(self, program, *arguments):
        command = [str(self.bin / program), *map(str, arguments)]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        # The server inherits nothing that would keep this process waiting for its output.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/")
            output.seek(0)
            text = output.read().decode(errors="replace")
        assert done.returncode == 0, f"{program}: {text}"
        return text

    def remove(self):
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def server(**options):
    postgresql = PostgreSQL(**options)
    try:
        yield postgresql
    finally:
        postgresql.remove()
