"""A mailing goes out through a master and satellites, and its reports come back."""

import email
import email.policy

import pytest

import telstar


def test_a_mailing_is_delivered_and_its_reports_agree_with_the_receiver(shared):
    cluster, sink = shared
    mailing = telstar.make_mailing(cluster.api(), telstar.people(300))
    finished = cluster.await_status(mailing, "FINISHED")
    assert finished["total_recipient"] == finished["total_sent"] == 300
    last = telstar.reconcile(cluster, sink, mailing)
    assert len(last) == 300


def test_two_satellites_share_the_work(tmp_path):
    with telstar.cluster_with_sink(tmp_path, satellites=2, settings=["finishGrace=0s"]) as (cluster, sink):
        domains = tuple(f"domain{number}.test" for number in range(40))
        mailing = telstar.make_mailing(cluster.api(), telstar.people(2000, domains))
        cluster.await_status(mailing, "FINISHED")
        last = telstar.reconcile(cluster, sink, mailing)
        assert {event["cloud_client"] for event in last.values()} == {"satellite-1", "satellite-2"}


def test_the_first_mail_leaves_although_the_satellite_started_before_the_master(tmp_path):
    with telstar.cluster_with_sink(tmp_path, settings=["finishGrace=0s"]) as (cluster, sink):
        cluster.kill("master")
        mailing = telstar.await_condition(
            lambda: telstar.make_mailing(cluster.api(), telstar.people(10)), "the master answers again")
        cluster.await_status(mailing, "FINISHED")
        telstar.reconcile(cluster, sink, mailing)


def test_refused_and_deferred_recipients_are_reported_with_the_servers_reply(tmp_path):
    script = (
        "at rcpt to refuse*: reply 550 5.1.1 No such person\n"
        "at rcpt to later*: reply 451 4.3.0 Come back later\n"
    )
    with telstar.cluster_with_sink(tmp_path, script, settings=["finishGrace=0s"]) as (cluster, sink):
        recipients = [{"email": f"{kind}{n}@one.test", "firstname": "A"} for kind in ("ok", "refuse", "later")
                      for n in range(5)]
        mailing = telstar.make_mailing(cluster.api(), recipients)
        telstar.await_condition(lambda: cluster.mailing(mailing)["total_softbounce"] == 5
                                and cluster.mailing(mailing)["total_sent"] == 5
                                and cluster.mailing(mailing)["total_error"] == 5, "all attempted")
        last = telstar.reconcile(cluster, sink, mailing)
        refused = last["refuse0@one.test"]
        assert refused["status"] == "ERROR" and refused["reply_code"] == 550
        assert refused["reply_enhanced_code"] == "5.1.1" and "No such person" in refused["reply_text"]
        assert last["later0@one.test"]["status"] == "WARNING" and last["later0@one.test"]["next_try"]


def test_unknown_domains_fail_for_good_and_broken_ones_are_tried_again(tmp_path):
    zone = "* MX 10 mx.sink.test\nmx.sink.test A 127.0.0.2\ngone.test NXDOMAIN\nbroken.test SERVFAIL\nnull.test MX 0 .\n"
    with telstar.cluster_with_sink(tmp_path, zone=zone, settings=["finishGrace=0s"]) as (cluster, sink):
        recipients = [{"email": f"a@{domain}", "firstname": "A"} for domain in ("gone.test", "broken.test", "null.test", "x.test")]
        mailing = telstar.make_mailing(cluster.api(), recipients)
        telstar.await_condition(lambda: len({e["email"] for e in cluster.feed(mailing)}) == 4, "all reported")
        last = telstar.reconcile(cluster, sink, mailing)
        assert {a: e["status"] for a, e in last.items()} == {
            "a@gone.test": "ERROR", "a@broken.test": "WARNING", "a@null.test": "ERROR", "a@x.test": "FINISHED"}


def test_a_test_send_leaves_while_the_mailing_is_being_filled(shared):
    cluster, sink = shared
    api = cluster.api()
    mailing = telstar.make_mailing(api, telstar.people(3), start=False)
    [answer] = api.send_test(mailing, [{"email": "proof@one.test", "firstname": "Proof"}])
    telstar.await_condition(lambda: sink.copies()["proof@one.test"] == 1, "the proof arrived")
    telstar.await_condition(lambda: api.get_recipients_status([answer["id"]])[0]["status"] == "FINISHED", "it is reported")
    assert cluster.mailing(mailing)["status"] == "FILLING_RECIPIENTS"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_paused_mailing_sends_nothing_until_it_is_started_again(shared, when):
    cluster, sink = shared
    api = cluster.api()
    # So many that the mailing cannot be over by the time that it is paused.
    recipients = telstar.people(50 if when == "before" else 4000, prefix=f"pause-{when}-")
    mailing = telstar.make_mailing(api, recipients, start=False)
    if when == "before":
        api.start_mailing(mailing)
        assert api.pause_mailing(mailing) == "PAUSED"
    else:
        api.start_mailing(mailing)
        telstar.await_condition(lambda: cluster.mailing(mailing)["total_sent"] > 0, "something was sent")
        api.pause_mailing(mailing)
    api.start_mailing(mailing)
    cluster.await_status(mailing, "FINISHED")
    telstar.reconcile(cluster, sink, mailing)
