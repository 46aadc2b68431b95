"""How many recipients a second `add_recipients` takes over XML-RPC, in calls of 1,000, and when mail then starts.

Usage: add_rate.py [--telstar BINARY] [--store URL] [--calls N] [--connections N]
"""

import argparse
import base64
import concurrent.futures
import http.client
import pathlib
import tempfile
import time
import urllib.parse
import xmlrpc.client

import telstar


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--telstar", default=telstar.BINARY)
    parser.add_argument("--store")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    telstar.BINARY = arguments.telstar
    options = ["--store", arguments.store] if arguments.store else []
    with tempfile.TemporaryDirectory() as directory:
        with telstar.cluster_with_sink(pathlib.Path(directory), arguments=options) as (cluster, sink):
            mailing = telstar.make_mailing(cluster.api(), [], start=False)
            # Written once: what is measured is the master, not the client.
            people = telstar.people(1000, tuple(f"domain{number}.test" for number in range(50)))
            body = xmlrpc.client.dumps((mailing, people), "add_recipients").encode()
            url = urllib.parse.urlsplit(cluster.described["api_plain_url"])
            key = base64.b64encode(f"admin:{cluster.described['api_key']}".encode()).decode()
            headers = {"Authorization": f"Basic {key}", "Content-Type": "text/xml"}

            def send(calls):
                connection = http.client.HTTPConnection(url.hostname, url.port, timeout=120)
                for _ in range(calls):
                    connection.request("POST", "/CloudMailing", body, headers)
                    answer = connection.getresponse().read()
                    assert answer.count(b"<name>id</name>") == 1000, answer[:500]
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(arguments.connections) as pool:
                list(pool.map(send, [arguments.calls // arguments.connections] * arguments.connections))
            took = time.monotonic() - began
            count = cluster.mailing(mailing)["total_recipient"]
            print(f"{count} recipients in {took:.1f} s: {count / took:.0f} a second, calls of {len(body)} bytes")
            began = time.monotonic()
            cluster.api().start_mailing(mailing)
            telstar.await_condition(lambda: sink.journal.exists() and sink.journal.stat().st_size > 0, "mail comes", every=0.005)
            print(f"first mail {time.monotonic() - began:.2f} s after start_mailing")
            cluster.api().delete_mailing(mailing)


if __name__ == "__main__":
    main()
