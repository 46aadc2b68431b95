"""A PostgreSQL server of the test's own, run by an unprivileged user on a Unix socket and a port of 127.0.0.1."""

import contextlib
import errno
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


class NoSmallDisk(Exception):
    """A file system of one's own cannot be had here; the text says why."""


class SmallDisk:
    """A file system in memory of a few MiB, whose end the server meets with ENOSPC as on any other."""

    def __init__(self, megabytes):
        if os.getuid() != 0:
            raise NoSmallDisk("mounting a small file system takes root")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="telstar-disk-"))
        user = pwd.getpwnam("nobody")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700,uid={user.pw_uid},gid={user.pw_gid}", "tmpfs", self.directory],
            capture_output=True, text=True)
        if done.returncode != 0:
            self.directory.rmdir()
            raise NoSmallDisk(f"mounting a small file system is not allowed: {done.stderr.strip()}")
        self.ballast = self.directory / "ballast"

    @contextlib.contextmanager
    def full(self):
        """Takes all that is left, for a while."""
        try:
            self._fill()
            yield
        finally:
            self.ballast.unlink()

    def _fill(self):
        with self.ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def remove(self):
        # Lazily: a process of the server's may not have ended yet.
        subprocess.run(["umount", "--lazy", self.directory], check=True)
        self.directory.rmdir()


class PostgreSQL:
    """With `small_data`, a `SmallDisk` holds the store's tables; with `small_log`, the write-ahead log."""

    def __init__(self, settings=(), small_data=None, small_log=None):
        self.bin = _programs()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="telstar-pg-"))
        self.port = telstar.free_port()
        if os.getuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        self.data = self.directory / "data"
        self._run("initdb", "-D", self.data, "-U", "telstar", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
                  *(["--waldir", small_log.directory / "wal", "--wal-segsize=1"] if small_log else []))
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.directory}", *settings]
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("".join(f"{name} = '{value}'\n" for name, value in (option.split("=", 1) for option in options)))
        self.start()
        try:
            if small_data:
                self._run("psql", *self._access, "-d", "postgres", "-AtXc", f"CREATE TABLESPACE small LOCATION '{small_data.directory}'")
            self._run("createdb", *self._access, *(["--tablespace=small"] if small_data else []), "store")
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

    @property
    def is_running(self):
        try:
            self._run("pg_ctl", "-D", self.data, "status")
        except AssertionError:
            return False
        return True

    @property
    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def dump(self, name):
        """Copies the running store to a file, as operators do."""
        self._run("pg_dump", *self._access, "--format=custom", f"--file={self.directory / name}", "store")

    def restore(self, name, database):
        """Fills a fresh database from a copy; returns its URL."""
        self._run("createdb", *self._access, database)
        self._run("pg_restore", *self._access, "--no-owner", "--exit-on-error", "-d", database, self.directory / name)
        return self.url.removesuffix("store") + database

    @contextlib.contextmanager
    def fresh_database(self, name="fresh"):
        """An empty database beside the store; yields its URL."""
        self._run("createdb", *self._access, name)
        try:
            yield self.url.removesuffix("store") + name
        finally:
            self._run("dropdb", *self._access, "--force", name)

    @property
    def _access(self):
        return "-h", self.directory, "-p", self.port, "-U", "telstar"

    def query(self, sql):
        """The first column of each row, as text."""
        return self._run("psql", *self._access, "-d", "store", "-AtXc", sql).split()

    @contextlib.contextmanager
    def holding(self, sql):
        """Somebody else's transaction, in which this statement has been carried out and which is not over yet."""
        session = subprocess.Popen(
            self._command("psql", *self._access, "-d", "store", "-AtX", "-v", "ON_ERROR_STOP=1"), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", env=self._environment)
        try:
            session.stdin.write(f"BEGIN;\n{sql};\n\\echo held\n")
            session.stdin.flush()
            said = iter(session.stdout.readline, "")
            assert any(line == "held\n" for line in said), f"not held: {sql}"
            yield
            session.stdin.write("COMMIT;\n")
        finally:
            session.communicate()

    # An administrator needs more time than a test may leave to the role.
    _environment = {**os.environ, "PGOPTIONS": "-c statement_timeout=0"}

    def _command(self, program, *arguments):
        command = [str(self.bin / program), *map(str, arguments)]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        return command

    def _run(self, program, *arguments):
        command = self._command(program, *arguments)
        # The server inherits nothing that would keep this process waiting for its output.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/", env=self._environment)
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
