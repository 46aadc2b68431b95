"""Whose fault a reply is: what servers say of us or of the connection ends nobody, and what a satellite lacks is nobody's attempt."""

import asyncio
import collections
import contextlib
import json
import pathlib
import re
import resource
import ssl
import threading
import urllib.request

import telstar

ADDRESS = "127.0.0.2"
CERTIFICATE = telstar.ROOT / "Tests/SMTPTests/TestCertificate.swift"


class Server:
    """A mail server that does not do as it should, until it is set to; every attribute may be changed while it runs."""

    def __init__(self, directory):
        self.greeting = b"220 mx.odd.test ESMTP\r\n"
        self.hello = [b"mx.odd.test", b"SIZE 1000000"]
        self.empty_lines = False
        self.breaks_tls = False
        self.insists_on_tls = False
        self.recipient = None
        self.names, self.copies = set(), collections.Counter()
        self.connections = self.handshakes = self.plaintext_refusals = 0
        self.context = self.certificate(pathlib.Path(directory))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self.guarded, ADDRESS, 0), self.loop).result(60)
        self.port = self.server.sockets[0].getsockname()[1]

    @staticmethod
    def certificate(directory):
        """TLS with the certificate of the SMTP tests."""
        text = CERTIFICATE.read_text()
        blocks = re.findall(r"-----BEGIN .*?-----END [A-Z ]+-----", text, re.DOTALL)
        path = directory / "server.pem"
        path.write_text("\n".join("\n".join(line.strip() for line in block.splitlines()) for block in blocks) + "\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def close(self):
        async def end():
            self.server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        asyncio.run_coroutine_threadsafe(end(), self.loop).result(60)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)
        self.loop.close()

    async def guarded(self, reader, writer):
        self.connections += 1
        try:
            await self.dialogue(reader, writer)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def dialogue(self, reader, writer):
        async def say(line):
            writer.write(line + b"\r\n")
            await writer.drain()
        writer.write(self.greeting + (b"\r\n" if self.empty_lines else b""))
        await writer.drain()
        if not self.greeting.startswith(b"220"):
            return
        encrypted = False
        recipient = ""
        while line := await reader.readline():
            verb = line.strip().upper()
            if verb.startswith((b"EHLO", b"HELO")):
                self.names.add(line.split()[1].decode())
                lines = self.hello + ([b"STARTTLS"] if self.offers_tls and not encrypted else [])
                blank = b"\r\n" if self.empty_lines else b""
                writer.write(b"".join(b"250" + (b" " if n == len(lines) else b"-") + text + b"\r\n" + (blank if n == 1 else b"")
                                      for n, text in enumerate(lines, 1)))
                await writer.drain()
            elif verb == b"STARTTLS":
                await say(b"220 go ahead")
                self.handshakes += 1
                if self.breaks_tls:
                    return
                await writer.start_tls(self.context)
                encrypted = True
            elif verb.startswith(b"MAIL") and self.insists_on_tls and not encrypted:
                self.plaintext_refusals += 1
                await say(b"530 5.7.0 Must issue a STARTTLS command first")
            elif verb.startswith(b"RCPT"):
                recipient = line.split(b"<")[1].split(b">")[0].decode()
                await say(self.recipient or b"250 2.1.5 ok")
            elif verb == b"DATA":
                await say(b"354 go ahead")
                await reader.readuntil(b"\r\n.\r\n")
                self.copies[recipient] += 1
                await say(b"250 2.0.0 ok")
            elif verb == b"QUIT":
                return await say(b"221 2.0.0 bye")
            else:
                await say(b"250 2.0.0 ok")

    @property
    def offers_tls(self):
        return self.breaks_tls or self.insists_on_tls


@contextlib.contextmanager
def odd_server(directory, settings=("smtp.siteBackoff=1s",), **options):
    server = Server(directory)
    try:
        cluster = telstar.Cluster(directory, server.port, settings=["finishGrace=0s", *settings], **options)
        try:
            yield cluster, server
        except BaseException:
            print(cluster.logs())
            raise
        finally:
            cluster.stop()
    finally:
        server.close()


def status(cluster):
    with urllib.request.urlopen(cluster.described["satellite_status_urls"][0], timeout=telstar.DEADLINE) as answer:
        return json.load(answer)


def satellite_log(cluster):
    name = next(name for name in cluster.described["logs"] if name.startswith("satellite"))
    return pathlib.Path(cluster.described["logs"][name]).read_text(errors="replace")


def finished_at_first_attempt(cluster, server, mailing, count):
    """All were delivered, once, at their first attempt, and nothing else was ever reported of them."""
    cluster.await_status(mailing, "FINISHED")
    events = cluster.feed(mailing)
    assert collections.Counter(event["status"] for event in events) == {"FINISHED": count}
    assert {event["try_count"] for event in events} == {1}
    assert sum(server.copies.values()) == len(server.copies) == count
    counters = cluster.mailing(mailing)
    assert (counters["total_sent"], counters["total_softbounce"], counters["total_error"]) == (count, 0, 0)


def test_421_in_the_greeting_is_nobodys_attempt_and_is_reported_once_for_the_site(tmp_path):
    with odd_server(tmp_path) as (cluster, server):
        server.greeting = b"421 4.7.0 try again later\r\n"
        mailing = telstar.make_mailing(cluster.api(), telstar.people(300))
        telstar.await_condition(lambda: "left alone" in satellite_log(cluster), "the site is left alone")
        assert cluster.feed(mailing) == []
        telstar.await_condition(lambda: status(cluster)["sites"][0]["paused"], "the site is paused")
        assert "try again later" in status(cluster)["sites"][0]["reason"]
        server.greeting = b"220 mx.odd.test ESMTP\r\n"
        finished_at_first_attempt(cluster, server, mailing, 300)
        lines = [line for line in satellite_log(cluster).splitlines() if "left alone" in line]
        assert all("level=warning" in line and "421 4.7.0 try again later" in line for line in lines)
        assert len(lines) <= server.connections


def test_a_broken_handshake_with_a_server_that_insists_on_tls_ends_nobody(tmp_path):
    with odd_server(tmp_path, settings=("smtp.siteBackoff=5s",)) as (cluster, server):
        server.breaks_tls = server.insists_on_tls = True
        first = telstar.make_mailing(cluster.api(), telstar.people(50))
        telstar.await_condition(lambda: server.handshakes, "a handshake breaks")
        assert server.plaintext_refusals == 0, "plaintext is not tried at the first failure"
        # TLS fails again after the pause, plaintext is tried and refused: the server wants TLS.
        telstar.await_condition(lambda: server.plaintext_refusals, "plaintext is refused")
        server.breaks_tls = False
        second = telstar.make_mailing(cluster.api(), telstar.people(50, prefix="later"))
        cluster.await_status(second, "FINISHED")
        assert not [event for event in cluster.feed() if event["status"] in ("ERROR", "GENERAL_ERROR")]
        finals = {event["email"]: event for event in cluster.feed(second)}
        assert {event["status"] for event in finals.values()} == {"FINISHED"}
        telstar.await_condition(
            lambda: cluster.mailing(first)["total_sent"] >= 50 - server.plaintext_refusals, "the first mailing goes on")
        assert max(server.copies.values()) == 1


def test_504_for_our_name_ends_nobody_and_alarms(tmp_path):
    with odd_server(tmp_path, settings=("smtp.siteBackoff=10s",)) as (cluster, server):
        server.recipient = b"504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname"
        mailing = telstar.make_mailing(cluster.api(), telstar.people(300))
        problem = telstar.await_condition(lambda: status(cluster)["problems"], "the satellite names the problem")
        assert "need fully-qualified hostname" in problem[0]
        assert "level=error" in next(line for line in satellite_log(cluster).splitlines() if "need fully-qualified" in line)
        events = cluster.feed(mailing)
        assert {event["status"] for event in events} <= {"WARNING"}
        assert len(events) <= 40, "those whom a connection was sending to, not everybody"
        assert cluster.mailing(mailing)["total_error"] == 0


def test_the_name_given_is_a_full_one_or_an_address(tmp_path):
    with odd_server(tmp_path) as (cluster, server):
        mailing = telstar.make_mailing(cluster.api(), telstar.people(1))
        cluster.await_status(mailing, "FINISHED")
        [name] = server.names
        assert "." in name
        assert name == "[127.0.0.1]" or name[0] != "["
        assert (name[0] == "[") == ("no full host name" in satellite_log(cluster))


def test_empty_lines_before_pipelining_is_agreed_are_passed_over(tmp_path):
    with odd_server(tmp_path) as (cluster, server):
        server.empty_lines = True
        server.hello.append(b"PIPELINING")
        mailing = telstar.make_mailing(cluster.api(), telstar.people(40))
        finished_at_first_attempt(cluster, server, mailing, 40)


def test_a_satellite_without_descriptors_uses_up_no_attempt(tmp_path):
    count = 1500
    sink = telstar.Sink(tmp_path / "sink", "at dot: delay 200ms\n")
    try:
        cluster = telstar.Cluster(
            tmp_path, sink.port, settings=["finishGrace=0s", "smtp.maxConnectionsPerSite=400", "credit.started=2000"])
        try:
            pid = cluster.pids["satellite"][0]
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            used = len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
            # Of these, 16 are kept back: with none at all, libdispatch ends the process.
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 40, before[1]))
            mailing = telstar.make_mailing(cluster.api(), telstar.people(count))
            telstar.await_condition(lambda: "short of resources" in satellite_log(cluster), "the satellite says what it lacks")
            assert [event for event in cluster.feed(mailing) if event["status"] == "WARNING"] == []
            telstar.await_condition(lambda: cluster.mailing(mailing)["total_sent"] > 100, "work goes on with what there is")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            cluster.await_status(mailing, "FINISHED")
            assert cluster.pids["satellite"][0] == pid, "the process lived through it"
            last = telstar.reconcile(cluster, sink, mailing)
            assert len(last) == count
            events = cluster.feed(mailing)
            assert collections.Counter(event["status"] for event in events) == {"FINISHED": count}
            assert {event["try_count"] for event in events} == {1}
        except BaseException:
            print(cluster.logs())
            raise
        finally:
            cluster.stop()
    finally:
        sink.stop()
