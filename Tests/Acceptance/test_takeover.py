"""A standby master takes over, and nothing is lost or sent twice."""

import signal

import pair
import postgresql
import pytest
import telstar


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM], ids=lambda how: how.name)
def test_a_standby_takes_over(how, tmp_path):
    silence = 600 if how == signal.SIGTERM else 6
    with postgresql.server() as database:
        sink = telstar.Sink(tmp_path / "sink", "at dot: delay 5ms\n")
        try:
            with pair.running(tmp_path / "pair", database.url, sink.port, settings=[f"store.masterSilence={silence}s"]) as masters:
                mailing = telstar.make_mailing(masters.api(), telstar.people(4000))
                telstar.await_condition(lambda: len(sink.messages()) > 500, "mail goes out")
                took, former = masters.takeover(how)
                # One that ends in order resigns, so that nobody waits for its silence.
                assert how != signal.SIGTERM or took < silence / 2, f"{took:.1f} s"
                if how == signal.SIGSTOP:
                    assert "has taken over from this master (term 1), which must stop" in former.program.text()
                    assert former.program.process.returncode == 69
                telstar.await_condition(lambda: masters.mailing(mailing)["status"] == "FINISHED", "the mailing finishes")
                last = telstar.reconcile(masters, sink, mailing)
                assert len(last) == 4000
                assert not any(event.get("uncertain") for event in last.values())
        finally:
            sink.stop()


def test_a_database_that_restarts_costs_nobody_and_needs_no_hand(tmp_path):
    with postgresql.server() as database:
        sink = telstar.Sink(tmp_path / "sink", "at dot: delay 5ms\n")
        try:
            with pair.running(tmp_path / "pair", database.url, sink.port) as masters:
                active = masters.active
                mailing = telstar.make_mailing(masters.api(), telstar.people(3000))
                telstar.await_condition(lambda: len(sink.messages()) > 300, "mail goes out")
                database.stop("immediate")
                telstar.await_condition(lambda: (active.readiness() or (200,))[0] == 503, "the master says that it is not ready")
                database.start()
                telstar.await_condition(lambda: masters.mailing(mailing)["status"] == "FINISHED", "the mailing finishes")
                assert len(telstar.reconcile(masters, sink, mailing)) == 3000
                # On a slow machine the database may be away for longer than a master may be silent; then the other has taken over.
                telstar.await_condition(
                    lambda: masters.standby or active.program.process.poll() == 69, "the standby waits again, or serves")
        finally:
            sink.stop()


def test_a_standby_that_is_stopped_leaves_at_once_and_in_order(tmp_path):
    with postgresql.server() as database:
        sink = telstar.Sink(tmp_path / "sink")
        try:
            with pair.running(tmp_path / "pair", database.url, sink.port) as masters:
                standby = masters.standby
                standby.kill(signal.SIGTERM)
                # Much less than it would have to wait for its turn.
                assert standby.program.process.wait(telstar.DEADLINE) == 0
                assert "master stopped" in standby.program.text()
        finally:
            sink.stop()
