"""Recipients in and reports out, in bulk, as callers of the HTTP API do it."""

import base64
import csv
import http.client
import io
import json
import signal
import socket
import ssl
import subprocess
import urllib.parse
import xmlrpc.client

import pytest

import pair
import telstar

CSV, NDJSON = "text/csv", "application/x-ndjson"


def connection(cluster, timeout=telstar.DEADLINE):
    url = urllib.parse.urlsplit(cluster.described["api_url"])
    return http.client.HTTPSConnection(url.hostname, url.port, context=ssl._create_unverified_context(), timeout=timeout)


def key_of(cluster):
    return {"Authorization": "Bearer " + cluster.described["api_key"]}


def call(cluster, method, path, body=None, **headers):
    """Status, header fields and bytes of an answer."""
    talk = connection(cluster)
    try:
        talk.request(method, path, body, {**key_of(cluster), **{k.replace("_", "-"): v for k, v in headers.items()}})
        answer = talk.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        talk.close()


def add(cluster, mailing, body, content_type=CSV, **headers):
    body = body.encode() if isinstance(body, str) else body
    status, _, text = call(cluster, "POST", f"/api/mailings/{mailing}/recipients", body, Content_Type=content_type, **headers)
    return status, json.loads(text)


def added(cluster, mailing, body, content_type=CSV, **headers):
    status, answer = add(cluster, mailing, body, content_type, **headers)
    assert status == 200 and answer["complete"], answer
    return answer


def counts(answer):
    return tuple(answer[name] for name in ("accepted", "repeated", "refused", "lines"))


def total(cluster, mailing):
    return cluster.mailing(mailing)["total_recipient"]


def rows(count, first=0):
    return "".join(f"person{n}@one.test,Zoë {n},für alle\r\n" for n in range(first, first + count))


HEADER = "email,firstname,text\r\n"


@pytest.fixture
def mailing(shared):
    return telstar.make_mailing(shared[0].api(), [], start=False)


def finished(cluster, sink, mailing):
    """Starts the mailing and returns the messages that its recipients got."""
    cluster.api().start_mailing(mailing)
    cluster.await_status(mailing, "FINISHED")
    return telstar.reconcile(cluster, sink, mailing)


# What is taken


def test_a_file_with_bad_lines_adds_the_good_ones_and_names_the_others(shared, mailing):
    cluster, _ = shared
    body = (HEADER + rows(2500) + "nobody,x,y\r\n" + ",x,y\r\n" + 'a@one.test,"x"y,z\r\n' + "b@one.test,x\r\n"
            + "c@one.test,x,y,\r\n" + "d@one.test,x,y,z\r\n\r\n" + '"e@one.test","x","a\nb\nc"\r\n' + 'f@one.test,"g\nh",i\r\n'
            + 'g@one.test,x,"never closed')
    answer = added(cluster, mailing, body)
    assert counts(answer) == (2502, 0, 7, 2514)
    errors = [(e["line"], e.get("column"), e["code"]) for e in answer["errors"]]
    assert errors == [(2502, 1, "bad_address"), (2503, 1, "no_email"), (2504, 2, "text_after_quote"),
                    (2505, None, "field_count"), (2507, None, "field_count"), (2512, None, "bad_field"),
                    (2514, 3, "open_quote")], errors
    assert all(error["text"] for error in answer["errors"])
    assert total(cluster, mailing) == 2502


def test_the_columns_of_a_csv_are_merge_fields(shared, mailing):
    cluster, sink = shared
    added(cluster, mailing, "\ufeffFirstName;E-Mail;firstname;text;tracking_id;\nx;csv1@one.test;Ren\u00e9e;a \"b\"; my-id-1 ;\n".replace(
        " my-id-1 ", "my-id-1"))
    assert cluster.api().get_recipients_status(["my-id-1"])[0]["email"] == "csv1@one.test"
    assert finished(cluster, sink, mailing)["csv1@one.test"]["id"] == "my-id-1"


@pytest.mark.parametrize("encoding, charset", [
    ("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("cp1252", None), ("utf-16-be", "utf-16be"),
    ("iso-8859-1", "iso-8859-1")])
def test_text_arrives_as_it_was_written_in_every_encoding(shared, mailing, encoding, charset):
    cluster, _ = shared
    body = f"email,firstname,tracking_id\nzoë@müller.test,Ægir,enc-{encoding}\n".encode(encoding)
    added(cluster, mailing, body, CSV + (f"; charset={charset}" if charset else ""))
    assert cluster.api().get_recipients_status([f"enc-{encoding}"])[0]["email"] == "zoë@müller.test"


def test_json_lines_take_what_add_recipients_takes(shared, mailing):
    cluster, sink = shared
    people = [
        {"email": "json1@one.test", "firstname": "Zoë", "list": [1, 2.5, None, {"a": True}], "tracking_id": "json-1"},
        {"email": "json2@one.test", "tracking_id": 77, "attachments": [
            {"filename": "a.txt", "content-type": "text/plain", "data": base64.b64encode(b"hello").decode()}]},
    ]
    lines = [json.dumps(person) for person in people]
    lines += ["", "{", '["json3@one.test"]', '{"firstname": "x"}', '{"email": 5}', '{"email": "x@one.test", "tracking_id": "' + "x" * 50 + '"}']
    answer = added(cluster, mailing, "\n".join(lines), NDJSON)
    assert counts(answer) == (2, 0, 5, 8)
    assert [(e["line"], e["code"]) for e in answer["errors"]] == [
        (4, "bad_json"), (5, "not_an_object"), (6, "no_email"), (7, "bad_field"), (8, "bad_tracking_id")]
    last = finished(cluster, sink, mailing)
    assert {address: event["id"] for address, event in last.items()} == {"json1@one.test": "json-1", "json2@one.test": "77"}


def test_a_list_of_addresses_needs_no_header(shared, mailing):
    assert counts(added(shared[0], mailing, "list1@one.test\nlist2@one.test\n")) == (2, 0, 0, 2)
    assert counts(added(shared[0], mailing, "email\nlist3@one.test\n", CSV + "; header=present")) == (1, 0, 0, 2)


def test_progress_and_refusals_are_reported_line_by_line(shared, mailing):
    cluster, _ = shared
    body = HEADER + rows(2500) + "nobody,x,y\n" + rows(500, 2500)
    status, headers, text = call(cluster, "POST", f"/api/mailings/{mailing}/recipients", body.encode(),
                                 Content_Type=CSV, Accept=NDJSON)
    lines = [json.loads(line) for line in text.splitlines()]
    assert status == 200 and headers.get_content_type() == NDJSON
    [refused] = [line["refused"] for line in lines if "refused" in line and "complete" not in line]
    assert refused["line"] == 2502
    assert any("progress" in line for line in lines)
    assert counts(lines[-1]) == (3000, 0, 1, 3002) and lines[-1]["complete"] and "errors" not in lines[-1]


def test_large_recipients_are_taken_in_smaller_steps(shared, mailing):
    cluster, _ = shared
    people = (json.dumps({"email": f"large{number}@one.test", "text": "x" * 60_000}) for number in range(150))
    status, _, text = call(cluster, "POST", f"/api/mailings/{mailing}/recipients", "\n".join(people).encode(),
                           Content_Type=NDJSON, Accept=NDJSON)
    lines = [json.loads(line) for line in text.splitlines()]
    assert status == 200 and counts(lines[-1]) == (150, 0, 0, 150)
    progress = [line["progress"]["accepted"] for line in lines if "progress" in line]
    assert 0 < progress[0] < 50 and progress == sorted(progress), progress


def test_only_the_first_thousand_errors_are_reported(shared, mailing):
    answer = added(shared[0], mailing, "email\n" + "nobody\n" * 2200)
    assert answer["refused"] == 2200 and len(answer["errors"]) == 1000


# What is refused


@pytest.mark.parametrize("body, content_type, status, code, words", [
    ("a@one.test", None, 415, "bad_content_type", "text/csv"), ("a@one.test", "application/json", 415, "bad_content_type", ""),
    ("name,city\nx,y\n", CSV, 400, "no_email_column", "`name`, `city`"), ("", CSV, 400, "no_email_column", "empty"),
    ("x@one.test,Zoë\n", CSV, 400, "no_email_column", ""), ("email,x,x\na@one.test,1,2\n", CSV, 400, "bad_header", "`x`"),
    ("email\na@one.test\n", CSV + "; charset=ebcdic", 415, "bad_charset", "ebcdic"),
    ("email\na@one.test\n", CSV + "; header=maybe", 400, "bad_header", ""), ("PK\x03\x04\0\0\0", CSV, 400, "bad_body", "NUL"),
    ('[{"email":"a@one.test"}]', NDJSON, 400, "bad_body", "brackets"), ("email\na@one.test\n", NDJSON, 400, "bad_body", "{"),
])
def test_a_body_that_is_not_what_it_says_is_refused_whole(shared, mailing, body, content_type, status, code, words):
    headers = {"Content_Type": content_type} if content_type else {}
    got, _, text = call(shared[0], "POST", f"/api/mailings/{mailing}/recipients", body.encode(), **headers)
    problem = json.loads(text)
    assert (got, problem["status"], problem["code"]) == (status, status, code) and words in problem["detail"], problem
    assert problem["type"].endswith(code) and problem["title"], problem
    assert total(shared[0], mailing) == 0


def test_mailings_that_take_nobody_and_callers_without_a_key_are_reported(shared, mailing):
    cluster, _ = shared
    assert add(cluster, 999999, "email\na@one.test\n")[0] == 404
    assert add(cluster, "x", "email\na@one.test\n")[0] == 404
    done = telstar.make_mailing(cluster.api(), telstar.people(1, prefix="done"))
    cluster.await_status(done, "FINISHED")
    status, answer = add(cluster, done, "email\na@one.test\n")
    assert (status, answer["code"]) == (409, "mailing_finished")
    assert add(cluster, mailing, "email\na@one.test\n", Idempotency_Key="a b")[0] == 400
    assert call(cluster, "GET", f"/api/mailings/{mailing}/recipients")[0] == 405
    assert call(cluster, "GET", "/api/nothing")[0] == 404
    basic = base64.b64encode(b"admin:" + cluster.described["api_key"].encode()).decode()
    for field, expected in [("Basic " + basic, 200), ("bearer " + cluster.described["api_key"], 200), ("Bearer no", 401),
                            ("Basic " + base64.b64encode(b"admin:no").decode(), 401), ("", 401)]:
        talk = connection(cluster)
        talk.request("GET", "/api/reports?limit=1", headers={"Authorization": field})
        assert talk.getresponse().status == expected, field
        talk.close()


# Repeating


def test_repeating_an_import_with_its_key_adds_nobody_twice(shared, mailing):
    cluster, _ = shared
    body = HEADER + rows(2200) + "nobody,x,y\n"
    assert counts(added(cluster, mailing, body, Idempotency_Key="k1")) == (2200, 0, 1, 2202)
    assert counts(added(cluster, mailing, body, Idempotency_Key="k1")) == (2200, 2200, 1, 2202)
    assert total(cluster, mailing) == 2200
    # More lines at the end are new; another key is another import; another file under the same key is refused.
    assert counts(added(cluster, mailing, HEADER + rows(2201), Idempotency_Key="k1")) == (2201, 2200, 0, 2202)
    other = added(cluster, mailing, "email\nsomebody@one.test\n", Idempotency_Key="k1")
    assert [e["code"] for e in other["errors"]] == ["key_reused"]
    assert counts(added(cluster, mailing, "email\nperson0@one.test\n", Idempotency_Key="k2")) == (1, 0, 0, 2)


def test_rows_with_ids_of_their_own_are_repeated_by_those(shared, mailing):
    cluster, _ = shared
    body = "email,tracking_id\nown1@one.test,own-1\nown2@one.test,own-2\n"
    assert counts(added(cluster, mailing, body, Idempotency_Key="own")) == (2, 0, 0, 3)
    assert counts(added(cluster, mailing, body, Idempotency_Key="own")) == (2, 2, 0, 3)
    again = added(cluster, mailing, body)
    assert [e["code"] for e in again["errors"]] == ["tracking_id_taken"] * 2 and again["errors"][0]["column"] == 2
    other = added(cluster, mailing, "email,tracking_id\nelse@one.test,own-1\n", Idempotency_Key="own")
    assert [e["code"] for e in other["errors"]] == ["tracking_id_taken"]


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_cut_connection_never_adds_half_a_line(shared, mailing, framing):
    cluster, _ = shared
    whole = (HEADER + rows(5000)).encode()
    part = whole[:whole.rindex(b"person4000@one.test") + len(b"person4000@one.te")]
    url = urllib.parse.urlsplit(cluster.described["api_url"])
    talk = ssl._create_unverified_context().wrap_socket(socket.create_connection((url.hostname, url.port), 60))
    field = f"Content-Length: {len(whole)}" if framing == "length" else "Transfer-Encoding: chunked"
    talk.sendall((f"POST /api/mailings/{mailing}/recipients HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
                  f"Idempotency-Key: cut\r\nAuthorization: Bearer {cluster.described['api_key']}\r\n{field}\r\n\r\n").encode())
    talk.sendall(part if framing == "length" else b"%x\r\n%s\r\n" % (len(part), part))
    telstar.await_condition(lambda: total(cluster, mailing) >= 3000, "the first batches are in")
    talk.close()
    answer = added(cluster, mailing, whole, Idempotency_Key="cut")
    assert counts(answer)[0] == 5000 and answer["repeated"] >= 3000 and answer["refused"] == 0, answer
    assert total(cluster, mailing) == 5000
    assert not [a for a in cluster.feed(mailing) if a["email"].endswith(".te")]


def test_an_import_whose_client_stalls_does_not_hold_up_the_end(tmp_path):
    master = pair.Master(tmp_path / "one", f"sqlite:{tmp_path}/store.sqlite")
    master.start()
    telstar.await_condition(lambda: master.is_active, "the master serves")
    key = json.loads(subprocess.check_output(
        [telstar.BINARY, "key", "create", "--dir", str(master.data), "--json", "--name", "import"], text=True))["key"]
    api = xmlrpc.client.ServerProxy(f"http://admin:{key}@127.0.0.1:{master.api}/CloudMailing", allow_none=True)
    mailing = telstar.make_mailing(api, [], start=False)
    with socket.create_connection(("127.0.0.1", master.api), 60) as talk:
        talk.sendall((f"POST /api/mailings/{mailing}/recipients HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
                      f"Authorization: Bearer {key}\r\nContent-Length: 1000000\r\n\r\n{HEADER}{rows(5000)}").encode())
        telstar.await_condition(lambda: api.list_mailings({"id": [mailing]})[0]["total_recipient"] >= 1000, "the first batches are in")
        master.kill(signal.SIGTERM)
        # The request has ten seconds to come to its end.
        assert master.program.process.wait(telstar.DEADLINE) == 0, master.program.text()
    assert "master stopped" in master.program.text()


def test_an_import_goes_on_after_the_master_was_killed(run, tmp_path):
    cluster, sink = run
    mailing = telstar.make_mailing(cluster.api(), [], start=False)
    body = (HEADER + rows(30000) + "nobody,x,y\n").encode()

    def pieces():
        for start in range(0, len(body), 65536):
            yield body[start:start + 65536]
            if start >= 8 * 65536 and not killed:
                telstar.await_condition(lambda: total(cluster, mailing) >= 2000, "some are in")
                killed.append(cluster.kill("master", signal.SIGKILL))

    killed = []
    talk = connection(cluster)
    with pytest.raises((OSError, http.client.HTTPException)):
        talk.request("POST", f"/api/mailings/{mailing}/recipients", pieces(), {
            **key_of(cluster), "Content-Type": CSV, "Idempotency-Key": "kill"}, encode_chunked=True)
        talk.getresponse()
    assert killed
    before = telstar.await_condition(lambda: total(cluster, mailing), "the master is back")
    answer = added(cluster, mailing, body, Idempotency_Key="kill")
    assert answer["accepted"] == 30000 and answer["repeated"] >= before and answer["refused"] == 1, answer
    assert total(cluster, mailing) == 30000


# Reports


@pytest.fixture(scope="module")
def reported(shared):
    cluster, sink = shared
    api = cluster.api()
    mailing = telstar.make_mailing(api, [
        *telstar.people(1300, prefix="out"), {"email": "out@nowhere.invalid.one.test"},
        {"email": "\"=1+1\"@one.test", "firstname": "x"}])
    cluster.await_status(mailing, "FINISHED")
    return cluster, mailing, cluster.feed(mailing)


def plain(event):
    """An event of the call as the export writes it."""
    def text(value):
        if hasattr(value, "timetuple") or type(value).__name__ == "DateTime":
            stamp = str(value)
            return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:]}Z"
        return value
    return {name: text(value) for name, value in event.items()}


def test_an_export_of_json_lines_is_the_feed(reported):
    cluster, mailing, events = reported
    status, headers, text = call(cluster, "GET", f"/api/reports?mailing={mailing}")
    *lines, end = [json.loads(line) for line in text.splitlines()]
    assert status == 200 and headers.get_content_type() == NDJSON
    assert lines == [plain(event) for event in events] and len(lines) >= 1302
    assert end == {"cursor": headers["Next-Cursor"], "reports": len(events)}
    _, _, text = call(cluster, "GET", f"/api/reports?mailing={mailing}&cursor={end['cursor']}")
    assert json.loads(text)["reports"] == 0


def test_an_export_of_csv_is_the_feed_and_safe_in_a_spreadsheet(reported):
    cluster, mailing, events = reported

    def exported(more=""):
        status, headers, text = call(cluster, "GET", f"/api/reports?mailing={mailing}&format=csv{more}")
        assert status == 200 and headers.get_content_type() == CSV and headers["Next-Cursor"]
        return list(csv.DictReader(io.StringIO(text.decode(), newline="")))

    def cells(event):
        return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in plain(event).items()}

    written = exported("&escape_formulas=false")
    assert [{n: v for n, v in row.items() if v} for row in written] == [
        {n: v for n, v in cells(event).items() if v} for event in events]
    safe = exported()
    assert not [v for row in safe for v in row.values() if v and v[0] in "=+-@\t\r"]


def test_pages_add_up_to_the_whole_and_states_are_chosen(reported):
    cluster, mailing, events = reported
    cursor, seen = "", []
    while True:
        _, headers, text = call(cluster, "GET", f"/api/reports?mailing={mailing}&limit=500&cursor={cursor}")
        *lines, end = [json.loads(line) for line in text.splitlines()]
        if not lines:
            break
        assert len(lines) <= 500 and end["cursor"] == headers["Next-Cursor"]
        seen += lines
        cursor = end["cursor"]
    assert seen == [plain(event) for event in events]
    _, _, text = call(cluster, "GET", f"/api/reports?mailing={mailing}&status=FINISHED&status=ERROR")
    assert [json.loads(line) for line in text.splitlines()][:-1] == [
        plain(e) for e in cluster.feed(mailing, ["FINISHED", "ERROR"])]
    _, _, same = call(cluster, "GET", f"/api/reports?mailing={mailing}&status=delivered&status=failed")
    assert same.splitlines()[:-1] == text.splitlines()[:-1]


@pytest.mark.parametrize("query, status, code", [
    ("cursor=nonsense", 410, "bad_cursor"), ("cursor=2026-11-23T10:00:00.000000;3;1000", 410, "bad_cursor"),
    ("format=xml", 400, "bad_format"), ("limit=0", 400, "bad_limit"), ("mailing=x", 400, "bad_mailing"),
    ("status=sent", 400, "bad_status")])
def test_a_bad_question_is_refused(shared, query, status, code):
    for path in ["/api/reports", *(["/api/reports/stream"] if code in ("bad_cursor", "bad_mailing") else [])]:
        got, _, text = call(shared[0], "GET", f"{path}?{query}")
        assert (got, json.loads(text)["code"]) == (status, code)


# The command line


def command(cluster, *arguments, **options):
    return subprocess.run([telstar.BINARY, *map(str, arguments), "--dir", cluster.described["dir"]],
                          capture_output=True, text=True, timeout=telstar.DEADLINE, **options)


@pytest.mark.parametrize("endpoint", ["socket", "url"])
def test_an_import_by_command_writes_a_side_file_and_is_repeated_safely(shared, mailing, tmp_path, endpoint):
    cluster, _ = shared
    path = tmp_path / "people.csv"
    path.write_text(HEADER + rows(2500) + "nobody,x,y\n" * 30)
    more = []
    if endpoint == "url":
        (tmp_path / "key").write_text(cluster.described["api_key"])
        more = ["--url", cluster.described["api_url"], "--key-file", tmp_path / "key", "--ca-file", cluster.certificate]
    first = command(cluster, "mailing", "import", mailing, path, *more)
    assert (first.returncode, first.stdout) == (65, "2500 accepted, 30 refused\n"), first
    side = [json.loads(line) for line in (tmp_path / "people.csv.errors.ndjson").read_text().splitlines()]
    assert [error["line"] for error in side] == list(range(2502, 2532)) and {e["code"] for e in side} == {"bad_address"}
    lines = first.stderr.splitlines()
    assert lines[0].startswith("line 2502: ") and lines[20:] == ["and 10 more", f"all refused lines: {path}.errors.ndjson"]
    again = command(cluster, "mailing", "import", mailing, path, *more)
    assert again.stdout == "2500 accepted (2500 of them before), 30 refused\n"
    assert total(cluster, mailing) == 2500
    path.write_text(HEADER + rows(1, 5000))
    good = command(cluster, "mailing", "import", mailing, path, "--json", *more)
    assert good.returncode == 0 and json.loads(good.stdout) == {"accepted": 1, "repeated": 0, "refused": 0, "duplicates": 0, "lines": 2}
    assert not (tmp_path / "people.csv.errors.ndjson").exists()


def test_an_import_by_command_goes_on_after_it_was_killed(shared, mailing, tmp_path):
    cluster, _ = shared
    path = tmp_path / "people.csv"
    path.write_text(HEADER + rows(60000))
    arguments = [telstar.BINARY, "mailing", "import", str(mailing), str(path), "--dir", cluster.described["dir"]]
    killed = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    telstar.await_condition(lambda: total(cluster, mailing) >= 3000, "some are in", every=0.01)
    killed.kill()
    killed.wait()
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=telstar.DEADLINE)
    assert done.returncode == 0 and done.stdout.startswith("60000 accepted ("), done
    assert total(cluster, mailing) == 60000


@pytest.mark.parametrize("arguments, status, words", [
    (["FILE.csv"], 66, "there is no such file"), (["people.dat"], 64, "--format"), (["empty.csv"], 1, "no_email_column"),
    (["people.csv", "--charset", "ebcdic"], 1, "bad_charset"), (["people.csv", "--idempotency-key", "a b"], 1, "bad_key")])
def test_an_import_by_command_that_cannot_be_says_why(shared, mailing, tmp_path, arguments, status, words):
    for name, text in [("people.csv", "email\na@one.test\n"), ("people.dat", "email\na@one.test\n"), ("empty.csv", "")]:
        (tmp_path / name).write_text(text)
    done = command(shared[0], "mailing", "import", mailing, *arguments, cwd=tmp_path)
    assert done.returncode == status and words in done.stderr and not done.stdout, done
    assert total(shared[0], mailing) == 0


def test_an_export_by_command_is_what_the_api_gives(reported, tmp_path):
    cluster, mailing, events = reported
    for form in ("csv", "ndjson"):
        _, headers, text = call(cluster, "GET", f"/api/reports?mailing={mailing}&format={form}")
        printed = command(cluster, "report", "export", "--format", form, "--mailing", mailing)
        assert printed.returncode == 0 and printed.stdout.encode() == text.replace(b"\r\n", b"\n"), printed.stderr
        assert printed.stderr == f"cursor: {headers['Next-Cursor']}\n"
        written = command(cluster, "report", "export", "--format", form, "--mailing", mailing, "--output", tmp_path / form)
        assert written.returncode == 0 and (tmp_path / form).read_bytes() == text and not written.stdout
    rest = command(cluster, "report", "export", "--mailing", mailing, "--cursor", headers["Next-Cursor"])
    assert json.loads(rest.stdout)["reports"] == 0
    bad = command(cluster, "report", "export", "--cursor", "nonsense", "--output", tmp_path / "bad")
    assert bad.returncode != 0 and "410 bad_cursor" in bad.stderr and not (tmp_path / "bad").exists()


# The stream


class Stream:
    """A reader of server-sent events."""

    def __init__(self, cluster, query="", last=None, timeout=telstar.DEADLINE):
        self.talk = connection(cluster, timeout)
        self.talk.request("GET", "/api/reports/stream?" + query, headers={
            **key_of(cluster), "Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})})
        self.answer = self.talk.getresponse()
        assert self.answer.status == 200 and self.answer.headers.get_content_type() == "text/event-stream"
        self.id = None

    def blocks(self):
        lines = []
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line:
                lines.append(line)
                continue
            yield dict(entry.split(": ", 1) for entry in lines if not entry.startswith(":"))
            lines = []

    def reports(self, count):
        found = []
        for block in self.blocks():
            self.id = block.get("id", self.id)
            if "data" in block:
                found.append(json.loads(block["data"]))
                if len(found) == count:
                    return found

    def close(self):
        self.talk.close()


def test_a_stream_goes_on_where_its_reader_left(reported):
    cluster, mailing, events = reported
    stream = Stream(cluster, f"mailing={mailing}")
    first = stream.reports(700)
    stream.close()
    again = Stream(cluster, f"mailing={mailing}", last=stream.id)
    rest = again.reports(len(events) - 700)
    again.close()
    assert first + rest == [plain(event) for event in events]


def test_a_stream_reports_what_happens_as_it_happens(shared):
    cluster, _ = shared
    stream = Stream(cluster, "cursor=newest")
    mailing = telstar.make_mailing(cluster.api(), telstar.people(3, prefix="live"))
    assert {report["mailing"] for report in stream.reports(3)} == {mailing}
    stream.close()


def test_a_stream_does_not_hold_up_a_master_that_stops(run):
    cluster, _ = run
    stream = Stream(cluster, "cursor=newest")
    next(stream.blocks())
    cluster.kill("master", signal.SIGTERM)
    with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError, StopIteration, TimeoutError)):
        while stream.answer.readline():
            pass
        raise StopIteration
    telstar.await_condition(lambda: cluster.mailing and cluster.api().get_mailings_count() == 0, "the master is back")
