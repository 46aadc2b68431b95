"""The command line as people and programs use it: what it prints, how it ends, and what it says when something is wrong."""

import base64
import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
import xmlrpc.client

import pytest

import telstar
from test_operators import Z85_ZEROS, answered, run, succeed

# What the libraries below print; none of it is for people.
FOREIGN = re.compile(r"Error Domain|NSCocoa|Code=\d|DecodingError|keyNotFound|errno:|\(descriptor:|HTTPClientError|NIOConnection|"
                     r"failedTo|Foundation|Swift\.|Optional\(|IOError|fault in this program")


def failed(done, status, *words):
    """The one line that a command which failed says."""
    assert done.returncode == status and not done.stdout, done
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("telstar: "), done
    for word in words:
        assert word in lines[0], done
    assert not FOREIGN.search(lines[0]), done
    return lines[0]


@pytest.fixture(scope="module")
def folder(shared):
    return shared[0].described["dir"]


@pytest.fixture
def html(tmp_path):
    (tmp_path / "news.html").write_text("<p>Dear {{ firstname }}</p>")
    return tmp_path / "news.html"


def create(folder, html, *more):
    return answered("mailing", "create", "--from", "news@example.org", "--subject", "Hello", "--html", html, *more, "--dir", folder)


# Files


COMMANDS = {
    "configuration": ["master", "--config", "FILE"], "satellite": ["satellite", "--config", "FILE"],
    "html": ["mailing", "create", "--from", "a@b.org", "--subject", "s", "--html", "FILE", "--dir", "DIR"],
    "plain": ["mailing", "set", "1", "--plain", "FILE", "--dir", "DIR"],
    "latin": ["mailing", "set", "1", "--plain", "FILE", "--charset", "windows-1252", "--dir", "DIR"],
    "signing key": ["mailing", "set", "1", "--dkim-domain", "b.org", "--dkim-selector", "s", "--dkim-key-file", "FILE", "--dir", "DIR"],
    "import": ["mailing", "import", "1", "FILE", "--format", "csv", "--dir", "DIR"],
    "test": ["mailing", "test", "1", "--file", "FILE", "--dir", "DIR"],
    "key file": ["key", "list", "--url", "https://127.0.0.1:1", "--key-file", "FILE"],
    "shared key": ["satellites", "add", "x", "--shared-key-file", "FILE", "--dir", "DIR"],
    "script": ["sink", "--listen", "127.0.0.1:0", "--script", "FILE"],
    "zone": ["sink", "--listen", "127.0.0.1:0", "--verify-dkim", "--fake-dns", "FILE"],
}


def command(name, path, folder):
    return [str(path) if word == "FILE" else folder if word == "DIR" else word for word in COMMANDS[name]]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_that_cannot_be_read_has_one_status_and_says_why(folder, tmp_path, name):
    absent, directory = tmp_path / "absent", tmp_path / "directory"
    directory.mkdir()
    failed(run(*command(name, absent, folder)), 66, str(absent))
    failed(run(*command(name, directory, folder)), 66, str(directory))


@pytest.mark.parametrize("name", [name for name in COMMANDS if "DIR" not in COMMANDS[name]])
def test_a_file_that_is_not_ours_to_read_says_so(folder, tmp_path, name):
    secret = tmp_path / "secret"
    secret.write_text("x\n")
    secret.chmod(0o600)
    for path in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o055)
    done = subprocess.run([*telstar.as_somebody_else(), *command(name, secret, folder)],
                          capture_output=True, text=True, timeout=telstar.DEADLINE)
    failed(done, 66, str(secret), "this user may not")


def test_a_control_socket_that_is_not_ours_to_use_says_so(folder):
    done = subprocess.run([*telstar.as_somebody_else(), "mailing", "list", "--dir",
                           folder + "/master"], capture_output=True, text=True, timeout=telstar.DEADLINE)
    failed(done, 69, "control.sock")


def test_a_file_that_is_no_text_says_so(folder, tmp_path):
    (tmp_path / "bad").write_bytes(b"<p>\xff\xfe</p>")
    failed(run(*command("html", tmp_path / "bad", folder)), 65, "is not text in UTF-8")


@pytest.mark.parametrize("arguments", [["report", "export", "--output"], ["backup"]])
def test_a_file_that_cannot_be_written_says_so(folder, tmp_path, arguments):
    done = run(*arguments, tmp_path / "absent" / "file", "--dir", folder)
    failed(done, 73 if arguments[0] == "report" else 1, "absent")


# Other machines


@contextlib.contextmanager
def server(answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{serving.server_port}"
        finally:
            serving.shutdown()


@pytest.fixture
def key(tmp_path):
    (tmp_path / "key").write_text("tk_key\n")
    return tmp_path / "key"


@pytest.mark.parametrize("answer, status, words", [
    ((200, b"<html>Welcome</html>"), 69, "as a Telstar master"), ((200, b"{}"), 69, "as a Telstar master"), ((200, b""), 69, "Telstar"),
    ((404, b"<html>\nNot here</html>"), 1, "404"), ((502, b"Bad gateway"), 1, "Bad gateway")])
def test_an_answer_of_something_else_is_reported_in_plain_text(key, answer, status, words):
    with server(answer) as url:
        failed(run("key", "list", "--url", url, "--key-file", key), status, words, url)


def test_a_master_that_cannot_be_reached_is_reported_in_plain_text(shared, key):
    port = telstar.free_port()
    failed(run("key", "list", "--url", f"https://127.0.0.1:{port}", "--key-file", key), 69, f"127.0.0.1:{port}", "nobody listens")
    failed(run("key", "list", "--url", "https://no-such-host.invalid:1", "--key-file", key), 69, "no-such-host.invalid", "not known")
    plain = shared[0].described["api_plain_url"]
    failed(run("key", "list", "--url", plain.replace("http:", "https:"), "--key-file", key), 69, "TLS")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closing = threading.Thread(target=lambda: silent.accept()[0].close(), daemon=True)
        closing.start()
        failed(run("key", "list", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}", "--key-file", key), 69, "closed the connection")
    assert run("key", "list", "--url", "master:1", "--key-file", key).returncode == 64


# JSON


def keys_of(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def test_json_has_one_vocabulary_and_one_shape(folder, html):
    mailing = create(folder, html)
    answers = [mailing, answered("mailing", "status", mailing["id"], "--dir", folder)]
    assert answers[0] == answers[1]
    for name, *arguments in (("mailings", "mailing", "list"), ("mailings", "mailing", "status"), ("keys", "key", "list"),
                             ("satellites", "satellites", "list")):
        answer = answered(*arguments, "--dir", folder)
        assert list(answer) == [name] and answer[name] and all(isinstance(one, dict) for one in answer[name])
        answers.append(answer)
    answers += map(json.loads, succeed("report", "--json", "--dir", folder).splitlines())
    for name in keys_of(answers):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), name
    assert not {"state", "tries", "created", "modified"} & set(keys_of(answers))
    assert answered("mailing", "delete", mailing["id"], "--dir", folder) == {"deleted": mailing["id"]}


@pytest.mark.parametrize("arguments, status, code", [
    (["mailing", "start", "2000000000", "--dir", "DIR"], 1, "unknown_mailing"), (["mailing", "start", "--dir", "DIR"], 64, "usage"),
    (["mailing", "list", "--dir", "/nowhere"], 69, "unavailable"),
    (["mailing", "import", "1", "/absent.csv", "--dir", "DIR"], 66, "unreadable_file"),
    (["key", "revoke", "nonsense", "--dir", "DIR"], 1, "unknown_key")])
def test_with_json_errors_are_json_too(folder, arguments, status, code):
    done = run(*(folder if word == "DIR" else word for word in arguments), "--json")
    assert (done.returncode, done.stdout) == (status, ""), done
    error = json.loads(done.stderr)["error"]
    assert error["code"] == code and error["message"]


@pytest.mark.parametrize("role", ["master", "satellite"])
def test_the_status_has_one_vocabulary(shared, role):
    cluster, _ = shared
    url = {"master": cluster.described["status_url"], "satellite": cluster.described["satellite_status_urls"][0]}[role]
    with urllib.request.urlopen(url, timeout=telstar.DEADLINE) as answer:
        text = answer.read().decode()
    assert not re.search(r"\d[eE]-\d", text)
    names = set(keys_of(json.loads(text)))
    for name in names:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), name
        assert not name.startswith("is_") and not name.endswith(("_octets", "_milliseconds", "_millis")), name
    status = json.loads(text)
    if role == "master":
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["started_at"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["satellites"][0]["last_seen_at"])
        # Ages are no timestamps: nothing of that cluster is older than a day.
        assert all(0 <= status[name] < 86_400 for name in status if name.endswith("_seconds"))
    else:
        assert {"connected", "draining", "disk_full", "journal_bytes", "journal_available_bytes", "attempts_per_second"} <= names


# Satellites


def test_a_satellites_properties_are_set_and_cleared(folder):
    succeed("satellites", "add", "set-1", "--public-key", "1" * 40, "--dir", folder)
    change = ("satellites", "set", "set-1", "--dir", folder)
    changed = answered(*change, "--group", "west", "--weight", 5, "--include-domains", "one.test, two.test", "--disable")
    assert (changed["group"], changed["weight"], changed["enabled"]) == ("west", 5, False)
    assert changed["affinity"] == {"include": ["one.test", "two.test"], "exclude": []}
    changed = answered(*change, "--exclude-domains", "three.test", "--enable")
    assert changed["affinity"] == {"include": ["one.test", "two.test"], "exclude": ["three.test"]} and changed["enabled"]
    changed = answered(*change, "--no-group", "--include-domains", "", "--exclude-domains", "")
    assert changed.get("group") is None and changed["weight"] == 5 and changed["affinity"] == {"include": [], "exclude": []}
    assert run(*change).returncode == 64 and run(*change, "--group", "").returncode == 64
    failed(run(*change, "--weight", 0), 1, "weight")
    failed(run("satellites", "set", "nobody", "--weight", 2, "--dir", folder), 1, "there is no satellite nobody")
    succeed("satellites", "remove", "set-1", "--dir", folder)


def test_a_satellite_is_changed_while_no_master_runs(tmp_path):
    with telstar.cluster_with_sink(tmp_path) as (cluster, _):
        folder = cluster.described["dir"]
    changed = answered("satellites", "set", "satellite-1", "--group", "west", "--exclude-domains", "one.test", "--dir", folder)
    assert (changed["group"], changed["affinity"]["exclude"]) == ("west", ["one.test"])
    assert answered("satellites", "set", "satellite-1", "--no-group", "--dir", folder).get("group") is None


@pytest.mark.parametrize("text, mode, status, words", [
    ("a secret of some length\n", 0o644, 78, "chmod 600"), ("abc\n", 0o600, 78, "16 at least"), ("\n", 0o600, 78, "16 at least")])
def test_a_shared_key_is_held_to_the_same_rule_as_at_the_satellite(folder, tmp_path, text, mode, status, words):
    (tmp_path / "shared").write_text(text)
    (tmp_path / "shared").chmod(mode)
    failed(run("satellites", "add", "weak", "--shared-key-file", tmp_path / "shared", "--dir", folder), status, words)
    assert "weak" not in succeed("satellites", "list", "--dir", folder)


# Mailings


def test_a_mailing_is_created_with_every_property(shared, folder, html, tmp_path):
    cluster, _ = shared
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "dkim.pem", "2048"], check=True, capture_output=True)
    (tmp_path / "latin.txt").write_bytes("Grüße\n".encode("windows-1252"))
    made = create(folder, html, "--plain", tmp_path / "latin.txt", "--charset", "windows-1252", "--name", "October", "--group", "west",
                  "--tracking-url", "https://t.example.org/", "--click-tracking", "--no-read-tracking", "--sender-name", "News",
                  "--reply-to", "desk@example.org", "--start-at", "2031-12-01T09:00:00+01:00", "--end-at", "2031-12-24T00:00:00Z", "--duration", "90",
                  "--dkim-selector", "s1", "--dkim-key-file", tmp_path / "dkim.pem")
    assert made["dkim"] == [{"domain": "example.org", "selector": "s1"}]
    assert (made["scheduled_start"], made["scheduled_end"]) == ("2031-12-01T08:00:00Z", "2031-12-24T00:00:00Z")
    assert (made["shown_name"], made["satellite_group"], made["tracking_url"]) == ("October", "west", "https://t.example.org/")
    assert made["reply_to"] == "desk@example.org"
    kept = cluster.mailing(made["id"])
    assert kept["satellite_group"] == "west" and kept["click_tracking"] and not kept["read_tracking"]
    changed = answered("mailing", "set", made["id"], "--subject", "Changed", "--clear", "group", "dkim", "tracking-url", "end-at",
                       "--dir", folder)
    assert changed["subject"] == "Changed" and changed["dkim"] == [] and changed["scheduled_start"] == "2031-12-01T08:00:00Z"
    assert not {"satellite_group", "tracking_url", "scheduled_end"} & set(changed)
    assert run("mailing", "set", made["id"], "--dir", folder).returncode == 64
    assert run("mailing", "set", made["id"], "--group", "x", "--clear", "group", "--dir", folder).returncode == 64
    failed(run("mailing", "set", made["id"], "--tracking-url", "ftp://x", "--dir", folder), 1, "tracking URL")
    assert succeed("mailing", "delete", made["id"], "--dir", folder) == f"mailing {made['id']} is deleted\n"
    failed(run("mailing", "delete", made["id"], "--dir", folder), 1, "404 unknown_mailing")


@pytest.mark.parametrize("flags, words", [
    (["--start-at", "2031-12-01T09:00:00"], "zone"), (["--dkim-selector", "s"], "need each other"),
    (["--dkim-identity", "@b.org"], "--dkim-selector"), (["--charset", "ebcdic"], "not known")])
def test_options_of_a_mailing_that_mean_nothing_are_refused(folder, html, flags, words):
    done = run("mailing", "create", "--from", "a@b.org", "--subject", "s", "--html", html, *flags, "--dir", folder)
    assert done.returncode == 64 and words in done.stderr


def test_a_mailing_that_lacks_what_was_asked_of_it_is_not_left_behind(folder, html, tmp_path):
    (tmp_path / "no.pem").write_text("no key\n")
    before = len(answered("mailing", "list", "--dir", folder)["mailings"])
    failed(run("mailing", "create", "--from", "a@b.org", "--subject", "s", "--html", html, "--dkim-selector", "s", "--dkim-key-file",
             tmp_path / "no.pem", "--dir", folder), 1, "DKIM key")
    assert len(answered("mailing", "list", "--dir", folder)["mailings"]) == before


def test_an_unknown_member_of_a_body_is_refused(shared):
    cluster, _ = shared
    request = urllib.request.Request(
        cluster.described["api_plain_url"] + "/telstar/v1/mailings", json.dumps({"from": "a@b.org"}).encode(),
        {"Authorization": "Basic " + base64.b64encode(f"admin:{cluster.described['api_key']}".encode()).decode()})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=telstar.DEADLINE)
    with refused.value as answer:
        assert answer.code == 400 and "`from` is unknown" in json.load(answer)["error"]["message"]


def test_a_mailing_is_tried_on_a_few_addresses(shared, folder, html):
    cluster, sink = shared
    mailing = create(folder, html)
    sent = answered("mailing", "test", mailing["id"], "try1@one.test", "try2@one.test", "--field", "firstname=Zoë", "--dir", folder)
    assert [one["email"] for one in sent["recipients"]] == ["try1@one.test", "try2@one.test"]
    telstar.await_condition(lambda: {"try1@one.test", "try2@one.test"} <= set(sink.copies()), "both have it")
    bad = run("mailing", "test", mailing["id"], "nobody", "try3@one.test", "--field", "firstname=Z", "--dir", folder)
    assert bad.returncode == 65 and bad.stdout.startswith("try3@one.test ") and bad.stderr.startswith("nobody: ")


@pytest.mark.parametrize("content", ["html", "message"])
def test_replies_go_where_the_mailing_says(tmp_path, html, content):
    sink = telstar.Sink(tmp_path / "sink", arguments=["--maildir", tmp_path / "mail"])
    try:
        cluster = telstar.Cluster(tmp_path, sink.port)
        try:
            folder = cluster.described["dir"]
            if content == "html":
                mailing = create(folder, html, "--reply-to", "desk@example.org")["id"]
            else:
                message = b"From: a@example.org\r\nReply-To: former@example.org\r\nSubject: s\r\n\r\nHello\r\n"
                mailing = cluster.api().create_mailing_ext(xmlrpc.client.Binary(message))
                succeed("mailing", "set", mailing, "--reply-to", "desk@example.org", "--dir", folder)
            succeed("mailing", "test", mailing, "try@one.test", "--field", "firstname=Z", "--dir", folder)
            telstar.await_condition(lambda: sink.copies()["try@one.test"], "it is there")
            failed(run("mailing", "set", mailing, "--reply-to", "nobody", "--dir", folder), 1, "Reply-To")
            [received] = (tmp_path / "mail" / "new").iterdir()
            assert re.findall(r"^Reply-To: .*$", received.read_text(), re.MULTILINE) == ["Reply-To: desk@example.org"]
        finally:
            cluster.stop()
    finally:
        sink.stop()


# Reports


def test_followed_reports_come_line_by_line_and_end_with_the_cursor(shared, folder, html):
    mailing = create(folder, html)["id"]
    following = subprocess.Popen([telstar.BINARY, "report", "--follow", "--mailing", str(mailing), "--dir", folder],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        people = "".join(json.dumps({"email": f"follow{n}@one.test", "firstname": "Z"}) + "\n" for n in range(25))
        assert run("mailing", "import", mailing, "-", "--dir", folder, input=people).returncode == 0
        succeed("mailing", "start", mailing, "--dir", folder)
        seen = set()
        while len(seen) < 25:
            line = following.stdout.readline()
            assert line.endswith("\n")
            if " delivered " in line:
                seen.add(line.split()[2])
        following.send_signal(signal.SIGINT)
        rest, problems = following.communicate(timeout=telstar.DEADLINE)
        assert following.returncode == 0 and (not rest or rest.endswith("\n"))
        cursor = re.fullmatch(r"cursor: (\S+)\n", problems)[1]
        assert succeed("report", "--mailing", mailing, "--cursor", cursor, "--dir", folder) == ""
    finally:
        following.kill()
        following.wait()


def test_a_reply_has_its_enhanced_status_once(shared, folder, html):
    mailing = create(folder, html)["id"]
    assert run("mailing", "import", mailing, "-", "--dir", folder, input='{"email": "once@one.test", "firstname": "Z"}\n').returncode == 0
    succeed("mailing", "start", mailing, "--dir", folder)
    shared[0].await_status(mailing, "FINISHED")
    line = [line for line in succeed("report", "--mailing", mailing, "--dir", folder).splitlines() if " delivered " in line][0]
    assert re.search(r" delivered 250 2\.0\.0 (?!2\.0\.0)", line), line


def test_a_reader_that_goes_ends_a_report_in_silence(folder):
    done = subprocess.run(["sh", "-c", '"$0" report --dir "$1" | head -n 1', telstar.BINARY, folder],
                          capture_output=True, text=True, timeout=telstar.DEADLINE)
    assert done.stdout.count("\n") <= 1 and "fault" not in done.stderr and "Fatal" not in done.stderr


# Imports


def test_what_a_spreadsheet_writes_is_imported(folder, html, tmp_path):
    mailing = create(folder, html)["id"]
    (tmp_path / "people.csv").write_bytes("sep=;\r\nemail;firstname\r\nsep1@one.test;Zoë\r\nnobody;x\r\n".encode("utf-8-sig"))
    done = run("mailing", "import", mailing, tmp_path / "people.csv", "--dir", folder)
    assert (done.returncode, done.stdout) == (65, "1 accepted, 1 refused\n")
    [refused] = map(json.loads, (tmp_path / "people.csv.errors.ndjson").read_text().splitlines())
    assert (refused["line"], refused["row"]) == (4, "nobody;x") and refused["text"]


def test_refused_rows_are_kept_as_they_were_written(folder, html, tmp_path):
    mailing = create(folder, html)["id"]
    text = 'email,firstname\n"nobody, really","two\nlines"\nrow1@one.test,A\n"open"x,B\nrow2@one.test,C,surplus\n'
    (tmp_path / "people.csv").write_text(text)
    assert run("mailing", "import", mailing, tmp_path / "people.csv", "--dir", folder).returncode == 65
    side = [json.loads(line) for line in (tmp_path / "people.csv.errors.ndjson").read_text().splitlines()]
    assert [(one["line"], one["row"]) for one in side] == [
        (2, '"nobody, really","two\nlines"'), (5, '"open"x,B'), (6, "row2@one.test,C,surplus")]
    # Standard input has no file beside it: the rows go to standard error, or where they are wanted.
    lines = '{"email": "nobody"}\n{"email": "row3@one.test", "firstname": "D"}\nno JSON\n'
    shown = run("mailing", "import", mailing, "-", "--dir", folder, input=lines)
    assert shown.stdout == "1 accepted, 2 refused\n"
    first, second = shown.stderr.splitlines()
    assert first.startswith("line 1: ") and first.endswith('{"email": "nobody"}') and second.endswith("no JSON")
    kept = run("mailing", "import", mailing, "-", "--errors", tmp_path / "kept", "--dir", folder, input=lines)
    assert [json.loads(line)["row"] for line in (tmp_path / "kept").read_text().splitlines()] == ['{"email": "nobody"}', "no JSON"]
    assert kept.stderr.splitlines()[-1] == f"all refused lines: {tmp_path / 'kept'}"


def test_duplicate_addresses_are_counted_and_left_out_if_asked(shared, folder, html, tmp_path):
    cluster, _ = shared
    (tmp_path / "people.csv").write_text("email,firstname\na@one.test,A\nb@one.test,B\nA@One.Test,C\na@one.test,D\n")
    total = lambda mailing: cluster.mailing(mailing)["total_recipient"]
    counted = create(folder, html)["id"]
    done = run("mailing", "import", counted, tmp_path / "people.csv", "--dir", folder)
    assert (done.returncode, done.stdout, total(counted)) == (0, "4 accepted, 0 refused, 2 duplicate addresses\n", 4)
    skipped = create(folder, html)["id"]
    arguments = ["mailing", "import", skipped, tmp_path / "people.csv", "--skip-duplicates", "--dir", folder]
    assert answered(*arguments) == {"accepted": 2, "repeated": 0, "refused": 0, "duplicates": 2, "lines": 5}
    assert answered(*arguments) == {"accepted": 2, "repeated": 2, "refused": 0, "duplicates": 2, "lines": 5}
    assert total(skipped) == 2


# The demo


def test_the_demo_refuses_a_directory_that_was_used(tmp_path):
    first = run("demo", "--recipients", 300, "--dir", tmp_path / "demo", timeout=telstar.DEADLINE)
    assert first.returncode == 0 and "agree: lost 0" in first.stdout, first
    assert re.search(r"deferred, \d+ times: 451 4\.3\.2 Please come back later", first.stdout) and "on purpose" in first.stdout
    second = run("demo", "--recipients", 300, "--dir", tmp_path / "demo", timeout=telstar.DEADLINE)
    assert second.returncode == 64 and "was used before" in second.stderr and "DISAGREEMENT" not in second.stdout


def test_the_bench_speaks_the_same_json():
    figures = answered("bench", "store", "--recipients", 1000)
    for name in keys_of(figures):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), name


def test_a_directory_that_is_too_long_for_a_socket_is_not_opened_behind_a_master_s_back(tmp_path):
    folder = tmp_path / ("a" * 100)
    folder.mkdir()
    failed(run("key", "create", "--name", "x", "--dir", folder), 69, "too long for a control socket", "--url")
    assert not list(folder.iterdir())
