"""What still arrives after a mailing was paused, ended or deleted: only what was on the wire."""

import base64
import ssl
import time
import urllib.request

import pytest

import telstar

# The receiver answers each final dot late, so that a few connections are always in the middle of a message.
SLOW = "at dot: delay 2s\n"
CONNECTIONS = 10
# What the sink has written down may be this far behind: the dots that were on their way when the call was answered.
ON_THE_WIRE = 2 * CONNECTIONS


@pytest.fixture
def slow(tmp_path):
    settings = ["finishGrace=0s", f"smtp.maxConnectionsPerSite={CONNECTIONS}"]
    with telstar.cluster_with_sink(tmp_path, SLOW, settings=settings) as pair:
        yield pair


def begun(cluster, sink, count=1800):
    """A mailing under way: more is started than the receiver has taken."""
    mailing = telstar.make_mailing(cluster.api(), telstar.people(count, domains=("one.test",)))
    telstar.await_condition(lambda: len(sink.messages()) >= 2 * CONNECTIONS, "mail flows")
    return mailing


def close(cluster, mailing):
    """Ends a mailing by the control API."""
    key = base64.b64encode(f"admin:{cluster.described['api_key']}".encode()).decode()
    request = urllib.request.Request(
        cluster.described["api_url"] + f"/telstar/v1/mailings/{mailing}/close", method="POST", data=b"{}",
        headers={"Authorization": f"Basic {key}"})
    urllib.request.urlopen(request, timeout=telstar.DEADLINE, context=ssl._create_unverified_context()).close()


def held(cluster):
    """Recipients that the satellites hold, leased or started."""
    return cluster.status()["leased"]


def finished(cluster, sink):
    """Waits until no satellite holds anything, and returns how many messages the receiver then has."""
    telstar.await_condition(lambda: held(cluster) == 0, "the satellites hold nothing")
    return len(sink.messages())


def test_a_deleted_mailing_stops_at_once(slow):
    cluster, sink = slow
    mailing = begun(cluster, sink)
    cluster.api().delete_mailing(mailing)
    before = len(sink.messages())
    after = finished(cluster, sink)
    # Something that is sent after shows that the connections are free and nothing of the deleted mailing came before it.
    follower = telstar.make_mailing(cluster.api(), telstar.people(5, domains=("one.test",), prefix="later"))
    cluster.await_status(follower, "FINISHED")
    total = [address for address in sink.copies() if not address.startswith("later")]
    assert len(total) <= before + ON_THE_WIRE, (before, after, len(total))
    telstar.reconcile(cluster, sink, follower)


def test_a_paused_mailing_stops_at_once_and_goes_on_exactly(slow):
    cluster, sink = slow
    mailing = begun(cluster, sink, 400)
    assert cluster.api().pause_mailing(mailing) == "PAUSED"
    before = len(sink.messages())
    after = finished(cluster, sink)
    assert after <= before + ON_THE_WIRE, (before, after)
    counters = cluster.mailing(mailing)
    assert counters["status"] == "PAUSED"
    telstar.await_condition(lambda: cluster.mailing(mailing)["total_sent"] == len(sink.messages()), "all is reported")
    cluster.api().start_mailing(mailing)
    cluster.await_status(mailing, "FINISHED", 600)
    last = telstar.reconcile(cluster, sink, mailing)
    assert len(last) == 400 and all(event["status"] == "FINISHED" for event in last.values())


def test_a_closed_mailing_stops_at_once_and_is_exact(slow):
    cluster, sink = slow
    mailing = begun(cluster, sink)
    close(cluster, mailing)
    before = len(sink.messages())
    cluster.await_status(mailing, "FINISHED")
    assert len(sink.messages()) <= before + ON_THE_WIRE
    telstar.reconcile(cluster, sink, mailing)
    counters = cluster.mailing(mailing)
    assert counters["total_sent"] == len(sink.messages())


def test_a_removed_satellite_gives_back_what_it_had_started(tmp_path):
    settings = ["finishGrace=0s", f"smtp.maxConnectionsPerSite={CONNECTIONS}"]
    with telstar.cluster_with_sink(tmp_path, SLOW, settings=settings, satellites=2) as (cluster, sink):
        mailing = begun(cluster, sink, 600)
        api = cluster.api()
        [gone] = [one["id"] for one in api.cloud_list_satellites() if one["serial"] == "satellite-1"]
        started = time.monotonic()

        def removed():
            try:
                api.cloud_delete_satellite(gone)
            except telstar.xmlrpc.client.Fault:
                return False
            return True

        telstar.await_condition(removed, "the satellite has nothing started left")
        assert time.monotonic() - started < telstar.DEADLINE
        cluster.await_status(mailing, "FINISHED", 600)
        last = telstar.reconcile(cluster, sink, mailing)
        assert len(last) == 600 and all(event["status"] == "FINISHED" for event in last.values())
