"""Whatever comes in, its sender is answered in his own protocol and everybody else's mail goes on."""

import base64
import email
import email.policy
import http.client
import itertools
import json
import subprocess
import urllib.parse
import xmlrpc.client

import dkim
import pytest

import telstar

SCRIPT = """\
at rcpt to junk@*: reply 550 5.1.1 refused; flood 65536
at rcpt to busy*@* share 60% attempts 1: reply 454 4.7.0 throttled, try later
at dot to lost*@*: drop
"""
MAXIMUM_BODY = 1024 * 1024
BIDI = "\u202e"
LONG = "x" * 65536
# The merge fields of one recipient, names included, have 64 KiB at most.
LONGEST = "x" * 65400
UNREADABLE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
NUMBERS = itertools.count()


class KeepingSink(telstar.Sink):
    """A sink that keeps the messages themselves as well."""

    def __init__(self, directory, script):
        self.directory = directory
        self.directory.mkdir(parents=True)
        self.port = telstar.free_port()
        self.journal = directory / "sink.jsonl"
        (directory / "sink.script").write_text(script)
        telstar.Program.__init__(
            self, ["sink", "--listen", f"127.0.0.2:{self.port}", "--journal", self.journal, "--script",
                   directory / "sink.script", "--maildir", directory / "maildir"], directory / "sink.log")
        telstar.await_condition(
            lambda: telstar.socket.create_connection(("127.0.0.2", self.port), 1).close() or True, "the sink listens")

    def received(self, recipient):
        """The one message that the recipient got, as bytes, once it is there."""
        def question():
            return [content for content in self.contents() if recipient.encode() in content.partition(b"\r\n\r\n")[0]]
        [content] = telstar.await_condition(question, f"a message for {recipient}", 30)
        return content

    def contents(self):
        return [file.read_bytes() for file in sorted((self.directory / "maildir" / "new").glob("*"))]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A cluster whose sink keeps messages and misbehaves, whose retries are quick and whose bodies are short."""
    directory = tmp_path_factory.mktemp("bad-input")
    sink = KeepingSink(directory / "sink", SCRIPT)
    try:
        cluster = telstar.Cluster(directory, sink.port, settings=[
            "finishGrace=0s", "retry.first=1s", "smtp.siteBackoff=1s", f"api.maximumBody={MAXIMUM_BODY}"])
        try:
            yield cluster, sink
        finally:
            cluster.stop()
    finally:
        sink.stop()


@pytest.fixture(autouse=True)
def everybody_elses_mail_goes_on(shared):
    """After each case another mailing is still delivered."""
    yield
    cluster, sink = shared
    address = f"bystander{next(NUMBERS)}@elsewhere.test"
    telstar.make_mailing(cluster.api(), [{"email": address, "firstname": "By"}])
    telstar.await_condition(lambda: sink.copies()[address] == 1, "another mailing is delivered", 30, every=0.01)


def send(cluster, body=b"", method="POST", path="/CloudMailing", user="admin", key=None, headers=(), authorise=True):
    """One HTTP request; status, header fields and body of the answer."""
    where = urllib.parse.urlsplit(cluster.described["api_plain_url"])
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=telstar.DEADLINE)
    fields = {"Content-Type": "text/xml", **dict(headers)}
    if authorise:
        secret = f"{user}:{cluster.described['api_key'] if key is None else key}"
        fields["Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
    try:
        connection.request(method, path, body if isinstance(body, bytes) else body.encode(), fields)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def fault(answer):
    """HTTP status, fault code and text of an answer that is a fault."""
    status, headers, body = answer
    assert headers.get_content_type() == "text/xml", headers
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(body)
    assert "\n" not in caught.value.faultString
    return status, caught.value.faultCode, caught.value.faultString


def document(method, *values):
    """A call from values in XML."""
    params = "".join(f"<param><value>{value}</value></param>" for value in values)
    return f"<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"


def refused(cluster, method, *arguments):
    """The fault that a call is answered with; carriage returns travel as references, or XML would change them."""
    body = xmlrpc.client.dumps(arguments, method, allow_none=True).replace("\r", "&#13;")
    return fault(send(cluster, body))


def call(cluster, method, *arguments):
    """What a call with nil and carriage returns is answered with."""
    body = xmlrpc.client.dumps(arguments, method, allow_none=True).replace("\r", "&#13;")
    status, _, answer = send(cluster, body)
    assert status == 200
    [value], _ = xmlrpc.client.loads(answer)
    return value


def draft(cluster, subject="Subject", html="<p>Text</p>", plain="Text\n"):
    return cluster.api().create_mailing("news@example.org", "News", subject, html, plain, "utf-8")


def outcomes(cluster, mailing, count):
    """The last report on each of so many recipients of a mailing, once all of them have one."""
    def question():
        last = {event["email"]: event for event in cluster.feed(mailing)}
        return last if len(last) == count else None
    return telstar.await_condition(question, f"{count} recipients are reported", 30)


def bomb():
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return (f'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY l0 "lol">{entities}]>'
            "<methodCall><methodName>&l9;</methodName><params/></methodCall>")


def nested(depth):
    return document("list_mailings", "<array><data><value>" * depth + "<nil/>" + "</value></data></array>" * depth)


# What is no call


@pytest.mark.parametrize("body, words", [
    ("", "ends too early"),
    ("hello", "does not begin with '<'"),
    ("<methodCall><methodName>list_mailings</methodCall>", "<methodName> is open"),
    (document("list_mailings")[:-14], "ends too early"),
    (document("list_mailings", "<string>\x01</string>"), "control character"),
    (b"<methodCall><methodName>\xff\xfe</methodName></methodCall>", ""),
    (document("list_mailings").encode("utf-16"), "UTF-16"),
    ("<html><body/></html>", ""),
    (document("list_mailings", "<string>&undefined;</string>"), "not defined"),
    (document("list_mailings", "<int>many</int>"), ""),
    (document("list_mailings", "<base64>!!!!</base64>"), ""),
    (document("list_mailings", "<dateTime.iso8601>20301302T00:00:00</dateTime.iso8601>"), ""),
    ('<?xml version="1.0"?><!DOCTYPE methodCall SYSTEM "file:///etc/passwd"><methodCall/>', "document type"),
    (bomb(), "document type"),
    (nested(70), "64"),
], ids=["empty", "not-xml", "wrong-end-tag", "cut", "control-character", "bad-utf-8", "utf-16", "not-a-call", "entity",
        "int", "base64", "date", "dtd", "billion-laughs", "seventy-deep"])
def test_a_document_that_cannot_be_read_is_answered_with_a_fault(shared, body, words):
    status, code, text = fault(send(shared[0], body))
    assert (status, code) == (200, 8002)
    assert text.startswith("Can't deserialize input: ") and words in text


def test_nesting_within_the_limit_is_read(shared):
    assert refused(shared[0], "list_mailings", {"id": [[[1]]]})[1] == 406
    assert fault(send(shared[0], nested(60)))[1] == 406


def test_a_body_over_the_limit_is_refused(shared):
    cluster, _ = shared
    status, code, text = fault(send(cluster, document("list_mailings", "x" * (MAXIMUM_BODY + 1))))
    assert (status, code) == (200, 8002) and str(MAXIMUM_BODY) in text


def test_a_client_that_sends_far_too_much_still_reads_its_answer(shared):
    body = document("list_mailings", "x" * (8 * MAXIMUM_BODY))
    assert fault(send(shared[0], body))[:2] == (200, 8002)
    assert fault(send(shared[0], body, authorise=False))[:2] == (401, 401)
    with pytest.raises(xmlrpc.client.Fault) as caught:
        shared[0].api().list_mailings("x" * (8 * MAXIMUM_BODY))
    assert caught.value.faultCode == 8002


def test_a_chunked_body_is_read(shared):
    body = document("get_mailings_count").encode()
    where = urllib.parse.urlsplit(shared[0].described["api_plain_url"])
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=telstar.DEADLINE)
    secret = base64.b64encode(f"admin:{shared[0].described['api_key']}".encode()).decode()
    connection.request("POST", "/CloudMailing/", iter([body[:9], body[9:]]), {"Authorization": f"Basic {secret}"},
                       encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 200
    [count], _ = xmlrpc.client.loads(answer.read())
    assert count >= 0
    connection.close()


@pytest.mark.parametrize("method, words", [
    ("no_such_method", "procedure no_such_method not found"),
    ("system.listMethods", "no such subHandler system"),
    ("master_db_find", "procedure master_db_find not found"),
    ("cloud_no_such_method", "procedure cloud_no_such_method not found"),
])
def test_an_unknown_method_is_8001(shared, method, words):
    assert refused(shared[0], method) == (200, 8001, words)


@pytest.mark.parametrize("method, arguments", [
    ("create_mailing", ()), ("create_mailing", ("a@b.test", "a", "s")), ("create_mailing", (1, 2, 3, 4)),
    ("create_mailing", (None, None, None, None)), ("create_mailing_ext", (5,)),
    ("create_mailing", ("a@b.test", "a", "s", "<p/>", "", "utf-8", "more")),
    ("start_mailing", ()), ("start_mailing", ("one",)), ("start_mailing", (None,)), ("pause_mailing", ([1],)),
    ("set_mailing_properties", (1,)), ("set_mailing_properties", (1, "type")), ("delete_mailing", (1, 2)),
    ("add_recipients", (1,)), ("add_recipients", ("x", [])), ("add_recipients", (1, "x@one.test")),
    ("add_recipients", (1, {"email": "x@one.test"})), ("get_recipients_status", ("x",)),
    ("get_recipients_status", ([[]],)), ("get_recipients_status_updated_since", (5,)),
    ("get_recipients_status_updated_since", ("", [], "many")), ("reset_recipients_status", ("x",)),
])
def test_arguments_of_wrong_number_or_type_are_8002(shared, method, arguments):
    status, code, text = refused(shared[0], method, *arguments)
    assert (status, code) == (200, 8002) and text


@pytest.mark.parametrize("value", ["<int>2147483648</int>", "<i4>-2147483649</i4>", "<i8>2147483648</i8>",
                                   "<int>99999999999999999999999</int>", "<double>1e300</double>"])
def test_an_int_beyond_31_bits_is_8002(shared, value):
    assert fault(send(shared[0], document("start_mailing", value)))[:2] == (200, 8002)


def test_nil_stands_for_an_absent_argument(shared):
    cluster, _ = shared
    mailing = call(cluster, "create_mailing", "news@example.org", "News", "S", "<p>T</p>", None, None)
    assert call(cluster, "set_mailing_properties", mailing, {"scheduled_start": None, "dkim": None}) == 0
    assert call(cluster, "list_mailings", None)[-1]["id"] == mailing
    assert call(cluster, "get_recipients_status_updated_since", None, None, None, None)["cursor"]
    [answer] = call(cluster, "add_recipients", mailing, [{"email": "nil@one.test", "tracking_id": None, "x": None}])
    assert answer["id"]
    assert call(cluster, "start_mailing", mailing, None) == "READY"
    cluster.await_status(mailing, "FINISHED")


# Who may ask


@pytest.mark.parametrize("how", [{"key": "wrong"}, {"key": ""}, {"user": "root"}, {"authorise": False},
                                 {"authorise": False, "headers": {"Authorization": "Basic !!!"}},
                                 {"authorise": False, "headers": {"Authorization": "Digest username=admin"}},
                                 {"authorise": False, "headers": {"Authorization": "Basic " + LONG[:4000]}}],
                         ids=["wrong-key", "empty-key", "other-user", "none", "no-base64", "digest", "long"])
def test_without_the_right_key_nothing_is_answered(shared, how):
    answer = send(shared[0], document("list_mailings"), **how)
    assert fault(answer) == (401, 401, "Authorization Failed!")
    assert answer[1]["WWW-Authenticate"].startswith("Basic ")


def test_get_explains_and_other_methods_are_not_implemented(shared):
    cluster, _ = shared
    status, headers, body = send(cluster, method="GET", authorise=False)
    assert status == 200 and headers.get_content_type() == "text/html" and b"create_mailing" in body
    for method in ("PUT", "DELETE", "PATCH"):
        assert send(cluster, b"x", method=method)[0] == 501
    assert send(cluster, document("list_mailings"), path="/nowhere")[0] == 404


@pytest.mark.parametrize("method, path, body, status, code", [
    ("POST", "/mailings", "{", 400, "bad_body"), ("POST", "/mailings", "[]", 400, "bad_body"),
    ("POST", "/mailings", '{"mail_from": "a@b.test"}', 400, "bad_body"),
    ("POST", "/mailings", '{"mail_from": "a@b.test", "subject": "{{", "html": ""}', 400, "bad_content"),
    ("GET", "/mailings/2000000000", "", 404, "unknown_mailing"), ("GET", "/mailings/x", "", 404, "not_found"),
    ("PUT", "/mailings/1", "", 405, "method_not_allowed"), ("GET", "/nowhere", "", 404, "not_found"),
    ("GET", "/feed?cursor=x", "", 410, "bad_cursor"), ("GET", "/feed?status=x", "", 400, "bad_status"),
    ("POST", "/backup", '{"path": "/tmp/x"}', 403, "forbidden"),
    ("POST", "/mailings", '"' + "x" * (MAXIMUM_BODY + 1) + '"', 413, "too_large"),
])
def test_the_control_api_refuses_in_json(shared, method, path, body, status, code):
    answer = send(shared[0], body, method=method, path="/telstar/v1" + path)
    assert (answer[0], answer[1].get_content_type()) == (status, "application/json")
    error = json.loads(answer[2])["error"]
    assert error["code"] == code and error["message"]


# Mailings


@pytest.mark.parametrize("method, arguments, status", [
    ("start_mailing", (), 404), ("pause_mailing", (), 404), ("delete_mailing", (), 404),
    ("set_mailing_properties", ({},), 404), ("add_recipients", ([],), 404),
    ("send_test", ([{"email": "a@one.test"}],), 404),
])
def test_an_unknown_mailing_is_404(shared, method, arguments, status):
    for mailing in (2_000_000_000, 0, -1):
        answer = refused(shared[0], method, mailing, *arguments)
        assert answer[:2] == (status, 404) and "not found" in answer[2]


@pytest.mark.parametrize("properties, words", [
    ({"colour": "red"}, "Property 'colour' is unknown or can't be changed."), ({"id": 5}, "'id'"),
    ({"html_content": "<p/>"}, "Missing charset field"), ({"type": "CLOSED"}, "REGULAR or OPENED"),
    ({"testing": "yes"}, "boolean"), ({"scheduled_duration": -1}, "minutes"), ({"scheduled_duration": 2**31 - 1}, "minutes"),
    ({"uncertain_policy": "hope"}, "hold"), ({"url_encoding": "rot13"}, "base64"), ({"tracking_url": "javascript:x"}, "http"),
    ({"mail_from": "a@b.test\r\nBcc: c@d.test"}, "address"), ({"sender_name": "a\r\nBcc: c@d.test"}, "sender_name"),
    ({"subject": "a\nb"}, "subject"), ({"dkim": "x"}, "struct"), ({"dkim": {"selector": "s"}}, "needs selector"),
    ({"dkim": {"selector": "s\r\n", "domain": "d.test", "privkey": "x"}}, "selector"),
    ({"dkim": {"selector": "s", "domain": "d.test", "privkey": "x", "l": 1}}, "dkim.l"),
    ({"dkim": {"selector": "s", "domain": "d.test", "privkey": UNREADABLE_KEY}}, "cannot be read"),
    ({"dkim": {"selector": "s", "domain": "d.test"}}, "no private key"),
    ({"scheduled_start": "tomorrow"}, "date"), ({"scheduled_start": 5}, "date"), ({"scheduled_end": "2030-02-30"}, "date"),
])
def test_a_bad_property_is_406_and_changes_nothing(shared, properties, words):
    cluster, _ = shared
    mailing = draft(cluster)
    before = cluster.mailing(mailing)
    status, code, text = refused(cluster, "set_mailing_properties", mailing, {"shown_name": "changed", **properties})
    assert (status, code) == (406, 406) and words in text
    assert cluster.mailing(mailing) == before


@pytest.mark.parametrize("value", [
    "<dateTime.iso8601>20300102T03:04:05</dateTime.iso8601>", "<dateTime.iso8601>2030-01-02T03:04:05</dateTime.iso8601>",
    "<dateTime.iso8601>20300102T030405Z</dateTime.iso8601>", "<dateTime.iso8601>20300102T05:04:05+0200</dateTime.iso8601>",
    "<dateTime.iso8601> 20300102T03:04:05.999 </dateTime.iso8601>", "<string>2030-01-02T03:04:05</string>",
    "2030-01-02T03:04:05.250Z", "<string>2030-01-02 03:04:05</string>", "<string>2030-01-01T22:04:05-05:00</string>",
    "<string>20300102T030405</string>",
])
def test_a_start_is_understood_in_every_form_that_clients_send(shared, value):
    cluster, _ = shared
    mailing = draft(cluster)
    members = f"<struct><member><name>scheduled_start</name><value>{value}</value></member></struct>"
    status, _, answer = send(cluster, document("set_mailing_properties", f"<int>{mailing}</int>", members))
    assert status == 200 and xmlrpc.client.loads(answer)[0] == (0,)
    assert cluster.mailing(mailing)["scheduled_start"].value == "20300102T03:04:05"
    cluster.api().set_mailing_properties(mailing, {"scheduled_start": ""})
    assert "scheduled_start" not in cluster.mailing(mailing)


def test_a_start_at_a_day_or_minute_is_its_first_second(shared):
    cluster, _ = shared
    mailing = draft(cluster)
    for text, wanted in (("2030-01-02", "20300102T00:00:00"), ("2030-01-02T03:04", "20300102T03:04:00")):
        cluster.api().set_mailing_properties(mailing, {"scheduled_start": text})
        assert cluster.mailing(mailing)["scheduled_start"].value == wanted


@pytest.mark.parametrize("arguments, position", [
    (("a@b.test", "A", "s", "<p>\n  {% if %}</p>", "", "utf-8"), "html line 2, column 9"),
    (("a@b.test", "A", "{{ firstname", "<p/>", "", "utf-8"), "subject line 1, column"),
    (("a@b.test", "A", "s", "<p/>", "one\ntwo\n{% endfor %}", "utf-8"), "plain line 3, column 4"),
    (("a@b.test", "A", "s", "{% include 'x' %}", "", "utf-8"), "html line 1, column 4"),
])
def test_content_that_does_not_compile_names_part_line_and_column(shared, arguments, position):
    status, code, text = refused(shared[0], "create_mailing", *arguments)
    assert (status, code) == (200, 8002)
    part, rest = position.split(" ", 1)
    assert part in text and rest in text, text


@pytest.mark.parametrize("arguments", [
    ("a@b.test\r\nBcc: c@d.test", "A", "s", "<p/>"), ("", "A", "s", "<p/>"), (LONG + "@b.test", "A", "s", "<p/>"),
    ("a@b.test", "A\r\nBcc: c@d.test", "s", "<p/>"), ("a@b.test", "A", "s\r\nBcc: c@d.test", "<p/>"),
], ids=["address", "no-address", "long-address", "name", "subject"])
def test_a_sender_or_subject_cannot_write_header_fields(shared, arguments):
    before = shared[0].api().get_mailings_count()
    status, code, text = refused(shared[0], "create_mailing", *arguments)
    assert (status, code) == (200, 406) and text
    assert shared[0].api().get_mailings_count() == before


@pytest.mark.parametrize("message, status, code", [
    (b"", 406, 406), (b"garbage", 406, 406), (b"Subject: no sender\r\n\r\nText\r\n", 406, 406),
    (b"From: \xff\r\n\r\nText\r\n", 406, 406), (b"From: a@b.test\r\nSubject: {{ x\r\n\r\nText\r\n", 200, 8002),
    (b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 5000, 406, 406),
], ids=["empty", "garbage", "no-sender", "invalid-sender", "broken-subject", "5000-parts"])
def test_a_message_that_cannot_be_sent_is_refused(shared, message, status, code):
    for data in (message, base64.b64encode(message)):
        assert refused(shared[0], "create_mailing_ext", xmlrpc.client.Binary(data))[:2] == (status, code)


def test_text_may_come_as_base64_in_the_charset_named(shared):
    cluster, sink = shared
    text = [xmlrpc.client.Binary(part.encode("iso-8859-1")) for part in (
        "news@example.org", "Café", "Prix {{ firstname }} é", "<p>Prix é</p>", "Prix é\n")]
    mailing = cluster.api().create_mailing(*text, "iso-8859-1")
    recipient = {"email": xmlrpc.client.Binary(b"binary@one.test"), "firstname": "Zoë"}
    assert "id" in cluster.api().add_recipients(mailing, [recipient])[0]
    cluster.api().start_mailing(mailing)
    message = email.message_from_bytes(sink.received("binary@one.test"), policy=email.policy.default)
    assert message["Subject"] == "Prix Zoë é" and message["From"].addresses[0].display_name == "Café"
    assert "Prix é" in message.get_body(("plain",)).get_content()
    assert refused(cluster, "create_mailing", *text)[:2] == (200, 8002)
    assert refused(cluster, "create_mailing", *text, "klingon")[:2] == (200, 8002)


def test_a_key_of_1024_bits_signs(shared):
    cluster, sink = shared
    key = subprocess.run(["openssl", "genrsa", "-traditional", "1024"], check=True, capture_output=True, text=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout"], input=key, check=True, capture_output=True, text=True).stdout
    record = "v=DKIM1; k=rsa; p=" + "".join(public.splitlines()[1:-1])
    telstar.make_mailing(cluster.api(), [{"email": "signed@one.test", "firstname": "S"}],
                         dkim={"selector": "sel", "domain": "example.org", "privkey": key, "enabled": True})
    content = sink.received("signed@one.test")
    assert dkim.verify(content, dnsfunc=lambda name, timeout=5: record.encode())


def test_states_forbid_what_they_forbid(shared):
    cluster, _ = shared
    api = cluster.api()
    mailing = draft(cluster)
    assert refused(cluster, "pause_mailing", mailing) == (406, 406, "Bad mailing status: 'FILLING_RECIPIENTS'. Can't pause it!")
    api.set_mailing_properties(mailing, {"dont_close_if_empty": True})
    api.start_mailing(mailing)
    again = (200, 8002, "Only mailings in FILLING_RECIPIENTS state can be activated")
    assert refused(cluster, "start_mailing", mailing) == again
    api.set_mailing_properties(mailing, {"dont_close_if_empty": False})
    cluster.await_status(mailing, "FINISHED")
    assert refused(cluster, "start_mailing", mailing) == again
    assert refused(cluster, "set_mailing_properties", mailing, {"subject": "late"})[:2] == (403, 403)
    assert refused(cluster, "pause_mailing", mailing)[:2] == (406, 406)
    assert refused(cluster, "add_recipients", mailing, [{"email": "late@one.test"}]) == (200, 400, "Mailing finished!")


# Filters and cursors


@pytest.mark.parametrize("method, arguments, words", [
    ("list_mailings", ({"colour": "red"},), "Bad filter name. Available filters are: domain, id, status, owner_guid"),
    ("list_mailings", (["example.org"],), "Filters argument has to be a dictionary."),
    ("list_mailings", (5,), "Filters argument has to be a dictionary."),
    ("list_mailings", ({"status": ["SLEEPING"]},), "Bad status 'SLEEPING'"),
    ("list_mailings", ({"id": ["one"]},), "mailing ids"), ("get_mailings_count", ({"domain": [5]},), "strings"),
    ("get_recipients_status_updated_since", ("", {"colour": "red"}), "Bad filter name. Available filters are: status"),
    ("get_recipients_status_updated_since", ("", ["SLEEPING"]), "Bad status 'SLEEPING'"),
    ("get_recipients_status_updated_since", ("", {"status": ["sent"]}), "Bad status 'sent'"),
    ("get_recipients_status_updated_since", ("", 5), "Filters argument has to be a dictionary."),
    ("get_recipients_count", ({"mailings": ["one"]},), "mailing ids"),
])
def test_bad_filters_are_406(shared, method, arguments, words):
    status, code, text = refused(shared[0], method, *arguments)
    assert (status, code) == (200, 406) and words in text


def test_filters_may_be_empty_a_domain_or_a_list_of_statuses(shared):
    api = shared[0].api()
    mailing = draft(shared[0])
    assert api.list_mailings([])[-1]["id"] == api.list_mailings("example.org")[-1]["id"] == mailing
    assert api.list_mailings("nowhere.test") == []
    assert {r["status"] for r in api.get_recipients_status_updated_since("", ["TIMEOUT"], 10)["recipients"]} <= {"TIMEOUT"}


def cursors(api):
    genuine = api.get_recipients_status_updated_since("", [], 1)["cursor"]
    altered = bytearray(base64.urlsafe_b64decode(genuine + "=" * (-len(genuine) % 4)))
    foreign = bytearray(altered)
    foreign[2] ^= 1
    altered[-20] ^= 1
    return {"altered": altered, "foreign": foreign}


@pytest.mark.parametrize("cursor, words", [
    ("2013-05-31T14:30:12.123456;3;0", "original CloudMailing"), ("garbage", "cannot be read"), ("{}", "cannot be read"),
    (LONG, "cannot be read"), ("\u202e", "cannot be read"), ("AQ", "cannot be read"), ("altered", "cannot be read"),
    ("foreign", "another store"),
], ids=["original", "garbage", "json", "long", "bidi", "short", "altered", "foreign"])
def test_a_cursor_that_cannot_be_continued_is_410(shared, cursor, words):
    cluster, _ = shared
    made = cursors(cluster.api())
    if cursor in made:
        cursor = base64.urlsafe_b64encode(made[cursor]).decode().rstrip("=")
    status, code, text = refused(cluster, "get_recipients_status_updated_since", cursor, [], 10)
    assert (status, code) == (200, 410) and words in text


# Recipients


def test_more_than_a_thousand_recipients_are_400_and_none_is_added(shared):
    cluster, _ = shared
    mailing = draft(cluster)
    answer = refused(cluster, "add_recipients", mailing, telstar.people(1001))
    assert answer == (400, 400, "Too many recipients! Exceeded maximum write batch size of 1000")
    assert cluster.mailing(mailing)["total_recipient"] == 0
    assert cluster.api().add_recipients(mailing, []) == []


def test_each_unfit_recipient_is_refused_alone(shared):
    cluster, sink = shared
    unfit = [
        {"firstname": "Nobody"}, "text@one.test", 5, [], None, {"email": ""}, {"email": 5}, {"email": None},
        {"email": "no-at.test"}, {"email": "a@"}, {"email": "@one.test"}, {"email": "a b@one.test"},
        {"email": "a@one.test\r\nRCPT TO:<b@one.test>"}, {"email": "a\r\n@one.test"}, {"email": "a@one.test\n"},
        {"email": xmlrpc.client.Binary(b"a\0@one.test")}, {"email": xmlrpc.client.Binary(b"\xff@one.test")},
        {"email": f"a{BIDI}b@one.test"}, {"email": f"a@{BIDI}one.test"}, {"email": LONG + "@one.test"}, {"email": "a@" + LONG},
        {"email": "a@one.test", "firstname": "A\r\nBcc: b@one.test"}, {"email": "a@one.test", "lastname": "A\nB"},
        {"email": "a@one.test", "firstname": BIDI}, {"email": "a@one.test", "tracking_id": "x" * 50},
        {"email": "a@one.test", "tracking_id": ""}, {"email": "a@one.test", "tracking_id": "a\r\nb"},
        {"email": "a@one.test", "tracking_id": "é"}, {"email": "a@one.test", "attachments": "x"},
        {"email": "a@one.test", "attachments": [{"url": "file:///etc/passwd"}]},
        {"email": "a@one.test", "attachments": [{"data": "AAAA", "filename": "a\r\nb", "content-type": "text/plain"}]},
    ]
    fit = f"fit{next(NUMBERS)}@one.test"
    mailing = draft(cluster)
    answers = call(cluster, "add_recipients", mailing, [*unfit, {"email": fit}])
    taken = [given for given, answer in zip(unfit, answers) if "id" in answer]
    assert not taken
    assert all(set(answer) == {"email", "error"} and answer["error"] and len(answer["error"]) < 1000 for answer in answers[:-1])
    assert not [answer for answer in answers[:-1] if set(answer["error"]) & set("\r\n\0" + BIDI)]
    assert set(answers[-1]) == {"email", "id", "tracking_id"} and answers[-1]["email"] == fit
    cluster.api().start_mailing(mailing)
    assert cluster.await_status(mailing, "FINISHED")["total_sent"] == 1
    assert sink.copies()[fit] == 1 and not sink.copies()["b@one.test"]


def test_merge_fields_cannot_write_header_fields(shared):
    cluster, sink = shared
    values = {"crlf": "x\r\nBcc: evil@one.test\r\n\r\nbody", "lf": "x\nBcc: evil@one.test", "cr": "x\rBcc: evil@one.test",
              "bidi": BIDI + "x", "long": LONGEST, "folded": "x\r\n Bcc: evil@one.test", "line": "x\u2028Bcc: evil@one.test",
              "dots": "x\r\n.\r\nMAIL FROM:<evil@one.test>\r\n", "list": ["x\r\nBcc: evil@one.test"]}
    mailing = draft(cluster, "S {{ value }}", "<p>{{ value }}</p>", "{{ value }}\n")
    recipients = [{"email": f"field-{name}@one.test", "value": value} for name, value in values.items()]
    assert all("id" in answer for answer in call(cluster, "add_recipients", mailing, recipients))
    # XML carries a NUL only as base64.
    nul = xmlrpc.client.Binary(b"x\0\r\nBcc: evil@one.test")
    call(cluster, "add_recipients", mailing, [{"email": "field-nul@one.test", "value": nul},
                                              {"email": "name-nul@one.test", "firstname": nul, "lastname": nul}])
    cluster.api().start_mailing(mailing)
    cluster.await_status(mailing, "FINISHED")
    known = None
    for name in values:
        content = sink.received(f"field-{name}@one.test")
        assert b"\0" not in content and max(map(len, content.splitlines())) <= 998
        message = email.message_from_bytes(content, policy=email.policy.compat32)
        names = sorted(field.lower() for field in message.keys())
        known = known or names
        assert names == known and "bcc" not in names, name
        assert message.is_multipart() and len(message.get_payload()) == 2
    assert not sink.copies()["evil@one.test"]
    for content in sink.contents():
        header = content.split(b"\r\n\r\n")[0] if b"\r\n\r\n" in content else content.split(b"\n\n")[0]
        assert b"\nBcc:" not in header and b"\0" not in content


def test_a_value_as_long_as_a_body_may_be_arrives_whole(shared):
    cluster, sink = shared
    mailing = draft(cluster, "S", "<p>{{ value }}</p>", "{{ value }}\n")
    answers = cluster.api().add_recipients(mailing, [
        {"email": "over@one.test", "value": LONG}, {"email": "whole@one.test", "value": LONGEST}])
    assert "65536 at most" in answers[0]["error"] and "id" in answers[1]
    cluster.api().start_mailing(mailing)
    message = email.message_from_bytes(sink.received("whole@one.test"), policy=email.policy.default)
    assert message.get_body(("plain",)).get_content().strip() == LONGEST


@pytest.mark.parametrize("template, bad, good", [
    ("{% for i in range(n) %}{% for j in range(n) %}{% endfor %}{% endfor %}", 2**31 - 1, 2),
    ("{% for i in range(n) %}xxxxxxxxxxxxxxxx{% endfor %}", 2**31 - 1, 2),
    ("{{ 'x' * n }}", 2**31 - 1, 2),
    ("{{ 10 // n }}", 0, 2),
    ("{{ n + 1 }}", "one", 2),
], ids=["loop", "long-loop", "long-text", "division", "type"])
def test_a_template_that_fails_for_one_row_fails_it_alone(shared, template, bad, good):
    cluster, sink = shared
    number = next(NUMBERS)
    mailing = draft(cluster, "S", f"<p>{template}</p>", "Text\n")
    before, after, failing = (f"{word}{number}@one.test" for word in ("before", "after", "failing"))
    cluster.api().add_recipients(mailing, [
        {"email": before, "n": good}, {"email": failing, "n": bad}, {"email": after, "n": good}])
    cluster.api().start_mailing(mailing)
    cluster.await_status(mailing, "FINISHED", 30)
    last = outcomes(cluster, mailing, 3)
    assert {address: event["status"] for address, event in last.items()} == {
        before: "FINISHED", failing: "GENERAL_ERROR", after: "FINISHED"}
    assert "uncertain" not in last[failing] and last[failing]["reply_text"]
    assert sink.copies()[failing] == 0
    telstar.reconcile(cluster, sink, mailing)


def test_a_tracking_id_is_taken_once(shared):
    cluster, _ = shared
    first, second = draft(cluster), draft(cluster)
    api = cluster.api()
    ours = f"ours-{next(NUMBERS)}"
    answers = api.add_recipients(first, [{"email": f"{n}@one.test", "tracking_id": ours} for n in "ab"])
    assert answers[0]["id"] == answers[0]["tracking_id"] == ours and "in use" in answers[1]["error"]
    assert "in use" in api.add_recipients(second, [{"email": "c@one.test", "tracking_id": ours}])[0]["error"]
    [report] = api.get_recipients_status([ours, "unknown"])
    assert (report["email"], report["status"]) == ("a@one.test", "READY")


# Receivers


def test_a_reply_of_64_kb_of_invalid_bytes_is_reported_shortened(shared):
    cluster, sink = shared
    mailing = telstar.make_mailing(cluster.api(), [{"email": "junk@one.test", "firstname": "J"}])
    cluster.await_status(mailing, "FINISHED", 30)
    report = telstar.reconcile(cluster, sink, mailing)["junk@one.test"]
    assert report["status"] == "ERROR" and report["reply_code"] == 550
    assert 0 < len(report["reply_text"]) < 10_000 and "\0" not in report["reply_text"]
    assert "refused" in report["reply_text"] and report["reply_enhanced_code"] == "5.1.1"


def test_throttled_recipients_are_delivered_at_the_next_attempt(shared):
    cluster, sink = shared
    mailing = telstar.make_mailing(cluster.api(), telstar.people(100, prefix="busy"))
    cluster.await_status(mailing, "FINISHED", 30)
    last = telstar.reconcile(cluster, sink, mailing)
    tries = [event["try_count"] for event in last.values()]
    assert {event["status"] for event in last.values()} == {"FINISHED"}
    assert set(tries) == {1, 2} and 40 <= tries.count(2) <= 80
    throttled = [event for event in cluster.feed(mailing) if event["status"] == "WARNING"]
    assert all(event["reply_code"] == 454 and event["reply_enhanced_code"] == "4.7.0" for event in throttled)


@pytest.mark.parametrize("resolution, status", [("delivered", "FINISHED"), ("failed", "ERROR")])
def test_a_lost_answer_to_the_final_dot_is_held_until_somebody_decides(shared, resolution, status):
    cluster, sink = shared
    address = f"lost-{resolution}@lost.test"
    mailing = telstar.make_mailing(cluster.api(), [{"email": address, "firstname": "L"}])
    report = outcomes(cluster, mailing, 1)[address]
    assert (report["status"], report["uncertain"]) == ("GENERAL_ERROR", True)
    assert sink.copies()[address] == 1
    resolve = subprocess.run(
        [telstar.BINARY, "mailing", "resolve", str(mailing), "--as", resolution, "--dir", cluster.described["dir"]],
        capture_output=True, text=True, timeout=telstar.DEADLINE)
    assert (resolve.returncode, resolve.stdout) == (0, "1 resolved\n"), resolve
    report = outcomes(cluster, mailing, 1)[address]
    # That it was unknown once stays visible.
    assert (report["status"], report["uncertain"]) == (status, True)
    cluster.await_status(mailing, "FINISHED", 30)
    assert sink.copies()[address] == 1
