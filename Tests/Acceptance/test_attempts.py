"""Whoever guesses secrets is slowed down, and nobody else."""

import base64
import http.client
import pathlib
import urllib.parse

import pytest

import telstar

CALL = b"<?xml version='1.0'?><methodCall><methodName>get_mailings_count</methodName><params/></methodCall>"


def ask(connection, method, path, secret, body=None):
    """Status and pause of one answer."""
    basic = base64.b64encode(f"admin:{secret}".encode()).decode()
    connection.request(method, path, body, {"Authorization": "Basic " + basic, "Content-Type": "text/xml"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.getheader("Retry-After")


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/CloudMailing", CALL), ("GET", "/api/reports?limit=1", None), ("GET", "/telstar/v1/status", None)])
def test_wrong_secrets_are_answered_with_429_after_twenty_and_a_right_one_is_served(tmp_path, method, path, body):
    with telstar.cluster_with_sink(tmp_path) as (cluster, _):
        key = cluster.described["api_key"]
        address = urllib.parse.urlsplit(cluster.described["api_plain_url"])
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        # One that names the key in force, and one that names none.
        wrong = [key[:-4] + ("aaaa" if key[-4:] != "aaaa" else "bbbb"), "guess"]
        answers = [ask(connection, method, path, wrong[number % 2], body) for number in range(60)]
        assert [status for status, _ in answers[:10]] == [401] * 10, answers
        # A slow machine forgives some meanwhile.
        late = [(status, pause) for status, pause in answers if status != 401]
        assert late and all(status == 429 and 1 <= int(pause) <= 66 for status, pause in late), answers
        for _ in range(50):
            assert ask(connection, method, path, key, body)[0] == 200
            ask(connection, method, path, "guess", body)
        log = pathlib.Path(cluster.described["logs"]["master"]).read_text()
        assert "attempts to authenticate have failed" in log and "last_address=127.0.0.1" in log
        # Once a minute, not once each.
        assert log.count("attempts to authenticate have failed") < 10
