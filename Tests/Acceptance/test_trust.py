"""A command sends its key to a master that it has verified, and to nobody else."""

import contextlib
import http.server
import os
import ssl
import subprocess
import threading

import pytest

from test_operators import run


@pytest.fixture
def key(tmp_path, shared):
    (tmp_path / "key").write_text(shared[0].described["api_key"] + "\n")
    return tmp_path / "key"


@pytest.fixture
def ask(tmp_path, shared, key):
    """Asks the cluster, or another address, for its keys; the known masters are of this test alone."""
    def ask(*flags, url=None):
        environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
        return run("key", "list", "--url", url or shared[0].described["api_url"], "--key-file", key, *flags, env=environment)
    return ask


def fingerprint(certificate):
    text = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"],
                          check=True, capture_output=True, text=True).stdout
    return text.strip().split("=", 1)[1]


@contextlib.contextmanager
def somebody_else(tmp_path):
    """A server with a certificate of its own; yields its URL and the header fields of the requests that it got."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "other.key", "-out", tmp_path / "other.pem"],
                   check=True, capture_output=True)
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(dict(self.headers))
            self.send_response(302)
            self.send_header("Location", "https://127.0.0.1:1/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "other.pem", tmp_path / "other.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"https://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()


def test_without_a_word_a_self_signed_certificate_is_not_trusted(ask, shared, tmp_path):
    done = ask()
    assert done.returncode == 69 and "cannot be verified" in done.stderr and "--fingerprint" in done.stderr, done
    assert fingerprint(shared[0].certificate) in done.stderr
    with somebody_else(tmp_path) as (url, requests):
        assert ask(url=url).returncode == 69 and not requests


def test_a_file_of_authorities_is_trusted_for_the_names_in_the_certificate(ask, shared, tmp_path):
    assert ask("--ca-file", shared[0].certificate).returncode == 0
    with somebody_else(tmp_path) as (url, requests):
        done = ask("--ca-file", shared[0].certificate, url=url)
        assert done.returncode == 69 and "cannot be verified" in done.stderr and not requests
    assert ask("--ca-file", tmp_path / "absent").returncode == 66
    (tmp_path / "text").write_text("none")
    done = ask("--ca-file", tmp_path / "text")
    assert done.returncode == 65 and "holds no certificate" in done.stderr


def test_a_fingerprint_trusts_that_certificate_alone(ask, shared, tmp_path):
    pin = fingerprint(shared[0].certificate)
    for text in (pin, pin.lower().replace(":", ""), f"sha256:{pin}"):
        assert ask("--fingerprint", text).returncode == 0
    with somebody_else(tmp_path) as (url, requests):
        done = ask("--fingerprint", pin, url=url)
        assert done.returncode == 69 and "another certificate" in done.stderr and pin in done.stderr, done
        assert fingerprint(tmp_path / "other.pem") in done.stderr and not requests


def test_the_master_s_log_names_its_fingerprint(shared):
    assert fingerprint(shared[0].certificate) in shared[0].logs(lines=1000)


def test_a_certificate_is_remembered_when_that_is_asked_for_and_no_other_is_taken_after_it(ask, shared, tmp_path):
    known = tmp_path / "config" / "telstar" / "known-masters"
    done = ask("--remember-certificate")
    assert done.returncode == 0 and str(known) in done.stderr, done
    name = shared[0].described["api_url"].removeprefix("https://")
    assert known.read_text() == f"{name} {fingerprint(shared[0].certificate)}\n" and known.stat().st_mode & 0o777 == 0o600
    assert ask().returncode == 0 and ask("--remember-certificate").stderr == ""
    with somebody_else(tmp_path) as (url, requests):
        known.write_text(f"{url.removeprefix('https://')} {fingerprint(shared[0].certificate)}\n")
        for flags in ((), ("--remember-certificate",)):
            done = ask(*flags, url=url)
            assert done.returncode == 69 and "another certificate" in done.stderr and not requests
    known.write_text("a line of something else\n")
    assert ask().returncode == 65


def test_insecure_says_so_and_no_redirection_is_followed(ask, tmp_path):
    done = ask("--insecure")
    assert done.returncode == 0 and "--insecure" in done.stderr
    with somebody_else(tmp_path) as (url, requests):
        done = ask("--insecure", url=url)
        assert done.returncode == 1 and "302" in done.stderr and len(requests) == 1


@pytest.mark.parametrize("flags, words", [
    (("--insecure", "--fingerprint", "0" * 64), "contradict"), (("--ca-file", "x", "--remember-certificate"), "contradict"),
    (("--fingerprint", "12:34"), "64 digits")])
def test_flags_that_make_no_sense_are_refused(ask, flags, words):
    done = ask(*flags)
    assert done.returncode == 64 and words in done.stderr


def test_a_key_does_not_go_in_plain_text_to_another_machine(ask):
    done = ask(url="http://192.0.2.1:1")
    assert done.returncode == 64 and "for all to read" in done.stderr
    assert run("key", "list", "--insecure").returncode == 64
