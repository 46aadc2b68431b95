"""Masters on one store, two of them on PostgreSQL, one of these the standby, with a satellite that knows them all."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
import xmlrpc.client

import telstar


class Master:
    """One of them: its own directory and ports, the secrets of the first."""

    def __init__(self, directory, store_url, settings=()):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.api, self.status_port, self.link, self.content = (telstar.free_port() for _ in range(4))
        self.config = self.directory / "master.yaml"
        self.data = self.directory / "data"
        self.data.mkdir()
        self.settings = [word for setting in settings for word in ("--set", setting)]
        self.program = None
        self.use_store(store_url)

    def use_store(self, store_url):
        """Writes the configuration, with this store."""
        self.config.write_text(f"""
dataDirectory: "{self.data}"
store:
  url: "{store_url}"
api:
  listen: ""
  plainListen: "127.0.0.1:{self.api}"
status:
  listen: "127.0.0.1:{self.status_port}"
link:
  listen: "tcp://127.0.0.1:{self.link}"
  contentListen: "tcp://127.0.0.1:{self.content}"
  enrolListen: ""
finishGrace: 0s
""")

    def start(self, environment=None):
        self.program = telstar.Program(["master", "--config", self.config, *self.settings], self.directory / "log", environment)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.program.process.pid, number)
        if number == signal.SIGKILL:
            self.program.process.wait()

    def readiness(self):
        """The status code and words of /readyz; `None` while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/readyz", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None

    @property
    def is_active(self):
        answer = self.readiness()
        return answer is not None and answer[0] == 200

    @property
    def is_standby(self):
        answer = self.readiness()
        return answer is not None and answer[0] == 503 and "standby" in answer[1]


class Pair:
    def __init__(self, directory, store_url, sink_port, names=("one", "two"), settings=()):
        """A URL for all, or one for each: they may reach the database on different ways."""
        self.directory = directory = pathlib.Path(directory)
        urls = [store_url] * len(names) if isinstance(store_url, str) else store_url
        self.masters = [Master(directory / name, url, settings) for name, url in zip(names, urls, strict=True)]
        first, *others = self.masters
        first.start()
        telstar.await_condition(lambda: first.is_active, "the first master serves")
        for other in others:
            for secret in ("secret.key", "link.key"):
                shutil.copy(first.data / secret, other.data / secret)
        self.key = self.run("key", "create", "--dir", first.data, "--json", "--name", "acceptance")["key"]
        for other in others:
            other.start()
            telstar.await_condition(lambda: other.is_standby, "the other master waits")
        self.satellite_config = directory / "satellite.yaml"
        (directory / "zone").write_text("* MX 10 mx.sink.test\nmx.sink.test A 127.0.0.2\n")
        public = subprocess.check_output([telstar.BINARY, "master", "--config", str(first.config), "--show-key"], text=True).strip()

        def endpoints(name):
            return ", ".join(f'"tcp://127.0.0.1:{getattr(master, name)}"' for master in self.masters)
        self.satellite_config.write_text(f"""
serial: west-1
dataDirectory: "{directory}/satellite"
master:
  endpoints: [{endpoints("link")}]
  contentEndpoints: [{endpoints("content")}]
  publicKey: "{public}"
status:
  listen: "127.0.0.1:{telstar.free_port()}"
smtp:
  port: {sink_port}
dns:
  fakeZone: "{directory}/zone"
""")
        satellite_key = subprocess.check_output(
            [telstar.BINARY, "satellite", "--config", str(self.satellite_config), "--show-key"], text=True).strip()
        self.run("satellites", "add", "--dir", first.data, "west-1", "--public-key", satellite_key, "--json")
        self.satellite = self.start_satellite()

    def start_satellite(self):
        return telstar.Program(["satellite", "--config", self.satellite_config], self.directory / "satellite.log")

    def run(self, *arguments):
        return json.loads(subprocess.check_output([telstar.BINARY, *map(str, arguments)], text=True))

    @property
    def active(self):
        return next((master for master in self.masters if master.is_active), None)

    @property
    def standby(self):
        return next((master for master in self.masters if master.is_standby), None)

    def api(self):
        master = telstar.await_condition(lambda: self.active, "a master is active")
        return xmlrpc.client.ServerProxy(f"http://admin:{self.key}@127.0.0.1:{master.api}/CloudMailing", allow_none=True)

    def mailing(self, mailing):
        return self.api().list_mailings({"id": [mailing]})[0]

    feed = telstar.Cluster.feed

    def text(self):
        logs = {master.directory.name: master.program.text() for master in self.masters if master.program}
        logs["satellite"] = self.satellite.text()
        return "\n".join(f"-- {name}\n" + "\n".join(text.splitlines()[-40:]) for name, text in logs.items())

    def stop(self):
        self.satellite.stop()
        for master in self.masters:
            if master.program:
                master.kill(signal.SIGCONT) if master.program.process.poll() is None else None
                master.program.stop()

    def takeover(self, how):
        """Takes the active master away; returns the seconds until the other is active.

        Its status page answers all the time.
        """
        active, standby = self.active, telstar.await_condition(lambda: self.standby, "a standby waits")
        began = time.monotonic()
        active.kill(how)
        answers = set()

        def took_over():
            answers.add((standby.readiness() or ("refused", ""))[0])
            return 200 in answers
        telstar.await_condition(took_over, "the standby takes over", every=0.02)
        assert answers <= {503, 200}, answers
        took = time.monotonic() - began
        if how == signal.SIGSTOP:
            # It wakes up, finds that it was replaced, says so and stops.
            active.kill(signal.SIGCONT)
        active.program.process.wait(telstar.DEADLINE)
        return took, active


@contextlib.contextmanager
def running(directory, store_url, sink_port, **options):
    pair = Pair(directory, store_url, sink_port, **options)
    try:
        yield pair
    except BaseException:
        print(pair.text())
        raise
    finally:
        pair.stop()
