#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the XML-RPC corpus: each NAME.xml with NAME.expected beside it.

Usage: generate.py [folder]

Requests that clients really send come from Python's xmlrpc.client; the hostile ones are written by hand. An expectation
is either "error CODE" or the call, one value per line, made from the Python objects and never from our own parser.
"""

import datetime
import pathlib
import struct
import sys
import xmlrpc.client

FOLDER = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)


class I8(int):
    pass


class Nil:
    pass


class Date(str):
    """A dateTime.iso8601 as the expectation shows it."""


def quoted(text):
    data = text.encode("utf-8") if isinstance(text, str) else text
    return '"' + "".join(chr(b) if 0x20 <= b < 0x7F and b not in (0x22, 0x5C) else "\\%02x" % b for b in data) + '"'


def lines(value, indent, label=""):
    pad = "  " * indent + label
    if isinstance(value, Nil) or value is None:
        return [pad + "nil"]
    if isinstance(value, bool):
        return [pad + ("bool true" if value else "bool false")]
    if isinstance(value, I8):
        return [pad + "i8 %d" % value]
    if isinstance(value, int):
        return [pad + "int %d" % value]
    if isinstance(value, float):
        return [pad + "double " + struct.pack(">d", value).hex()]
    if isinstance(value, Date):
        return [pad + "date " + value]
    if isinstance(value, datetime.datetime):
        return [pad + "date " + value.strftime("%Y-%m-%dT%H:%M:%S.000000000")]
    if isinstance(value, str):
        return [pad + "string " + quoted(value)]
    if isinstance(value, bytes):
        return [pad + "base64 " + quoted(value)]
    if isinstance(value, (list, tuple)):
        result = [pad + "array"]
        for element in value:
            result += lines(element, indent + 1)
        return result
    result = [pad + "struct"]
    for name, member in value.items():
        result += lines(member, indent + 1, quoted(name) + " ")
    return result


def write(name, document, expected):
    document = document.encode("utf-8") if isinstance(document, str) else document
    (FOLDER / (name + ".xml")).write_bytes(document)
    (FOLDER / (name + ".expected")).write_text(expected + "\n", encoding="ascii")


def call(name, document, method, *params):
    write(name, document, "\n".join(["method " + method] + [line for p in params for line in lines(p, 1)]))


def client(name, method, *params, **options):
    call(name, xmlrpc.client.dumps(params, method, **options), method, *params)


def error(name, document, code):
    write(name, document, "error " + code)


def wrapped(value, prolog="<?xml version='1.0'?>\n"):
    return "%s<methodCall><methodName>m</methodName><params><param>%s</param></params></methodCall>" % (prolog, value)


# What the published API's own examples send.
client("python-create-mailing", "create_mailing", "my-mailing@%example.org", "My Mailing", "The great newsletter",
       "<h1>Title</h1><p>Coucou & \"bye\"</p>", "Title\nCoucou\n", "UTF-8")
client("python-set-properties", "set_mailing_properties", 42, {
    "scheduled_start": datetime.datetime(2026, 1, 2, 3, 4, 5), "scheduled_duration": 1440, "click_tracking": True})
client("python-add-recipients", "add_recipients", 42, [
    {"email": "john.doe@example.org", "firstname": "John", "lastname": "DOE", "another_custom_field": "blabla"},
    {"email": "wilfred.smith@example.org"},
    {"email": "zoé@exämple.org", "firstname": "Zoé 你好 🎉", "tags": ["a", ["b"], []], "nested": {}}])
client("python-feed-start", "get_recipients_status_updated_since", "", [], 1000)
client("python-feed-nil", "get_recipients_status_updated_since", None, {"mailings": [1, 2], "status": ["ERROR"]}, 10,
       allow_none=True)
client("python-list-mailings", "list_mailings", {"id": [42]})
client("python-no-parameters", "list_mailings")
client("python-numbers", "m", 0, -1, 2147483647, -2147483648, 1.5, -0.0, 1e300, 1e-7, True, False)
client("python-base64", "create_mailing_ext", b"From: a@example.org\r\n\r\nhi\x00\xff" * 8, b"")
client("python-white-space", "m", "  two  \n\t lines\n", "", " ", "\n")
client("python-escapes", "m", "<a href=\"x?a=1&amp;b=2\">]]></a> & 'q'")
document = xmlrpc.client.dumps(("caf\u00e9",), "m", encoding="iso-8859-1").encode("iso-8859-1")
call("python-latin1", document, "m", "caf\u00e9")

# What other clients send.
call("other-untyped", wrapped("<value>text</value>"), "m", "text")
call("other-untyped-empty", wrapped("<value/>"), "m", "")
call("other-i8", wrapped("<value><array><data><value><i8>9223372036854775807</i8></value><value><ex:i8>-5</ex:i8></value>"
     "<value><int>3000000000</int></value><value><i4> +7 </i4></value><value><i1>1</i1></value><value><i2>2</i2></value>"
     "<value><ex:nil/></value><value><nil></nil></value></data></array></value>"),
     "m", [I8(9223372036854775807), I8(-5), I8(3000000000), 7, 1, 2, None, None])
dates = ["20260102T03:04:05", "2026-01-02T03:04:05", "2026-01-02T03:04:05Z", "20260102T03:04:05+02:00",
         "2026-01-02T03:04:05.25-0530", "2026-01-02 03:04:05", "20260102T030405", "2026-01-02T03:04", "20260102"]
expected = ["2026-01-02T03:04:05.000000000", "2026-01-02T03:04:05.000000000", "2026-01-02T03:04:05.000000000+0",
            "2026-01-02T03:04:05.000000000+120", "2026-01-02T03:04:05.250000000-330", "2026-01-02T03:04:05.000000000",
            "2026-01-02T03:04:05.000000000", "2026-01-02T03:04:00.000000000", "2026-01-02T00:00:00.000000000"]
call("other-dates", wrapped("<value><array><data>%s</data></array></value>" % "".join(
    "<value><dateTime.iso8601>%s</dateTime.iso8601></value>" % d for d in dates)), "m", [Date(d) for d in expected])
call("other-repeated-member", wrapped("<value><struct><member><name>a</name><value>1</value></member><member><name>b</name>"
     "<value>2</value></member><member><name>a</name><value>3</value></member></struct></value>"), "m", {"a": "3", "b": "2"})
call("other-value-before-name", wrapped("<value><struct><member><value>1</value><name>a</name></member></struct></value>"),
     "m", {"a": "1"})
call("other-comments", wrapped("<!-- a - b -->\n<value><?php echo 1 ?><string>a<!-- x -->b<![CDATA[<c> & ]] ]]]>d</string></value>"),
     "m", "ab<c> & ]] ]d")
call("other-references", wrapped("<value><string>&#60;&#x3E;&amp;&quot;&apos;&lt;&gt;&#13;&#x1F389;&#x00e9;</string></value>"),
     "m", "<>&\"'<>\r\U0001F389\u00e9")
call("other-line-ends", wrapped("<value><string>a\r\nb\rc\n\rd</string></value>").replace("\n<m", "\r\n<m"), "m", "a\nb\nc\n\nd")
call("other-attributes", "\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><methodCall xmlns:ex='http://ws.apache.org/"
     "xmlrpc/namespaces/extensions'><methodName >\n m \n</methodName\n><params><param><value><int a = \"x>y\" b='/'>4</int>"
     "</value></param></params></methodCall>\n<!-- end -->\n", "m", 4)
call("other-ascii", wrapped("<value>a&#233;</value>", "<?xml version='1.0' encoding='us-ascii'?>"), "m", "a\u00e9")
call("other-nested-64", wrapped("<value><array><data>" * 64 + "</data></array></value>" * 64), "m",
     *[(lambda f: f(f, 64))(lambda f, n: [f(f, n - 1)] if n > 1 else [])])

# What must be refused.
error("bad-billion-laughs", "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [\n <!ENTITY lol \"lol\">\n" + "".join(
    " <!ENTITY lol%d \"%s\">\n" % (n, ("&lol%s;" % (n - 1 or "")) * 10) for n in range(1, 10)) + "]>\n" +
    wrapped("<value><string>&lol9;</string></value>", ""), "documentType")
error("bad-external-entity", "<?xml version=\"1.0\"?><!DOCTYPE m [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>" +
      wrapped("<value>&x;</value>", ""), "documentType")
error("bad-undefined-entity", wrapped("<value>&x;</value>"), "notWellFormed")
error("bad-nested-65", wrapped("<value><array><data>" * 65 + "</data></array></value>" * 65), "tooDeep")
error("bad-nested-structs", wrapped("<value><struct><member><name>a</name>" * 5000), "tooDeep")
error("bad-elements-within-value", wrapped("<value>" * 5000), "unexpectedElement")
whole = xmlrpc.client.dumps((42, [{"email": "a@example.org"}]), "add_recipients")
for position in (1, 12, len(whole) // 3, len(whole) // 2, len(whole) - 16):
    error("bad-truncated-%d" % position, whole[:position], "incomplete")
error("bad-empty", "", "incomplete")
error("bad-not-xml", "{\"jsonrpc\": \"2.0\"}", "notWellFormed")
error("bad-utf16", xmlrpc.client.dumps((1,), "m").encode("utf-16"), "unsupportedEncoding")
error("bad-utf16-no-mark", xmlrpc.client.dumps((1,), "m").encode("utf-16-le"), "unsupportedEncoding")
error("bad-declared-utf16", wrapped("<value/>", "<?xml version='1.0' encoding='UTF-16'?>"), "unsupportedEncoding")
error("bad-declared-koi8", wrapped("<value/>", "<?xml version='1.0' encoding='koi8-r'?>"), "unsupportedEncoding")
error("bad-utf8", wrapped("<value>\xe9</value>").encode("latin-1"), "invalidText")
error("bad-utf8-overlong", wrapped("<value>\xc0\xaf</value>").encode("latin-1"), "invalidText")
error("bad-ascii", wrapped("<value>\xe9</value>", "<?xml version='1.0' encoding='us-ascii'?>"), "invalidText")
error("bad-control", wrapped("<value>a\x0bb</value>"), "invalidText")
error("bad-nul", wrapped("<value>a\x00b</value>"), "invalidText")
error("bad-reference-nul", wrapped("<value>&#0;</value>"), "invalidText")
error("bad-reference-surrogate", wrapped("<value>&#xD800;</value>"), "invalidText")
error("bad-reference-huge", wrapped("<value>&#x110000;</value>"), "invalidText")
error("bad-reference-long", wrapped("<value>&#00000000000000000065;</value>"), "notWellFormed")
error("bad-mismatch", wrapped("<value><int>1</string></value>"), "notWellFormed")
error("bad-int", wrapped("<value><int>1.5</int></value>"), "badValue")
error("bad-int-empty", wrapped("<value><int/></value>"), "badValue")
error("bad-int-huge", wrapped("<value><i8>9223372036854775808</i8></value>"), "badValue")
error("bad-boolean", wrapped("<value><boolean>2</boolean></value>"), "badValue")
error("bad-double", wrapped("<value><double>0x10</double></value>"), "badValue")
error("bad-date", wrapped("<value><dateTime.iso8601>20260231T00:00:00</dateTime.iso8601></value>"), "badValue")
error("bad-base64", wrapped("<value><base64>@@@@</base64></value>"), "badValue")
error("bad-base64-length", wrapped("<value><base64>AAAAA</base64></value>"), "badValue")
error("bad-unknown-type", wrapped("<value><float>1</float></value>"), "unexpectedElement")
error("bad-two-types", wrapped("<value><int>1</int><int>2</int></value>"), "unexpectedElement")
error("bad-text-beside-type", wrapped("<value>x<int>1</int></value>"), "unexpectedElement")
error("bad-text-after-type", wrapped("<value><int>1</int>x</value>"), "unexpectedElement")
error("bad-member-without-value", wrapped("<value><struct><member><name>a</name></member></struct></value>"), "unexpectedElement")
error("bad-member-without-name", wrapped("<value><struct><member><value/></member></struct></value>"), "unexpectedElement")
error("bad-no-method", "<methodCall><params/></methodCall>", "unexpectedElement")
error("bad-empty-method", "<methodCall><methodName> </methodName></methodCall>", "badValue")
error("bad-two-documents", whole + whole, "notWellFormed")
error("bad-two-calls", "<methodCall><methodName>m</methodName></methodCall>" * 2, "unexpectedElement")
error("bad-text-after", whole + "x", "notWellFormed")
error("bad-response", xmlrpc.client.dumps((1,), methodresponse=True), "unexpectedElement")
error("bad-html", "<!DOCTYPE html><html></html>", "documentType")
error("bad-html-5", "<html><body>hi</body></html>", "unexpectedElement")
error("bad-late-declaration", "<!-- x --><?xml version='1.0'?><methodCall/>", "notWellFormed")
error("bad-attribute", "<methodCall a></methodCall>", "notWellFormed")
error("bad-long-name", "<" + "a" * 70000 + ">", "notWellFormed")
