"""What befalls the database of a master and the way to it: nothing is lost or sent twice, and nobody has to lend a hand."""

import concurrent.futures
import contextlib
import threading
import time
import xmlrpc.client

import pair
import postgresql
import proxy
import pytest
import telstar

SLOW = "at dot: delay 30ms\n"


@contextlib.contextmanager
def cluster(directory, urls, script="at dot: delay 5ms\n", **options):
    """Masters and what they send to."""
    sink = telstar.Sink(directory / "sink", script)
    try:
        with pair.running(directory / "pair", urls, sink.port, **options) as masters:
            yield masters, sink
    finally:
        sink.stop()


@contextlib.contextmanager
def watching(master):
    """Collects what /readyz says all the while, each answer once."""
    answers, over = [], threading.Event()

    def watch():
        while not over.wait(0.1):
            answer = master.readiness()
            if answer not in answers[-1:]:
                answers.append(answer)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


def under_way(sink, count=300):
    telstar.await_condition(lambda: len(sink.messages()) > count, "mail goes out", every=0.02)


def finished(masters, sink, mailing, count):
    """The mailing has gone out whole, to each once."""
    telstar.await_condition(lambda: masters.mailing(mailing)["status"] == "FINISHED", "the mailing finishes")
    last = telstar.reconcile(masters, sink, mailing)
    assert len(last) == count
    assert not any(event.get("uncertain") for event in last.values())


def terms(database):
    return database.query("SELECT term FROM leadership ORDER BY term")


def unexpected(text, words):
    """The lines of a log that report trouble in words other than these."""
    expected = [*words, "a mailing was started that receivers may refuse"]
    return [line for line in text.splitlines() if any(f"level={level}" in line for level in ("warning", "error", "critical"))
            and not any(word in line for word in expected)]


# A long way


def test_a_long_way_to_the_database_costs_time_and_nothing_else(tmp_path):
    round_trip = 0.5
    with postgresql.server() as database, proxy.before(database) as net, cluster(tmp_path, net.url) as (masters, sink):
        active = masters.active
        mailing = telstar.make_mailing(masters.api(), telstar.people(2000), start=False)
        later = telstar.make_mailing(masters.api(), [], start=False)
        with watching(active) as answers:
            net.delay = round_trip / 2
            masters.api().start_mailing(mailing)
            added = masters.api().add_recipients(later, telstar.people(300, prefix="later"))
            assert all("id" in answer for answer in added)
            # A transaction takes ten round trips and more, and each satellite asks for a few recipients at first.
            telstar.await_condition(lambda: masters.mailing(mailing)["total_sent"] > 0, "the first reports are applied")
            assert masters.standby, "the standby sees that the master is slow, not silent"
            net.delay = 0

            def is_fast():
                began = time.monotonic()
                return masters.mailing(later)["total_recipient"] == 300 and time.monotonic() - began < round_trip
            telstar.await_condition(is_fast, "the master is fast again")
            finished(masters, sink, mailing, 2000)
        assert [answer[0] for answer in answers] == [200], answers
        masters.api().start_mailing(later)
        finished(masters, sink, later, 300)
        assert terms(database) == ["1"]
        assert not unexpected(active.program.text(), []), active.program.text()


# Nothing passes


def test_a_master_that_is_cut_off_is_replaced_and_stops_when_the_cut_heals(tmp_path):
    with postgresql.server() as database, proxy.before(database) as net, cluster(
            tmp_path, [net.url, database.url], SLOW) as (masters, sink):
        former, standby = masters.masters
        mailing = telstar.make_mailing(masters.api(), telstar.people(6000))
        under_way(sink, 500)
        net.cut()
        telstar.await_condition(lambda: standby.is_active, "the standby takes over")
        # Nothing that it can do shows it its successor, but it knows how long a leadership term outlives silence.
        code, words = telstar.await_condition(
            lambda: (answer := former.readiness()) and answer[0] == 503 and answer, "the cut off master is not ready", 20)
        assert "the database has not answered" in words
        assert former.program.process.poll() is None
        sent = len(sink.messages())
        telstar.await_condition(
            lambda: len(sink.messages()) > min(sent + 500, 5900), "the other master has mail sent meanwhile")
        net.heal()
        assert former.program.process.wait(telstar.DEADLINE) == 69
        assert "has taken over from this master (term 1), which must stop" in former.program.text()
        finished(masters, sink, mailing, 6000)
        assert terms(database) == ["1", "2"]


def test_an_answer_to_a_commit_that_is_lost_on_its_way_costs_nobody(tmp_path):
    with postgresql.server() as database, proxy.before(database) as net, cluster(
            tmp_path, net.url, SLOW) as (masters, sink):
        mailing = telstar.make_mailing(masters.api(), telstar.people(3000))
        under_way(sink, 100)
        other = telstar.make_mailing(masters.api(), [], start=False)
        for round in range(8):
            # In the midst of leases, starts and reports, and of what API callers add; two in a row now and then.
            net.lose_commits(1 + round % 2)
            recipients = telstar.people(10, prefix=f"round{round}-")
            # Only what was not acknowledged may be repeated, and it is all or nothing.
            added = telstar.await_condition(lambda: masters.api().add_recipients(other, recipients), "recipients are added")
            assert all("id" in answer for answer in added)
            telstar.await_condition(lambda: not net.losing, "the answers are lost")
        assert net.lost == 12
        finished(masters, sink, mailing, 3000)
        assert masters.mailing(other)["total_recipient"] == 80
        masters.api().start_mailing(other)
        finished(masters, sink, other, 80)
        assert terms(database) == ["1"]


# A full disk


@contextlib.contextmanager
def small_disk(megabytes):
    try:
        disk = postgresql.SmallDisk(megabytes)
    except postgresql.NoSmallDisk as reason:
        pytest.skip(str(reason))
    try:
        yield disk
    finally:
        disk.remove()


def is_not_ready(master, *words):
    code, text = master.readiness() or (0, "")
    return code == 503 and any(word in text for word in words)


def beside_running(masters, sink, count):
    """A mailing that is under way, and another that waits to be filled."""
    api = masters.api()
    running = telstar.make_mailing(api, telstar.people(count))
    waiting = telstar.make_mailing(api, [], start=False)
    under_way(sink, 500)
    return api, running, waiting


def fill_with(api, mailing, recipients, over=threading.Event()):
    """Adds recipients until the store takes no more, or it is over; returns how many it acknowledged, and the fault."""
    acknowledged = 0
    for first in range(0, len(recipients), 500):
        try:
            answers = api.add_recipients(mailing, recipients[first:first + 500])
        except xmlrpc.client.Fault as fault:
            return acknowledged, fault
        assert all("id" in answer for answer in answers), answers
        acknowledged += len(answers)
        if over.is_set():
            return acknowledged, None
    raise AssertionError(f"all of {len(recipients)} were taken")


def test_a_full_disk_of_the_database_is_reported_and_over_when_there_is_space(tmp_path):
    with small_disk(64) as disk, postgresql.server(small_data=disk) as database, cluster(
            tmp_path, database.url, SLOW) as (masters, sink):
        active = masters.active
        api, mailing, other = beside_running(masters, sink, 4000)
        crowd = telstar.people(50000, prefix="crowd")
        with disk.full():
            acknowledged, fault = fill_with(api, other, crowd)
            assert fault.faultCode == 503 and "no space left" in fault.faultString, fault
            telstar.await_condition(lambda: is_not_ready(active, "no space left"), "the master says that it is not ready")
            # Reading goes on, and shows what was acknowledged, no more.
            assert api.list_mailings({"id": [other]})[0]["total_recipient"] == acknowledged
        telstar.await_condition(lambda: active.is_active, "the master is ready again")
        finished(masters, sink, mailing, 4000)
        answers = api.add_recipients(other, crowd[acknowledged:acknowledged + 500])
        assert all("id" in answer for answer in answers)
        api.start_mailing(other)
        finished(masters, sink, other, acknowledged + 500)
        assert terms(database) == ["1"]
        text = active.program.text()
        assert "the store fails; nothing is acknowledged" in text and "the store answers again" in text
        assert not unexpected(text, ["No space left on device"]), text


def test_a_full_disk_under_the_write_ahead_log_costs_nobody(tmp_path):
    """The server stops itself when it cannot write its log, and may not be able to start before there is space."""
    with small_disk(48) as disk, postgresql.server(
            small_log=disk, settings=["min_wal_size=2MB", "max_wal_size=16MB"]) as database, cluster(
            tmp_path, database.url, SLOW) as (masters, sink):
        active = masters.active
        api, mailing, other = beside_running(masters, sink, 4000)
        over, pool = threading.Event(), concurrent.futures.ThreadPoolExecutor(1)
        with disk.full():
            # A call whose COMMIT was not answered waits until it is known what became of it; others are refused.
            filling = pool.submit(fill_with, api, other, telstar.people(50000, prefix="crowd"), over)
            telstar.await_condition(lambda: "PANIC" in database.log, "the server has given up")
            telstar.await_condition(
                lambda: is_not_ready(active, "the database failed", "the database has not answered"), "the master is not ready")
            over.set()
        # As its supervisor does, unless it has got up by itself.
        if not database.is_running:
            database.start()
        telstar.await_condition(lambda: active.is_active, "the master is ready again")
        acknowledged, fault = filling.result(telstar.DEADLINE)
        assert fault is None or fault.faultCode == 503, fault
        assert "No space left on device" in database.log
        finished(masters, sink, mailing, 4000)
        assert masters.mailing(other)["total_recipient"] == acknowledged
        masters.api().start_mailing(other)
        if acknowledged:
            finished(masters, sink, other, acknowledged)
        assert terms(database) == ["1"]
        text = active.program.text()
        assert "the store fails; nothing is acknowledged" in text and "the store answers again" in text


# Somebody else's lock, and a limit that was not meant for us


@pytest.mark.parametrize("lock, reason", [
    ("LOCK TABLE recipient IN ACCESS EXCLUSIVE MODE", "lock timeout"),
    ("SELECT * FROM mailing WHERE id = 1 FOR UPDATE", "lock timeout")], ids=["table", "row"])
def test_a_lock_of_somebody_else_holds_up_and_is_over_when_it_is_over(lock, reason, tmp_path):
    with postgresql.server() as database:
        # Whatever it costs, a statement of the store must not be cut short by what is meant for people.
        database.query("ALTER ROLE telstar SET statement_timeout = '10ms'")
        with cluster(tmp_path, database.url, SLOW) as (masters, sink):
            active = masters.active
            mailing = telstar.make_mailing(masters.api(), telstar.people(4000))
            under_way(sink, 500)
            with database.holding(lock):
                telstar.await_condition(lambda: is_not_ready(active, reason), "the master says that it is not ready")
                # It renews its leadership term between its attempts, so that no standby takes it for silent.
                since = "SELECT extract(epoch FROM max(renewed)) FROM leadership"
                began = float(database.query(since)[0])
                telstar.await_condition(
                    lambda: float(database.query(since)[0]) > began + 8, "the master leads for longer than its silence may last")
                assert masters.standby
            telstar.await_condition(lambda: active.is_active, "the master is ready again")
            finished(masters, sink, mailing, 4000)
            assert terms(database) == ["1"]
            text = active.program.text()
            assert "the store answers again" in text
            assert not unexpected(text, [reason]), text
