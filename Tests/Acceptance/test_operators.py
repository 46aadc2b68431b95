"""What an operator types, watches and gets wrong."""

import collections
import json
import re
import shutil
import sqlite3
import ssl
import subprocess
import urllib.error
import urllib.request
import xmlrpc.client

import pytest

import telstar

Z85_ZEROS = "0" * 40


def run(*arguments, timeout=telstar.DEADLINE, **options):
    """A command that has ended: exit status, output and problems."""
    return subprocess.run(
        [telstar.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, **options)


def succeed(*arguments, **options):
    """The output of a command that must succeed."""
    done = run(*arguments, **options)
    assert done.returncode == 0, done
    return done.stdout


def answered(*arguments):
    return json.loads(succeed(*arguments, "--json"))


def fetch(url):
    """Status, content type and text of a page."""
    try:
        with urllib.request.urlopen(url, timeout=telstar.DEADLINE) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers.get_content_type(), answer.read().decode()


def page(status_url, name):
    return fetch(status_url.removesuffix("/status") + "/" + name)


def client(cluster, key):
    url = cluster.described["api_url"].replace("https://", f"https://admin:{key}@")
    return xmlrpc.client.ServerProxy(url + "/CloudMailing", context=ssl._create_unverified_context())


def may_call(cluster, key):
    try:
        client(cluster, key).get_mailings_count()
        return True
    except xmlrpc.client.ProtocolError as error:
        assert error.errcode == 401
        return False


@pytest.fixture(scope="module")
def folder(shared):
    """The running cluster's directory."""
    return shared[0].described["dir"]


# Configuration


def test_the_version_is_reported():
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", succeed("--version"))


@pytest.mark.parametrize("text, words", [
    ("api:\n  lisen: x:1\n", "unknown option api.lisen (line 2); did you mean api.listen?"),
    ("retry:\n  frist: 1m\n", "did you mean retry.first?"), ("colour: red\n", "unknown option colour"),
    ("lease:\n  size: many\n", "lease.size"), ("lease:\n  size: 0\n", "lease.size"), ("log:\n  level: loud\n", "log.level"),
    ("link:\n  heartbeat: soon\n", "link.heartbeat"), ("api: [\n", "line"), ("status:\n  listen: nowhere\n", "status.listen"),
])
def test_a_wrong_configuration_is_refused_with_78_in_one_line(tmp_path, text, words):
    (tmp_path / "master.yaml").write_text(text)
    done = run("master", "--config", tmp_path / "master.yaml", "--check-config")
    assert done.returncode == 78 and not done.stdout
    # Another program of this machine may have one of the default ports, and the check says so as well.
    [line] = [line for line in done.stderr.splitlines() if "is taken now" not in line]
    assert line.startswith("telstar: ") and words in line


def test_every_wrong_line_of_a_configuration_is_reported_at_once(tmp_path):
    (tmp_path / "master.yaml").write_text("colour: red\nlease:\n  size: many\n")
    assert len(run("master", "--config", tmp_path / "master.yaml").stderr.splitlines()) == 2


@pytest.mark.parametrize("role, flag, words", [
    ("master", "api.lisen=x", "did you mean api.listen?"), ("satellite", "smtp.prot=25", "did you mean smtp.port?"),
])
def test_a_wrong_key_on_the_command_line_or_in_the_environment_is_refused(role, flag, words, tmp_path):
    done = run(role, "--set", flag, "--check-config")
    assert done.returncode == 78 and words in done.stderr
    assert run(role, "--config", tmp_path / "absent.yaml").returncode == 66
    assert run(role, "--nonsense").returncode == 64


def test_the_environment_stands_between_file_and_flags(tmp_path):
    (tmp_path / "master.yaml").write_text("lease:\n  size: 5\n")
    check = ("master", "--config", tmp_path / "master.yaml", "--check-config")
    good, bad = ({**telstar.os.environ, "TELSTAR_LEASE_SIZE": value} for value in ("6", "many"))
    assert succeed(*check, env=good) == "the configuration is sound\n"
    done = run(*check, env=bad)
    assert done.returncode == 78 and "TELSTAR_LEASE_SIZE" in done.stderr
    assert run(*check, "--set", "lease.size=many", env=good).returncode == 78


@pytest.mark.parametrize("role", ["master", "satellite"])
def test_the_sample_is_a_sound_configuration(role, tmp_path):
    sample = succeed(role, "--sample")
    (tmp_path / "sample.yaml").write_text(sample)
    check = [role, "--config", tmp_path / "sample.yaml", "--check-config", "--set", f"dataDirectory={tmp_path / 'data'}",
             *telstar.free_ports(role)]
    if role == "satellite":
        assert "serial" in run(*check).stderr
        check += ["--set", "serial=s", "--set", f"master.publicKey={Z85_ZEROS}"]
    assert succeed(*check) == "the configuration is sound\n"


def test_the_running_configurations_are_sound(shared):
    configs = shared[0].described["configs"]
    assert succeed("master", "--config", configs["master"], "--check-config") == "the configuration is sound\n"
    assert succeed("satellite", "--config", configs["satellite-1"], "--check-config") == "the configuration is sound\n"


# Keys


def test_keys_are_made_listed_and_revoked_while_the_master_runs(shared, folder, tmp_path):
    cluster, _ = shared
    made = answered("key", "create", "--name", "newsletter", "--dir", folder)
    assert made["name"] == "newsletter" and may_call(cluster, made["key"])
    text = succeed("key", "create", "--name", "for people", "--dir", folder)
    secret = re.search(r"^secret: (\S+)$", text, re.MULTILINE)[1]
    assert may_call(cluster, secret)
    listed = {key["id"]: key for key in answered("key", "list", "--dir", folder)["keys"]}
    assert listed[made["id"]]["name"] == "newsletter" and "key" not in listed[made["id"]] and "revoked_at" not in listed[made["id"]]
    assert made["key"] not in succeed("key", "list", "--dir", folder)
    assert succeed("key", "revoke", made["id"], "--dir", folder) == f"revoked {made['id']}\n"
    assert not may_call(cluster, made["key"]) and may_call(cluster, secret)
    assert [key for key in answered("key", "list", "--dir", folder)["keys"] if key["id"] == made["id"]][0]["revoked_at"]
    unknown = run("key", "revoke", "nonsense", "--dir", folder)
    assert unknown.returncode != 0 and "there is no API key nonsense" in unknown.stderr


def test_keys_are_made_listed_and_revoked_while_no_master_runs(tmp_path):
    with telstar.cluster_with_sink(tmp_path) as (cluster, sink):
        folder = cluster.described["dir"]
    kept, gone = (answered("key", "create", "--name", name, "--dir", folder) for name in ("kept", "gone"))
    succeed("key", "revoke", gone["id"], "--dir", folder)
    assert {"kept", "gone"} <= {key["name"] for key in answered("key", "list", "--dir", folder)["keys"]}
    satellite = answered("satellites", "add", "east-1", "--public-key", Z85_ZEROS, "--dir", folder)
    # The file says where the former cluster was.
    cluster.file.unlink()
    cluster = telstar.Cluster(tmp_path, sink.port)
    try:
        assert may_call(cluster, kept["key"]) and not may_call(cluster, gone["key"])
        listed = {one["serial"]: one for one in answered("satellites", "list", "--dir", folder)["satellites"]}
        assert listed["east-1"]["id"] == satellite["id"] and not listed["east-1"]["connected"]
    finally:
        cluster.stop()


def test_another_machine_asks_by_url_and_key_file(shared, tmp_path):
    cluster, _ = shared
    (tmp_path / "key").write_text(cluster.described["api_key"] + "\n")
    (tmp_path / "wrong").write_text("tk_wrong\n")
    trust = ("--ca-file", cluster.certificate)
    for url, *flags in ((cluster.described["api_url"], *trust), (cluster.described["api_plain_url"] + "/",)):
        assert answered("key", "list", "--url", url, "--key-file", tmp_path / "key", *flags)["keys"]
        refused = run("key", "list", "--url", url, "--key-file", tmp_path / "wrong", *flags)
        assert refused.returncode != 0 and "the API key is wrong or missing" in refused.stderr
    for flags, status in (((), 64), (("--key-file", tmp_path / "absent"), 66)):
        assert run("key", "list", "--url", cluster.described["api_url"], *flags).returncode == status
    remote = run("backup", tmp_path / "copy.sqlite", "--url", cluster.described["api_url"], "--key-file", tmp_path / "key", *trust)
    assert remote.returncode != 0 and "control socket only" in remote.stderr and not (tmp_path / "copy.sqlite").exists()


def test_a_directory_without_a_cluster_is_unavailable(tmp_path):
    done = run("key", "list", "--dir", tmp_path / "nowhere")
    assert "no master runs at" in done.stderr and done.returncode == 69


def test_what_needs_a_master_says_that_none_runs(tmp_path):
    done = run("mailing", "status", "--dir", tmp_path, timeout=telstar.DEADLINE)
    assert "no master runs" in done.stderr and done.returncode == 69


# Satellites


def test_satellites_are_added_listed_and_removed(folder, tmp_path):
    added = answered("satellites", "add", "west-1", "--public-key", Z85_ZEROS, "--group", "west", "--weight", 3, "--dir", folder)
    assert (added["serial"], added["group"], added["weight"], added["public_keys"]) == ("west-1", "west", 3, [Z85_ZEROS])
    listed = {one["serial"]: one for one in answered("satellites", "list", "--dir", folder)["satellites"]}
    assert listed["west-1"]["enabled"] and not listed["west-1"]["connected"] and listed["satellite-1"]["connected"]
    row = [line.split() for line in succeed("satellites", "list", "--dir", folder).splitlines() if "west-1" in line][0]
    assert row[1:6] == ["west-1", "west", "3", "yes", "no"]
    again = run("satellites", "add", "west-1", "--public-key", Z85_ZEROS, "--dir", folder)
    assert again.returncode != 0 and "exists already" in again.stderr
    short = run("satellites", "add", "west-2", "--public-key", "short", "--dir", folder)
    assert short.returncode != 0 and "40 characters" in short.stderr
    assert run("satellites", "add", "west-2", "--dir", folder).returncode == 64
    assert succeed("satellites", "remove", "west-1", "--dir", folder) == "removed west-1\n"
    assert "west-1" not in succeed("satellites", "list", "--dir", folder)
    absent = run("satellites", "remove", "west-1", "--dir", folder)
    assert absent.returncode != 0 and "there is no satellite west-1" in absent.stderr


class ExtraSatellite(telstar.Program):
    """A satellite beside a cluster's own, with another serial, directory and, if given, master's key."""

    def __init__(self, cluster, directory, serial, master_key=None, extra=""):
        model = telstar.pathlib.Path(cluster.described["configs"]["satellite-1"]).read_text()
        port = telstar.free_port()
        self.status_url = f"http://127.0.0.1:{port}/status"
        self.config = directory / f"{serial}.yaml"
        text = re.sub(r"^dataDirectory: .*$", f'dataDirectory: "{directory / serial}"', model, flags=re.MULTILINE)
        text = re.sub(r"^serial: .*$", f'serial: "{serial}"', text, flags=re.MULTILINE)
        text = re.sub(r"^status:\n  listen: .*$", f'status:\n  listen: "127.0.0.1:{port}"', text, flags=re.MULTILINE)
        if master_key is not None:
            text = re.sub(r"^  publicKey: .*$", lambda _: f'  publicKey: "{master_key}"', text, flags=re.MULTILINE)
        self.config.write_text(text + extra)
        super().__init__(["satellite", "--config", self.config], directory / f"{serial}.log")

    def key(self):
        return succeed("satellite", "--config", self.config, "--show-key").strip()


def trouble(log):
    """The reasons of the link's troubles in a log."""
    return re.findall(r'level=warning .*message="cluster link error" reason="([^"]*)"', log)


def master_log(cluster):
    return telstar.pathlib.Path(cluster.described["logs"]["master"]).read_text()


def test_a_public_key_may_begin_with_a_dash(folder):
    key = "-i:53Rpp+sN+k}7zYwxt3yxPZ[Ec]srCMPzwghyd"
    succeed("satellites", "add", "dash", "--public-key", key, "--dir", folder)
    assert "dash" in succeed("satellites", "list", "--dir", folder)
    succeed("satellites", "remove", "dash", "--dir", folder)


def test_a_satellite_with_an_unknown_key_is_refused_until_it_is_added(shared, folder, tmp_path):
    cluster, _ = shared
    stranger = ExtraSatellite(cluster, tmp_path, "stranger")
    try:
        def refused():
            return [text for text in trouble(stranger.text()) if "cannot connect to the master" in text]
        telstar.await_condition(refused, "the satellite says that it is refused", 30)
        key = stranger.key()
        telstar.await_condition(lambda: trouble(master_log(cluster)), "the master says whom it refuses", 30)
        assert len(refused()) == 1 and "refuses this side's public key" in refused()[0]
        [line] = trouble(master_log(cluster))
        assert key in line and "is not on the allow-list" in line
        assert page(stranger.status_url, "healthz")[0] == 200
        status, _, text = page(stranger.status_url, "readyz")
        assert status == 503 and "no master is connected" in text
        succeed("satellites", "add", "stranger", "--public-key", key, "--dir", folder)
        telstar.await_condition(lambda: page(stranger.status_url, "readyz")[0] == 200, "it is taken on", 30)
    finally:
        stranger.stop()
    succeed("satellites", "remove", "stranger", "--dir", folder)


def test_a_satellite_with_a_wrong_key_of_the_master_says_so(tmp_path):
    with telstar.cluster_with_sink(tmp_path) as (cluster, _):
        folder = cluster.described["dir"]
        wrong = answered("satellites", "list", "--dir", folder)["satellites"][0]["public_keys"][0]
        lost = ExtraSatellite(cluster, tmp_path, "lost", wrong)
        try:
            def refused():
                return [text for text in trouble(lost.text()) if "cannot connect to the master" in text]
            telstar.await_condition(refused, "the satellite says that it cannot connect", 30)
            assert len(refused()) == 1 and "is the server's public key the configured one?" in refused()[0]
            telstar.await_condition(lambda: trouble(master_log(cluster)), "the master says that somebody failed", 30)
            [line] = trouble(master_log(cluster))
            assert "it expects another server key" in line
            assert page(lost.status_url, "readyz")[0] == 503
        finally:
            lost.stop()


def test_a_satellite_enrols_with_a_shared_key(shared, folder, tmp_path):
    cluster, _ = shared
    for name, text in (("right", "a secret of some length\n"), ("wrong", "another secret of some length\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    succeed("satellites", "add", "enrolled-1", "--shared-key-file", tmp_path / "right", "--dir", folder)
    master = telstar.pathlib.Path(cluster.described["configs"]["master"]).read_text()
    endpoint = re.search(r'enrolListen: "([^"]*)"', master)[1]
    enrol = 'enrol:\n  endpoint: "%s"\n  sharedKeyFile: "%s"\n'
    refused = ExtraSatellite(cluster, tmp_path, "enrolled-1", "", enrol % (endpoint, tmp_path / "wrong"))
    assert refused.process.wait(telstar.DEADLINE) == 69
    refused.stop()
    assert f"enrolment at {endpoint} failed" in refused.text().splitlines()[-1]
    enrolled = ExtraSatellite(cluster, tmp_path, "enrolled-1", "", enrol % (endpoint, tmp_path / "right"))
    try:
        telstar.await_condition(lambda: page(enrolled.status_url, "readyz")[0] == 200, "it is taken on", 30)
    finally:
        enrolled.stop()
    succeed("satellites", "remove", "enrolled-1", "--force", "--dir", folder)


# Mailings


def test_a_mailing_is_sent_from_the_command_line(shared, folder, tmp_path):
    cluster, sink = shared
    (tmp_path / "news.html").write_text("<p>Dear {{ firstname }}</p>")
    (tmp_path / "bad.html").write_text("<p>\n{% if %}</p>")
    people = [{"email": f"line{n}@one.test", "firstname": "Zoë"} for n in range(1100)]
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, people)) + "\n\n")
    create = ["mailing", "create", "--from", "news@example.org", "--sender-name", "News", "--subject", "Hello {{ firstname }}"]
    broken = run(*create, "--html", tmp_path / "bad.html", "--dir", folder)
    assert broken.returncode != 0 and "line 2, column 7" in broken.stderr
    mailing = answered(*create, "--html", tmp_path / "news.html", "--dir", folder)
    assert mailing["status"] == "filling"
    imported = answered("mailing", "import", mailing["id"], tmp_path / "people.jsonl", "--dir", folder)
    assert imported == {"accepted": 1100, "repeated": 0, "refused": 0, "duplicates": 0, "lines": 1101}
    bad = run("mailing", "import", mailing["id"], "-", "--dir", folder,
              input='{"email": "no address"}\n{"email": "extra@one.test", "firstname": "E"}\n')
    assert bad.returncode == 65 and bad.stdout == "1 accepted, 1 refused\n" and bad.stderr.startswith("line 1: ")
    paused = run("mailing", "pause", mailing["id"], "--dir", folder)
    assert paused.returncode != 0 and "cannot be paused" in paused.stderr
    assert re.match(rf"mailing {mailing['id']} is ", succeed("mailing", "start", mailing["id"], "--dir", folder))
    cluster.await_status(mailing["id"], "FINISHED")
    status = answered("mailing", "status", mailing["id"], "--dir", folder)
    assert (status["status"], status["total"], status["delivered"], status["failed"]) == ("finished", 1101, 1101, 0)
    assert str(mailing["id"]) in succeed("mailing", "status", "--dir", folder)
    *reports, end = map(json.loads, succeed("report", "--mailing", mailing["id"], "--json", "--dir", folder).splitlines())
    assert end["reports"] == len(reports) and end["cursor"]
    assert collections.Counter(report["status"] for report in reports) == {"delivered": 1101}
    assert {report["email"] for report in reports} == {person["email"] for person in people} | {"extra@one.test"}
    assert {report["satellite"] for report in reports} == {"satellite-1"}
    people_read = run("report", "--mailing", mailing["id"], "--status", "failed", "uncertain", "--dir", folder)
    assert people_read.stdout == "" and people_read.stderr.startswith("cursor: ")
    cursor = people_read.stderr.split()[1]
    rest = json.loads(succeed("report", "--cursor", cursor, "--json", "--mailing", mailing["id"], "--dir", folder))
    assert rest == {"cursor": cursor, "reports": 0}
    unknown = run("mailing", "start", 2_000_000_000, "--dir", folder)
    assert unknown.returncode != 0 and "404 unknown_mailing" in unknown.stderr
    telstar.reconcile(cluster, sink, mailing["id"])


# Watching


def families(text):
    """Metrics in Prometheus' text format, each line checked: type and samples by name."""
    found = {}
    label = r'[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"'
    for line in text.splitlines():
        if kind := re.fullmatch(r"# TYPE ([a-z_]+) (counter|gauge|histogram)", line):
            assert kind[1] not in found
            found[kind[1]] = (kind[2], {})
        elif not re.fullmatch(r"# HELP [a-z_]+ \S.*", line):
            sample = re.fullmatch(rf"([a-z_]+)(\{{{label}(?:,{label})*\}})? (-?[0-9.e+-]+|NaN|[+-]Inf)", line)
            assert sample, line
            name = sample[1] if sample[1] in found else re.sub(r"_(bucket|sum|count)$", "", sample[1])
            samples = found[name][1]
            assert (sample[1], sample[2]) not in samples
            samples[sample[1], sample[2]] = float(sample[3])
    return found


def both(cluster):
    return {"master": cluster.described["status_url"], "satellite": cluster.described["satellite_status_urls"][0]}


@pytest.mark.parametrize("role", ["master", "satellite"])
def test_both_roles_can_be_watched(shared, role):
    cluster, _ = shared
    mailing = telstar.make_mailing(cluster.api(), telstar.people(20, prefix=f"watched-{role}-"))
    cluster.await_status(mailing, "FINISHED")
    url = both(cluster)[role]
    assert page(url, "healthz") == (200, "text/plain", "ok\n")
    assert page(url, "readyz") == (200, "text/plain", "ready\n")
    status, kind, text = page(url, "status")
    assert (status, kind) == (200, "application/json")
    described = json.loads(text)
    status, kind, text = page(url, "metrics")
    assert (status, kind) == (200, "text/plain")
    metrics = families(text)
    if role == "master":
        [satellite] = [one for one in described["satellites"] if one["serial"] == "satellite-1"]
        assert described["ready"] and described["problems"] == [] and satellite["connected"]
        assert described["mailings"]["finished"] >= 1
        assert metrics["telstar_master_ready"][1]["telstar_master_ready", None] == 1
        connected = metrics["telstar_master_satellite_connected"][1]
        assert connected["telstar_master_satellite_connected", '{satellite="satellite-1"}'] == 1
        assert metrics["telstar_master_mailings"][1]["telstar_master_mailings", '{state="finished"}'] >= 1
    else:
        assert described["connected"] and described["serial"] == "satellite-1" and described["delivered"] >= 20
        assert metrics["telstar_satellite_connected"][1]["telstar_satellite_connected", None] == 1
        delivered = metrics["telstar_satellite_attempts_total"][1]["telstar_satellite_attempts_total", '{outcome="delivered"}']
        assert delivered == described["delivered"]
    assert page(url, "nowhere")[0] == 404


@pytest.mark.parametrize("role", ["master", "satellite"])
def test_every_metric_is_described(shared, role):
    assert "Not described." not in page(both(shared[0])[role], "metrics")[2]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("role", ["master", "satellite"])
def test_promtool_finds_no_fault(shared, role):
    text = page(both(shared[0])[role], "metrics")[2]
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=telstar.DEADLINE)
    assert checked.returncode == 0, checked.stdout + checked.stderr


# The store


def test_a_copy_made_while_a_mailing_runs_is_whole(tmp_path):
    with telstar.cluster_with_sink(tmp_path, "at dot: delay 40ms\n", settings=["finishGrace=0s"]) as (cluster, sink):
        mailing = telstar.make_mailing(cluster.api(), telstar.people(600))
        telstar.await_condition(lambda: cluster.mailing(mailing)["total_sent"] > 20, "the mailing is under way")
        copy = tmp_path / "copy.sqlite"
        assert succeed("backup", copy, "--dir", cluster.described["dir"]) == f"backed up to {copy}\n"
        during = cluster.mailing(mailing)
        assert during["status"] == "RUNNING", "the copy was not made while the mailing ran"
        assert copy.stat().st_mode & 0o777 == 0o600 and not list(tmp_path.glob("copy.sqlite.*"))
        with sqlite3.connect(f"file:{copy}?mode=ro", uri=True) as store:
            assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert store.execute("SELECT count(*) FROM recipient").fetchone() == (600,)
            [(total, delivered)] = store.execute("SELECT total, delivered FROM mailing").fetchall()
            assert total == 600 and 20 < delivered <= during["total_sent"]
        store.close()
        cluster.await_status(mailing, "FINISHED")
        telstar.reconcile(cluster, sink, mailing)


def test_a_backup_replaces_nothing(folder, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    assert run("backup", precious, "--dir", folder).returncode != 0
    assert precious.read_text() == "precious"


def test_a_backup_that_cannot_be_written_is_refused_and_the_master_goes_on(shared, folder, tmp_path):
    failed = run("backup", tmp_path / "absent" / "copy.sqlite", "--dir", folder)
    assert failed.returncode != 0 and failed.stderr.startswith("telstar: ")
    assert page(shared[0].described["status_url"], "readyz")[0] == 200


def test_a_second_master_on_the_same_store_ends_with_69(shared, tmp_path):
    cluster, _ = shared
    started = run("master", "--config", cluster.described["configs"]["master"])
    assert started.returncode == 69
    last = started.stderr.splitlines()[-1]
    assert last.startswith("telstar: the store sqlite:") and "another master has the store open" in last
    elsewhere = run("master", "--set", f"dataDirectory={tmp_path}", "--set", f"store.url={cluster.described['store']}")
    assert elsewhere.returncode == 69
    assert page(cluster.described["status_url"], "readyz")[0] == 200


def test_a_port_in_use_ends_a_daemon_with_69(shared, tmp_path):
    cluster, _ = shared
    taken = cluster.described["status_url"].split("/")[2]
    flags = [f"dataDirectory={tmp_path}", f"status.listen={taken}"]
    for key in ("api.listen", "link.listen", "link.contentListen", "link.enrolListen"):
        address = f"127.0.0.1:{telstar.free_port()}"
        flags.append(f"{key}={address}" if key.startswith("api") else f"{key}=tcp://{address}")
    done = run("master", *(word for flag in flags for word in ("--set", flag)))
    assert done.returncode == 69 and taken.split(":")[1] in done.stderr.splitlines()[-1]


def test_the_bench_takes_every_recipient_through_the_store():
    figures = answered("bench", "store", "--recipients", 3000, "--small-mailings", 20)
    assert figures["delivered"] == "3000 of 3000" and figures["counters_that_differ_from_a_recount"] == "0"
    assert float(figures["small_mailings_made_and_ended_a_second"]) > 0
