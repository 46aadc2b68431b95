"""What goes out is what was meant: charsets, fields of the header, links; and what could not go out is refused when set."""

import base64
import email
import email.policy
import email.utils
import html
import http.server
import itertools
import re
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client

import dkim
import pytest

import telstar
from test_bad_input import KeepingSink, refused
from test_documents import blocks

NUMBERS = itertools.count()
# A label, and text that its charset can hold.
CHARSETS = [
    ("utf-8", "Zoë “x” €"), ("us-ascii", "plain"), ("iso-8859-1", "Zoë é"), ("windows-1252", "Zoë “x” €"),
    ("iso-8859-2", "Łódź"), ("iso-8859-15", "Zoë €"), ("windows-1250", "Łódź"), ("windows-1251", "Привет"),
    ("koi8-r", "Привет"), ("koi8-u", "Привіт"), ("gb2312", "中文新闻"), ("gbk", "中文新聞"), ("big5", "中文"),
    ("shift_jis", "日本語ニュース"), ("euc-jp", "日本語"), ("iso-2022-jp", "日本語ニュース"), ("euc-kr", "한국어"),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("messages")
    sink = KeepingSink(directory / "sink", "")
    try:
        cluster = telstar.Cluster(directory, sink.port, settings=["finishGrace=0s", "returnPath.domain=bounces.example.org"])
        try:
            yield cluster, sink
        finally:
            cluster.stop()
    finally:
        sink.stop()


@pytest.fixture(scope="module")
def key():
    """A private key and the record that its domain publishes."""
    private = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], check=True, capture_output=True, text=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout"], input=private, check=True, capture_output=True, text=True).stdout
    return private, "v=DKIM1; k=rsa; p=" + "".join(public.splitlines()[1:-1])


def sent(shared, mailing, **fields):
    """The bytes of the message that a new recipient of a mailing gets."""
    cluster, sink = shared
    address = f"reader{next(NUMBERS)}@one.test"
    [answer] = cluster.api().add_recipients(mailing, [{"email": address, "firstname": "Ada", **fields}])
    assert "id" in answer, answer
    if cluster.mailing(mailing)["status"] == "FILLING_RECIPIENTS":
        cluster.api().start_mailing(mailing)
    return sink.received(address)


def finished(shared, data, **properties):
    """The message that comes of a finished one."""
    cluster, _ = shared
    mailing = cluster.api().create_mailing_ext(xmlrpc.client.Binary(base64.b64encode(data)))
    if properties:
        cluster.api().set_mailing_properties(mailing, properties)
    return parsed(sent(shared, mailing))


def alternative(shared, page="<p>Hi {{ firstname }}</p>", plain="", **properties):
    cluster, _ = shared
    mailing = cluster.api().create_mailing("news@example.org", "News", "S", page, plain, "utf-8")
    cluster.api().set_mailing_properties(mailing, properties)
    return mailing


def parsed(data):
    return email.message_from_bytes(data, policy=email.policy.default)


def encoded_words(text, charset, form):
    """Text as encoded words by hand; `split` breaks characters between two words."""
    data = text.encode(charset)
    if form == "q":
        return f"=?{charset}?Q?" + "".join(f"={byte:02X}" for byte in data) + "?="
    pieces = [data] if form == "b" else [data[:3], data[3:]]
    return "\n ".join(f"=?{charset}?B?{base64.b64encode(piece).decode()}?=" for piece in pieces)


@pytest.mark.parametrize("form", ["b", "q", "split"])
@pytest.mark.parametrize("charset, text", CHARSETS, ids=[charset for charset, _ in CHARSETS])
def test_subject_and_sender_of_a_finished_message_are_read_in_its_charset(shared, charset, text, form):
    word = encoded_words(text, charset, form)
    source = f'From: "{word}" <news@example.org>\nSubject: {word}\nContent-Type: text/plain; charset={charset}\n' \
        "Content-Transfer-Encoding: 8bit\n\n"
    message = finished(shared, source.encode() + text.encode(charset) + b"\n")
    assert message["Subject"] == text
    assert message["From"].addresses[0].display_name == text
    assert message.get_content().strip() == text


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"\r\n", b"\xef\xbb\xbf\n\n"], ids=["mark", "empty line", "both"])
def test_what_stands_before_the_first_field_hides_nothing(shared, lead):
    message = finished(shared, lead + b"From: News <news@example.org>\nSubject: Hi {{ firstname }}\n\nx\n")
    assert message["Subject"] == "Hi Ada" and str(message["From"]) == "News <news@example.org>"


@pytest.mark.parametrize("charset, data, text", [
    (None, b"Caf\xe9 \x93x\x94", "Café “x”"), ("iso-8859-1", b"Caf\xe9 \x93x\x94", "Café “x”"),
    ("windows-1251", "Привет".encode("windows-1251"), "Привет"), ("iso-8859-1", "Zoë €".encode(), "Zoë €"),
])
def test_raw_bytes_in_a_header_are_read_and_not_lost(shared, charset, data, text):
    kind = f"Content-Type: text/plain; charset={charset}\n".encode() if charset else b""
    source = b"From: " + data + b" <news@example.org>\nReply-To: \"" + data + b", jr\" <r@example.org>\nSubject: " + data
    message = finished(shared, source + b"\n" + kind + b"\nx\n")
    assert message["Subject"] == text and message["From"].addresses[0].display_name == text
    assert message["Reply-To"].addresses[0].display_name == text + ", jr"


def test_c1_bytes_that_call_themselves_latin_1_are_windows_1252_in_headers_and_bodies(shared):
    source = b"From: =?iso-8859-1?Q?=93x=94?= <news@example.org>\nSubject: =?iso-8859-1?Q?=80?=\n" \
        b"Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n=80\n"
    message = finished(shared, source)
    assert (message["Subject"], message["From"].addresses[0].display_name) == ("€", "“x”")
    assert message.get_content().strip() == "€"


@pytest.mark.parametrize("source, words", [
    (b"From: a@example.org\nSubject: =?klingon?Q?x?=\n\nx", "klingon"),
    (b"From: =?klingon?Q?x?= <a@example.org>\nSubject: s\n\nx", "klingon"),
    (b"From: a@example.org\nContent-Type: text/plain; charset=klingon\n\nx", "klingon"),
    (b"From: a@example.org\nX-Long: " + b"x" * 1000 + b"\n\nx", "X-Long"),
    (b"From: a@example.org.\n\nx", "From"), ("From: a@example.org\n\nx".encode("utf-16"), "UTF-16"),
], ids=["subject", "sender", "text", "long", "domain", "utf-16"])
def test_a_finished_message_that_cannot_be_read_is_refused(shared, source, words):
    _, code, text = refused(shared[0], "create_mailing_ext", xmlrpc.client.Binary(base64.b64encode(source)))
    assert code in (406, 8002) and words in text


MIXED = """\
From: news@example.org
Subject: s
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain

Hi {{ firstname }}
--a
Content-Type: text/html

<p>one {{ firstname }}</p>
--a
Content-Type: text/html

<p>two {{ firstname }}</p>
--a--
--m
Content-Type: text/html; charset=x-own
Content-Disposition: attachment; filename="=?koi8-r?B?8NI=?=.html"

<a href="https://shop.example/">{{ firstname }}</a>
--m--
"""


def test_a_message_has_one_pixel_and_attached_text_is_no_template(shared):
    message = finished(shared, MIXED.encode(), tracking_url="https://t.example.org/", click_tracking=True)
    text, attached = message.get_payload()
    plain, first, second = [part.get_content() for part in text.get_payload()]
    assert plain.strip() == "Hi Ada" and "one Ada" in first and "two Ada" in second
    assert (first + second).count("blank.gif") == 1
    assert attached.get_payload(decode=True).strip() == b'<a href="https://shop.example/">{{ firstname }}</a>'
    assert attached.get_filename().endswith(".html")


def test_preformatted_text_keeps_its_lines_in_the_plain_part(shared):
    page = "<p>Dear  {{ firstname }}</p><pre>\n  first\n    second\n\nthird</pre>"
    message = parsed(sent(shared, alternative(shared, page)))
    assert message.get_body(("plain",)).get_content().replace("\r\n", "\n") == "Dear Ada\n\n  first\n    second\n\nthird\n"


def test_the_message_id_stands_in_the_senders_domain(shared):
    message = parsed(sent(shared, alternative(shared, mail_from="news@Bücher.example")))
    assert re.fullmatch(r"<[0-9]+\.[0-9]+\.[0-9a-z]+@xn--bcher-kva\.example>", message["Message-ID"])


@pytest.mark.parametrize("site, signed, offered", [
    ("https://t.example.org/", True, True), ("http://t.example.org/", True, False), ("https://t.example.org/", False, False),
])
def test_one_click_is_offered_over_https_and_under_a_signature_only(shared, key, site, signed, offered):
    private, record = key
    setting = {"selector": "s1", "domain": "example.org", "privkey": private, "enabled": signed}
    data = sent(shared, alternative(shared, tracking_url=site, dkim=setting))
    message = parsed(data)
    assert message["List-Unsubscribe"].startswith(f"<{site}u/")
    assert message["List-Unsubscribe-Post"] == ("List-Unsubscribe=One-Click" if offered else None)
    if signed:
        names = re.search(r"h=([^;]*);", str(message["DKIM-Signature"])).group(1).replace(" ", "").split(":")
        assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(names)
        assert dkim.verify(data, dnsfunc=lambda name, timeout=5: record.encode())


# What is refused when it is set


@pytest.mark.parametrize("changes, tag", [
    ({"identity": "@example.org"}, "i=@example.org"), ({"identity": ""}, "d=example.org"),
    ({"identity": "n@news.example.org"}, "i=n@news.example.org"), ({"selector": "a.b"}, "s=a.b"),
    ({"domain": "bücher.example"}, "d=xn--bcher-kva.example"),
    ({"canonicalize": ["relaxed", "simple"], "length": False, "signature_algorithm": "rsa-sha256",
      "include_headers": ["From", "Subject"]}, "c=relaxed/relaxed"),
])
def test_a_signature_that_is_accepted_is_made_and_holds(shared, key, changes, tag):
    private, record = key
    setting = {"selector": "s1", "domain": "example.org", "privkey": private, "enabled": True, **changes}
    data = sent(shared, alternative(shared, dkim=setting))
    assert tag in str(parsed(data)["DKIM-Signature"])
    assert dkim.verify(data, dnsfunc=lambda name, timeout=5: record.encode())


@pytest.mark.parametrize("changes, words", [
    ({"identity": "news@other.example"}, "not within"), ({"identity": "news"}, "identity"), ({"identity": "@"}, "identity"),
    ({"selector": "a..b"}, "selector"), ({"selector": "-s1"}, "selector"), ({"selector": "é"}, "selector"),
    ({"selector": ""}, "selector"), ({"domain": "example.org."}, "dot"), ({"domain": "example..org"}, "empty label"),
    ({"domain": ""}, "domain"), ({"privkey": ""}, "no private key"), ({"privkey": "x"}, "cannot be read"),
    ({"canonicalize": "none"}, "dkim.canonicalize"), ({"signature_algorithm": "md5"}, "dkim.signature_algorithm"),
    ({"include_headers": ["a b"]}, "dkim.include_headers"), ({"include_headers": "From"}, "dkim.include_headers"),
    ({"length": "long"}, "dkim.length"), ({"enabled": "yes"}, "dkim.enabled"),
])
def test_a_signature_that_could_not_be_made_is_406(shared, key, changes, words):
    cluster, _ = shared
    mailing = alternative(shared)
    setting = {"selector": "s1", "domain": "example.org", "privkey": key[0], "enabled": True, **changes}
    status, code, text = refused(cluster, "set_mailing_properties", mailing, {"dkim": setting})
    assert (status, code) == (406, 406) and words in text, text
    assert "dkim" not in cluster.mailing(mailing)


@pytest.mark.parametrize("properties, words", [
    ({"mail_from": "a@example..org"}, "empty label"), ({"mail_from": "a@example.org."}, "dot"),
    ({"sender_name": "é" * 251}, "sender_name"), ({"sender_name": "a\u202eb"}, "sender_name"),
    ({"subject": "x" * 10001}, "subject"), ({"owner_guid": xmlrpc.client.Binary(b"a\0")}, "owner_guid"),
    ({"satellite_group": xmlrpc.client.Binary(b"\0")}, "group"), ({"shown_name": "x" * 256}, "shown_name"),
    ({"tracking_url": "https:///t/"}, "host"), ({"tracking_url": "https://t.example.org/#x"}, "fragment"),
    ({"tracking_url": "https://a..b/"}, "host"), ({"tracking_url": "https://t.example.org/" + "x" * 800}, "800"),
    ({"scheduled_start": "2099-01-02", "scheduled_end": "2099-01-01"}, "scheduled_end"),
    ({"charset": "klingon", "html_content": "x"}, "charset"),
    ({"charset": "utf-8", "html_content": xmlrpc.client.Binary(b"\xe9")}, "html_content"),
    ({"header": xmlrpc.client.Binary(b"Subject: =?klingon?Q?x?="), "body": xmlrpc.client.Binary(b"x")}, "klingon"),
])
def test_a_property_that_no_mail_can_have_is_406(shared, properties, words):
    mailing = alternative(shared)
    status, code, text = refused(shared[0], "set_mailing_properties", mailing, properties)
    assert (status, code) == (406, 406) and words in text, text


@pytest.mark.parametrize("attachment, words", [
    ({"content-type": "a@b/c"}, "content type"), ({"content-type": "text/plain", "charset": "klingon"}, "charset"),
    ({"content-type": "image/png", "content-id": "a b"}, "content id"), ({"filename": "x" * 256}, "name"),
])
def test_an_attachment_that_would_arrive_otherwise_is_refused(shared, attachment, words):
    mailing = alternative(shared)
    recipient = {"email": "a@one.test", "attachments": [{"data": "AAAA", **attachment}]}
    [answer] = shared[0].api().add_recipients(mailing, [recipient])
    assert words in answer["error"]


def test_an_attachment_arrives_as_it_was_named(shared):
    attachment = {"data": base64.b64encode("Привет".encode("koi8-r")).decode(), "content-type": "Text/Plain; format=fixed",
                  "charset": "koi8-r", "filename": "Отчёт, Q1.txt", "content-id": "<report@x>"}
    message = parsed(sent(shared, alternative(shared), attachments=[attachment]))
    part = message.get_payload()[1]
    assert part.get_content().strip() == "Привет" and part.get_filename() == "Отчёт, Q1.txt"
    assert part["Content-ID"] == "<report@x>"


def test_any_tracking_id_makes_a_return_path_that_can_be_written(shared):
    cluster, sink = shared
    mailing = alternative(shared)
    for tracking_id in ('a"b\\c@d', "<x>", "a..b", "plain-1"):
        address = f"returned{next(NUMBERS)}@one.test"
        [answer] = cluster.api().add_recipients(mailing, [{"email": address, "tracking_id": tracking_id}])
        assert answer.get("id") == tracking_id
        if cluster.mailing(mailing)["status"] == "FILLING_RECIPIENTS":
            cluster.api().set_mailing_properties(mailing, {"dont_close_if_empty": True})
            cluster.api().start_mailing(mailing)
        telstar.await_condition(lambda: sink.copies()[address] == 1, f"the message with the id {tracking_id} is sent")


# What a tracking site is asked


@pytest.mark.parametrize("encoding", ["", "base64"])
def test_the_documents_site_answers_what_real_mail_asks(shared, encoding):
    names = {}
    for number, block in enumerate(blocks("api/tracking-site.md", "python")):
        exec(compile(block, f"tracking-site.md block {number + 1}", "exec"), names)
    site = names["TrackingSite"]
    site.seen.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = '<a href="https://shop.example/a b/?n={{ firstname }}&amp;x=é">Shop</a> <a href="{{ unsubscribe }}">Leave</a>'
        base = f"http://127.0.0.1:{server.server_port}"
        mailing = alternative(shared, page, tracking_url=base, click_tracking=True, url_encoding=encoding)
        tracking_id = f"id/{next(NUMBERS)}?"
        message = parsed(sent(shared, mailing, tracking_id=tracking_id, firstname="Zoë & Co"))
        visit(base, site, message, tracking_id)
    finally:
        server.shutdown()
        server.server_close()


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_):
        return None


def fetch(address, data=None):
    """Status, header fields and body of an answer."""
    try:
        with urllib.request.build_opener(Stay).open(urllib.request.Request(address, data), timeout=telstar.DEADLINE) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def visit(base, site, message, tracking_id):
    text = message.get_body(("html",)).get_content()
    shop, leave = [html.unescape(address) for address in re.findall(r'href="([^"]*)"', text)]
    [pixel] = re.findall(r'src="([^"]*)"', text)
    status, headers, _ = fetch(shop)
    template, target = "https://shop.example/a b/?n={{ firstname }}&amp;x=é", "https://shop.example/a b/?n=Zoë & Co&x=é"
    assert status == 302 and urllib.parse.unquote(headers["Location"]) == target
    assert site.seen == [("click", tracking_id, template, target)]
    status, headers, body = fetch(pixel)
    assert (status, headers.get_content_type(), body[:6]) == (200, "image/gif", b"GIF89a")
    assert site.seen[1:] == [("open", tracking_id)]
    assert leave == message["List-Unsubscribe"].strip("<>")
    assert fetch(leave)[0] == 200 and len(site.seen) == 2, "a visit of the page unsubscribes nobody"
    assert fetch(leave, b"List-Unsubscribe=One-Click")[0] == 200
    assert fetch(leave, b"confirm=yes")[0] == 200
    assert site.seen[2:] == [("unsubscribe", tracking_id, "one-click"), ("unsubscribe", tracking_id, "page")]
    assert fetch(base + "/c/x/?o=a&t=https%3A//evil.example/")[0] == 404
    assert fetch(base + "/favicon.ico")[0] == 404
