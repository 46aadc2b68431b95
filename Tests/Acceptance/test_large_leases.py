"""Recipients with merge fields so long that a lease of the usual number would not fit the cluster link."""

import pathlib
import re

import pytest

import telstar

FIELD = 59 * 1024
COUNT = 3000
# The master with nothing to do takes about 100 MiB in a debug build; what leases of this size add is bounded.
RESIDENT_MIB = 400


def resident(pid):
    """The most memory that a process has had, in MiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) / 1024


def long_people(count, prefix="long"):
    return [{**person, "blob": "x" * FIELD} for person in telstar.people(count, domains=("one.test",), prefix=prefix)]


def test_a_mailing_of_long_merge_fields_goes_out_without_a_stop(tmp_path):
    with telstar.cluster_with_sink(tmp_path, settings=["finishGrace=0s"]) as (cluster, sink):
        api = cluster.api()
        mailing = telstar.make_mailing(api, [], start=False)
        for first in range(0, COUNT, 100):
            answers = api.add_recipients(mailing, long_people(100, prefix=f"long{first}-"))
            assert all("id" in answer for answer in answers)
        api.start_mailing(mailing)
        cluster.await_status(mailing, "FINISHED", 600)
        last = telstar.reconcile(cluster, sink, mailing)
        assert len(last) == COUNT and all(event["status"] == "FINISHED" for event in last.values())
        log = pathlib.Path(cluster.described["logs"]["master"]).read_text()
        assert "too long for the link" not in log and "exceeds the link's bound" not in log
        assert "nothing was leased or reported for a while" not in log
        assert resident(cluster.pids["master"][0]) < RESIDENT_MIB


@pytest.mark.parametrize("size, is_taken", [(63 * 1024, True), (65 * 1024, False)])
def test_a_recipient_whose_merge_fields_are_too_long_is_refused_alone(shared, size, is_taken):
    cluster, _ = shared
    api = cluster.api()
    mailing = telstar.make_mailing(api, [], start=False)
    good, long = telstar.people(2, prefix=f"bound{size}-")
    answers = api.add_recipients(mailing, [good, {**long, "blob": "x" * size}])
    assert "id" in answers[0]
    assert ("id" in answers[1]) == is_taken
    if not is_taken:
        assert "merge fields take" in answers[1]["error"] and "65536 at most" in answers[1]["error"]
