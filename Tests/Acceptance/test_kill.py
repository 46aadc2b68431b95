"""Daemons killed in the middle of a mailing."""

import pytest

import telstar


@pytest.mark.parametrize("role", ["satellite", "master"])
def test_a_killed_daemon_loses_and_repeats_nothing(role, tmp_path):
    with telstar.cluster_with_sink(tmp_path, "at dot: delay 2ms\n", settings=["finishGrace=0s"]) as (cluster, sink):
        mailing = telstar.make_mailing(cluster.api(), telstar.people(3000))
        telstar.await_condition(lambda: len(sink.messages()) > 500, "the mailing is under way")
        cluster.kill(role)
        cluster.await_status(mailing, "FINISHED")
        last = telstar.reconcile(cluster, sink, mailing)
        assert len(last) == 3000


def test_a_terminated_satellite_hands_back_and_the_mailing_goes_on(tmp_path):
    with telstar.cluster_with_sink(tmp_path, "at dot: delay 2ms\n", settings=["finishGrace=0s"]) as (cluster, sink):
        mailing = telstar.make_mailing(cluster.api(), telstar.people(2000))
        telstar.await_condition(lambda: len(sink.messages()) > 300, "the mailing is under way")
        cluster.kill("satellite", telstar.signal.SIGTERM)
        cluster.await_status(mailing, "FINISHED")
        last = telstar.reconcile(cluster, sink, mailing)
        assert not [a for a, event in last.items() if event.get("uncertain")]


def test_a_second_cluster_in_the_same_directory_refuses(tmp_path):
    with telstar.cluster_with_sink(tmp_path) as (cluster, sink):
        second = telstar.Program(["cluster", "--dir", tmp_path / "cluster", "--api-port", 0], tmp_path / "second.log")
        assert second.process.wait(telstar.DEADLINE) == 69
        assert "already" in second.text()
        second.stop()


def test_the_children_end_when_the_parent_is_killed(tmp_path):
    with telstar.cluster_with_sink(tmp_path) as (cluster, sink):
        pids = [pid for role in ("master", "satellite") for pid in cluster.pids[role]]
        cluster.process.kill()
        cluster.process.wait()

        def gone():
            return not any(telstar.pathlib.Path(f"/proc/{pid}").exists() for pid in pids)
        telstar.await_condition(gone, "the children are gone")
