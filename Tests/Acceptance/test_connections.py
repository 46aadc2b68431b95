"""Strangers at the listeners: half-open connections, too many of them, old TLS; and listeners that cannot be had."""

import base64
import contextlib
import json
import os
import pathlib
import re
import select
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

import pair
import postgresql
import proxy
import telstar

LIMIT = 256
HELD = 300
ROUNDS = 16


def port_of(url):
    return urllib.parse.urlsplit(url).port


def listeners(cluster):
    """The ports of every HTTP listener of a cluster, by what they are."""
    described = cluster.described
    return {"api.listen": port_of(described["api_url"]), "api.plainListen": port_of(described["api_plain_url"]),
            "master's status.listen": port_of(described["status_url"]),
            "satellite's status.listen": port_of(described["satellite_status_urls"][0])}


class Crowd:
    """Connections that say a little and then nothing."""

    def __init__(self, port, count, words=b"", host="127.0.0.1"):
        self.sockets = []
        for _ in range(count):
            one = socket.socket()
            one.setblocking(False)
            self.sockets.append(one)
            # It may be refused at once, which is as good as later.
            with contextlib.suppress(OSError):
                one.connect((host, port))
        self.say(words)

    def say(self, words):
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.send(words)

    def open(self):
        """Those that the other side has not closed, as far as the system knows."""
        rest = []
        for one in self.sockets:
            try:
                while one.recv(4096):
                    pass
            except BlockingIOError:
                rest.append(one)
            except OSError:
                pass
        return rest

    def leave(self):
        for one in self.sockets:
            one.close()


def fetch(url, timeout=10, context=None, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=timeout, context=context) as answer:
        return answer.read().decode()


def metric(status_url, name, **labels):
    """The value of a metric; `None` if it has none with these labels."""
    wanted = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    for line in fetch(status_url.removesuffix("/status") + "/metrics").splitlines():
        if line.startswith(f"{name}{{{wanted}}} "):
            return float(line.rsplit(" ", 1)[1])
    return None


def alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


# Half-open connections


def test_connections_that_stop_half_way_are_closed(shared):
    cluster, _ = shared
    crowds = {
        (name, words): Crowd(port, 10, words)
        for name, port in listeners(cluster).items()
        for words in (b"", b"\x16\x03\x01\x02", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    }
    try:
        for (name, words), crowd in crowds.items():
            telstar.await_condition(lambda crowd=crowd: not crowd.open(), f"{name} closes those that said {words!r}", every=0.5)
    finally:
        for crowd in crowds.values():
            crowd.leave()
    described = cluster.described
    assert metric(described["status_url"], "telstar_http_connections_cut_total", deadline="head", listener="api.plainListen") >= 10
    assert metric(described["status_url"], "telstar_http_connections_cut_total", deadline="handshake", listener="api.listen") >= 10
    assert metric(described["satellite_status_urls"][0], "telstar_http_connections_cut_total", deadline="head", listener="status.listen") >= 10


def test_one_address_has_its_share_and_is_refused_with_503(tmp_path):
    with telstar.cluster_with_sink(tmp_path, settings=["http.maxConnectionsPerAddress=5", "finishGrace=0s"]) as (cluster, _):
        port = listeners(cluster)["api.plainListen"]
        crowd = Crowd(port, 5)
        try:
            name = {"listener": "api.plainListen"}
            status = cluster.described["status_url"]
            telstar.await_condition(lambda: metric(status, "telstar_http_connections", **name) == 5, "five are open")
            with pytest.raises(urllib.error.HTTPError) as refused:
                fetch(f"http://127.0.0.1:{port}/CloudMailing")
            assert refused.value.code == 503 and refused.value.headers["Retry-After"] == "5"
            assert metric(status, "telstar_http_connections_refused_total", reason="address", **name) == 1
            log = pathlib.Path(cluster.described["logs"]["master"]).read_text()
            assert re.search(r"a connection is refused.*address=\"?127\.0\.0\.1.*listener=api\.plainListen", log), log
        finally:
            crowd.leave()
        telstar.await_condition(lambda: "CloudMailing" in fetch(f"http://127.0.0.1:{port}/CloudMailing"), "it is served again")


@pytest.fixture
def few_descriptors(tmp_path, monkeypatch):
    """The program, and all that it starts, with a low limit of open files."""
    script = tmp_path / "telstar"
    script.write_text(f'#!/bin/sh\nulimit -n {LIMIT}\nexec {telstar.BINARY} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(telstar, "BINARY", str(script))


def test_a_crowd_beyond_the_limit_of_open_files_harms_nobody(few_descriptors, tmp_path):
    """The process would end with SIGILL: libdispatch cannot open /proc/self/task."""
    with telstar.cluster_with_sink(tmp_path, "at dot: delay 20ms\n", settings=["finishGrace=0s", "smtp.maxConnectionsPerSite=200"]) as (
            cluster, sink):
        pids = cluster.pids
        mailing = telstar.make_mailing(cluster.api(), telstar.people(3000))
        for number in range(ROUNDS):
            # In turn: TLS that stops at its first bytes, a head without an end, and nothing at all.
            words = (b"\x16\x03\x01\x02", b"GET / HTTP/1.1\r\nHost: x\r\n", b"")[number % 3]
            crowds = [Crowd(port, HELD, words) for port in listeners(cluster).values()]
            try:
                # For longer than the second after which libdispatch looks at its threads again.
                until = time.monotonic() + 1.2
                while time.monotonic() < until:
                    for crowd in crowds:
                        crowd.open()
                    telstar.NOTHING.wait(0.1)
                assert cluster.pids == pids and all(alive(pid) for role in pids.values() for pid in role), cluster.logs()
            finally:
                for crowd in crowds:
                    crowd.leave()

            def answers():
                return "telstar" in fetch(cluster.described["status_url"].removesuffix("/status") + "/metrics") and \
                    cluster.api().get_mailings_count() and fetch(cluster.described["satellite_status_urls"][0])
            telstar.await_condition(answers, f"everybody answers after round {number + 1}")
        cluster.await_status(mailing, "FINISHED", 600)
        assert len(telstar.reconcile(cluster, sink, mailing)) == 3000
        crowd = Crowd(sink.port, HELD, host="127.0.0.2")
        try:
            telstar.await_condition(lambda: "a connection is refused" in sink.text(), "the sink refuses some")
            assert sink.process.poll() is None
        finally:
            crowd.leave()
        for url, name in ((cluster.described["status_url"], "api.listen"), (cluster.described["status_url"], "api.plainListen"),
                          (cluster.described["satellite_status_urls"][0], "status.listen")):
            assert sum(metric(url, "telstar_http_connections_refused_total", listener=name, reason=reason) or 0
                       for reason in ("full", "address", "descriptors")) > 0, name
        for role in ("master", "satellite-1"):
            assert "a connection is refused" in pathlib.Path(cluster.described["logs"][role]).read_text()
        assert cluster.pids == pids and "died" not in cluster.text()


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one(tmp_path, monkeypatch):
    script = tmp_path / "telstar"
    script.write_text(f'#!/bin/sh\nulimit -S -n 200\nulimit -H -n 500\nexec {telstar.BINARY} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(telstar, "BINARY", str(script))
    sink = telstar.Sink(tmp_path / "sink")
    try:
        limits = pathlib.Path(f"/proc/{sink.process.pid}/limits").read_text()
        assert re.search(r"Max open files\s+500\s+500", limits), limits
    finally:
        sink.stop()


# TLS


@pytest.mark.parametrize("version, ciphers, offered", [
    ("TLSv1", "ALL:@SECLEVEL=0", False), ("TLSv1_1", "ALL:@SECLEVEL=0", False),
    ("TLSv1_2", "kRSA:@SECLEVEL=0", False), ("TLSv1_2", "ECDHE+SHA1:ECDHE+SHA256:ECDHE+SHA384:!AESGCM:!CHACHA20:@SECLEVEL=0", False),
    ("TLSv1_2", "ECDHE+AESGCM", True), ("TLSv1_2", "ECDHE+CHACHA20", True), ("TLSv1_3", None, True),
])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_https_offers_tls_1_2_with_aead_and_1_3_only(shared, version, ciphers, offered):
    cluster, _ = shared
    context = ssl._create_unverified_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    if ciphers:
        context.set_ciphers(ciphers)
    with socket.create_connection(("127.0.0.1", port_of(cluster.described["api_url"])), 30) as plain:
        if offered:
            with context.wrap_socket(plain) as secure:
                assert secure.version() == version.replace("_", ".")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain)


# Listeners that cannot be had


class Notified:
    """The service manager's end of sd_notify."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def said(self):
        text = []
        while select.select([self.socket], [], [], 0)[0]:
            text += self.socket.recv(65536).decode().splitlines()
        return text


def master_alone(directory, **listens):
    """A master's configuration; `listens` over free ports."""
    directory.mkdir()
    keys = {"api.listen": "", "api.plainListen": f"127.0.0.1:{telstar.free_port()}", "status.listen": f"127.0.0.1:{telstar.free_port()}",
            "link.listen": f"tcp://127.0.0.1:{telstar.free_port()}", "link.contentListen": f"tcp://127.0.0.1:{telstar.free_port()}",
            "link.enrolListen": "", "dataDirectory": directory / "data", **listens}
    return [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]


@pytest.mark.parametrize("key", ["api.listen", "api.plainListen", "status.listen"])
@pytest.mark.parametrize("host, words", [
    ("127.0.0.1", "cannot listen on {}: the address is in use by another process"),
    ("192.0.2.1", "cannot listen on {}: this machine does not have the address"),
    ("no-such-host.invalid", "no-such-host.invalid cannot be resolved: "),
])
def test_a_listener_that_cannot_be_had_ends_the_master_with_69_and_its_name(key, host, words, tmp_path):
    notified = Notified(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"{host}:{other.getsockname()[1]}"
        done = subprocess.run([telstar.BINARY, "master", *master_alone(tmp_path / "master", **{key: address})],
                              capture_output=True, text=True, timeout=telstar.DEADLINE, env={**os.environ, "NOTIFY_SOCKET": notified.path})
    assert done.returncode == 69, done
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"telstar: {key}: {words.format(address)}"), done.stderr
    assert "READY=1" not in notified.said()
    assert "master serves" not in done.stderr


def test_a_control_socket_that_cannot_be_had_ends_the_master_with_69(tmp_path):
    arguments = master_alone(tmp_path / "master")
    path = tmp_path / "master" / "data" / "control.sock"
    path.mkdir(parents=True)
    done = subprocess.run([telstar.BINARY, "master", *arguments], capture_output=True, text=True, timeout=telstar.DEADLINE)
    assert done.returncode == 69, done
    assert done.stderr.splitlines()[-1].startswith(f"telstar: control.sock: cannot listen on {path}: ")


@pytest.mark.parametrize("setting, child", [("api.certificateFile=/nowhere/chain.pem", "master"), ("testTarget=nonsense", "satellite-1")])
def test_a_cluster_gives_up_on_a_child_whose_configuration_is_wrong(setting, child, tmp_path):
    done = subprocess.run([telstar.BINARY, "cluster", "--dir", tmp_path / "cluster", "--set", setting], capture_output=True,
                          text=True, timeout=telstar.DEADLINE)
    assert done.returncode == 78, done
    assert done.stderr.splitlines()[-1].startswith(f"telstar: {child} does not start: "), done.stderr
    assert setting.split("=")[0].removeprefix("api.") in done.stderr or setting.split("=")[1] in done.stderr


def test_a_cluster_gives_up_on_a_child_that_never_serves(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        done = subprocess.run([telstar.BINARY, "cluster", "--dir", tmp_path / "cluster", "--api-port", str(taken)], capture_output=True,
                              text=True, timeout=telstar.DEADLINE)
    assert done.returncode == 69, done
    assert f"api.listen: cannot listen on 127.0.0.1:{taken}: the address is in use" in done.stderr.splitlines()[-1]


# The start


def test_a_valid_key_is_never_refused_while_a_master_starts(tmp_path):
    """Eight restarts on a slow way to the database, asked without a rest."""
    with postgresql.server() as database, proxy.before(database) as way:
        master = pair.Master(tmp_path / "master", way.url)
        master.start()
        telstar.await_condition(lambda: master.is_active, "the master serves")
        key = json.loads(subprocess.check_output(
            [telstar.BINARY, "key", "create", "--dir", master.data, "--json", "--name", "acceptance"]))["key"]
        way.delay = 0.02
        answers, ready, over = {}, set(), threading.Event()

        def ask():
            fields = {"Authorization": "Basic " + base64.b64encode(f"admin:{key}".encode()).decode()}
            while not over.is_set():
                try:
                    fetch(f"http://127.0.0.1:{master.api}/api/reports?limit=1", 30, headers=fields)
                    code = 200
                except urllib.error.HTTPError as error:
                    code = error.code
                except OSError:
                    code = None
                answers[code] = answers.get(code, 0) + 1
                ready.add((master.readiness() or (None,))[0])
        asker = threading.Thread(target=ask)
        asker.start()
        try:
            for _ in range(8):
                master.program.stop()
                served = answers.get(200, 0)
                master.start()
                telstar.await_condition(lambda served=served: answers.get(200, 0) > served, "the master answers again")
                assert master.is_active or telstar.await_condition(lambda: master.is_active, "it is ready")
        finally:
            over.set()
            asker.join()
            master.program.stop()
    assert 401 not in answers, answers


def test_a_standby_says_that_it_is_one_to_its_service_manager(tmp_path):
    notified = Notified(tmp_path)
    with postgresql.server() as database:
        first = pair.Master(tmp_path / "one", database.url)
        first.start()
        telstar.await_condition(lambda: first.is_active, "the first master serves")
        second = pair.Master(tmp_path / "two", database.url)
        for secret in ("secret.key", "link.key"):
            (second.data / secret).write_bytes((first.data / secret).read_bytes())
            (second.data / secret).chmod(0o600)
        second.program = telstar.Program(["master", "--config", second.config], second.directory / "log",
                                         {"NOTIFY_SOCKET": notified.path})
        said = []
        try:
            telstar.await_condition(lambda: second.is_standby, "the second waits")
            said += telstar.await_condition(notified.said, "it says so")
            assert "READY=1" in said and any(line.startswith("STATUS=standby: ") for line in said), said
            assert "STATUS=serving" not in said
            first.program.stop()
            telstar.await_condition(lambda: second.is_active, "the second takes over")
            telstar.await_condition(lambda: "STATUS=serving" in notified.said(), "it says so")
        finally:
            first.program.stop()
            second.program.stop()


# Answers that take long


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_a_stream_of_reports_ends_with_its_key(shared):
    cluster, _ = shared
    folder = cluster.described["dir"]
    made = json.loads(subprocess.check_output([telstar.BINARY, "key", "create", "--dir", folder, "--json", "--name", "reader"]))
    with socket.create_connection(("127.0.0.1", port_of(cluster.described["api_plain_url"])), 60) as talk:
        talk.sendall(f"GET /api/reports/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {made['key']}\r\n\r\n".encode())
        assert talk.recv(12) == b"HTTP/1.1 200"
        # Events come all the time.
        mailing = telstar.make_mailing(cluster.api(), telstar.people(3000, prefix="stream"))
        cluster.await_status(mailing, "FINISHED")
        assert talk.recv(65536)
        subprocess.run([telstar.BINARY, "key", "revoke", made["id"], "--dir", folder], check=True, capture_output=True)
        rest = b""
        # What was on its way comes, then the end of the answer; the socket's own time limit catches one that never ends.
        while not rest.endswith(b"\r\n0\r\n\r\n"):
            data = talk.recv(65536)
            assert data, rest[-200:]
            rest += data
        assert b"the API key was revoked" in rest


def test_an_import_in_progress_ends_with_its_key(shared):
    cluster, _ = shared
    folder = cluster.described["dir"]
    made = json.loads(subprocess.check_output([telstar.BINARY, "key", "create", "--dir", folder, "--json", "--name", "importer"]))
    mailing = cluster.api().create_mailing("news@example.org", "News", "Hello", "<p>Hi</p>", "Hi\n", "utf-8")
    with socket.create_connection(("127.0.0.1", port_of(cluster.described["api_plain_url"])), 60) as talk:
        talk.sendall(f"POST /api/mailings/{mailing}/recipients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {made['key']}\r\n"
                     "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

        def piece(number):
            line = json.dumps({"email": f"import{number}@one.test"}).encode() + b"\n"
            talk.sendall(b"%x\r\n%s\r\n" % (len(line), line))
        piece(1)
        subprocess.run([telstar.BINARY, "key", "revoke", made["id"], "--dir", folder], check=True, capture_output=True)
        piece(2)
        answer = talk.recv(4096)
        assert answer.startswith(b"HTTP/1.1 401"), answer
    assert cluster.mailing(mailing)["total_recipient"] == 0
