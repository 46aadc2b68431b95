"""What the program offers is documented, and what the documents name exists: calls, paths, properties, statuses, keys, metrics, flags."""

import http.client
import json
import re
import subprocess
import urllib.error
import urllib.request
import xmlrpc.client

import pytest

import telstar

PAGES = {
    path.relative_to(telstar.ROOT): path.read_text()
    for path in [telstar.ROOT / "README.md", *(telstar.ROOT / "docs").rglob("*.md"), *(telstar.ROOT / "deploy").rglob("*.md")]
}
# Decisions say what was so when they were taken; they are not kept up with the program.
CURRENT = {page: text for page, text in PAGES.items() if "decisions" not in page.parts}
TEXT = "\n".join(CURRENT.values())
COMMAND_LINE = telstar.ROOT / "docs/operations/command-line.md"


def output(*arguments):
    return subprocess.run([telstar.BINARY, *arguments], check=True, capture_output=True, text=True).stdout


def page(name):
    return (telstar.ROOT / "docs" / name).read_text()


def code(text):
    """The spans and blocks of code in a page."""
    blocks = re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def first_column(text, header):
    """The code spans in the first column of the table with that header."""
    table = text.split(header, 1)[1].split("\n\n", 1)[0]
    return {name for row in table.splitlines() if row.startswith("| `")
            for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


@pytest.fixture(scope="module")
def tables():
    return json.loads(output("tables"))


# Calls, properties and statuses of the XML-RPC API


def test_every_call_is_in_the_table_and_only_those(tables):
    assert first_column(page("api/xmlrpc.md"), "| call | arguments | answer |") == set(tables["calls"])


def test_every_call_that_a_page_shows_exists(tables):
    named = {name for text in CURRENT.values() for piece in code(text)
             for name in re.findall(r"(?<!self\.)\b(?:server\.|master\.)?([a-z]+(?:_[a-z]+)+)\(", piece)
             if re.match(r"(create|set|list|get|delete|start|pause|add|send|reset|cloud|update|force)_", name)}
    assert named and named <= set(tables["calls"]), named - set(tables["calls"])


def test_every_call_is_answered(shared, tables):
    cluster, _ = shared
    master = cluster.api()
    for call in tables["calls"]:
        try:
            getattr(master, call)(*[{"no": "argument"}] * 9)
        except xmlrpc.client.Fault as fault:
            assert fault.faultCode != 8001, call
        except xmlrpc.client.ProtocolError as error:
            assert error.errcode != 404, call
    with pytest.raises(xmlrpc.client.Fault) as fault:
        master.cloud_no_such_call()
    assert fault.value.faultCode == 8001


def test_every_property_is_in_the_table_and_can_be_set(shared, tables):
    assert first_column(page("api/xmlrpc.md"), "| property | type | meaning |") == set(tables["mailing_properties"])
    cluster, _ = shared
    master = cluster.api()
    mailing = master.create_mailing("a@example.org", "A", "s", "<p></p>", "", "utf-8")
    for name in tables["mailing_properties"]:
        try:
            master.set_mailing_properties(mailing, {"charset": "utf-8", name: [[1]]})
        except xmlrpc.client.ProtocolError as error:
            assert error.errcode == 406 and "unknown" not in error.errmsg, name
        except xmlrpc.client.Fault as fault:
            assert "unknown" not in fault.faultString, name
    master.delete_mailing(mailing)


def test_every_status_is_documented(tables):
    assert first_column(page("api/xmlrpc.md"), "| status | meaning |") == set(tables["recipient_statuses"])
    words = set(re.findall(r"`([A-Z_]+)`", page("api/xmlrpc.md")))
    assert set(tables["mailing_statuses"]) <= words
    operators = page("api/operators.md")
    rows = [row.split(" | ") for row in operators.splitlines() if row.startswith("| `") and row.count(" | ") == 3
            or row.startswith("| | | `")]
    mailings = {name for row in rows for name in re.findall(r"`([a-z]+)`", row[1])}
    recipients = {name for row in rows for name in re.findall(r"`([a-z]+)`", row[-1])}
    assert mailings == set(tables["mailing_states"])
    assert recipients == set(tables["recipient_states"])


def test_every_field_of_a_record_is_documented(shared):
    cluster, _ = shared
    master = cluster.api()
    mailing = master.create_mailing("a@example.org", "A", "s", "<p></p>", "", "utf-8")
    master.add_recipients(mailing, [{"email": "fields@example.org"}, {"email": "lost@nowhere.invalid"}])
    master.start_mailing(mailing)
    cluster.await_status(mailing, "FINISHED")
    names, cursor = set(), ""
    while True:
        answer = master.get_recipients_status_updated_since(cursor, {"mailings": [mailing]}, 1000)
        names |= {name for record in answer["recipients"] for name in record}
        if not answer["recipients"]:
            break
        cursor = answer["cursor"]
    table = first_column(page("api/xmlrpc.md"), "| field | meaning |")
    assert {"status", "reply_text", "cloud_client"} <= names <= table, names - table
    listed = set(master.list_mailings({"id": [mailing]})[0])
    text = page("api/xmlrpc.md")
    assert not {name for name in listed if f"`{name}`" not in text and f'"{name}"' not in text}


# Paths


def routes_in(text):
    """The API's own; a tracking site's, say, are somebody else's."""
    found = re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/(?:api|telstar)/[A-Za-z0-9/_-]+)", text)
    return {f"{method} {path}" for method, path in found}


def test_every_path_is_documented_and_every_documented_one_exists(tables):
    documented = {route for text in CURRENT.values() for route in routes_in(text)}
    # XML-RPC's own addresses are prose in its page.
    offered = {route for route in tables["routes"] if not route.endswith(("/CloudMailing", "/RPC2"))}
    assert documented == offered, documented ^ offered
    assert "/CloudMailing" in page("api/xmlrpc.md") and "/RPC2" in page("api/xmlrpc.md")
    for path in re.findall(r"`(/(?:api|telstar/v1)/[^`? ]*)`", TEXT):
        assert any(route.endswith(path) for route in tables["routes"]) or path == "/telstar/v1", path


def test_every_path_is_served(shared, tables):
    """A path of the table is found, and its neighbours are not."""
    cluster, _ = shared
    for route in tables["routes"]:
        method, path = route.split()
        path = path.replace("/ID", "/2147483647").replace("/SERIAL", "/nobody")
        if path.endswith(("confirm-store", "stream")):
            continue
        status, body = ask(cluster, method, path)
        assert status != 405 and not (status == 404 and "nothing is served" in body), (route, status, body)
    assert ask(cluster, "GET", "/api/nothing")[0] == 404
    assert ask(cluster, "DELETE", "/telstar/v1/status")[0] == 405


def ask(cluster, method, path):
    talk = http.client.HTTPConnection(cluster.described["api_plain_url"].split("//")[1])
    token = "Bearer " + cluster.described["api_key"]
    if path.startswith(("/telstar", "/CloudMailing", "/RPC2")):
        import base64
        token = "Basic " + base64.b64encode(b"admin:" + cluster.described["api_key"].encode()).decode()
    talk.request(method, path, b"" if method in ("POST", "PATCH") else None, {"Authorization": token})
    answer = talk.getresponse()
    text = answer.read().decode(errors="replace")
    talk.close()
    return answer.status, text


# Configuration


def test_every_configuration_key_that_a_page_names_exists(tables):
    keys = {key for role in tables["options"].values() for key in role}
    groups = {key.split(".")[0] for key in keys if "." in key}
    for name, text in CURRENT.items():
        for piece in re.findall(r"`([A-Za-z]+\.[A-Za-z.]+)(?:: [^`]*)?`", text):
            group = piece.split(".")[0]
            if group not in groups or piece.endswith((".md", ".yaml", ".sqlite", ".key", ".sock", ".swift", ".proto", ".log")):
                continue
            assert piece in keys or any(key.startswith(piece + ".") for key in keys), (name, piece)
        for variable in re.findall(r"TELSTAR_([A-Z_]+[A-Z])\b", text):
            spelled = {re.sub(r"(?<=[a-z])(?=[A-Z])|\.", "_", key).upper() for key in keys}
            assert variable in spelled or f"TELSTAR_{variable}" in sources(), (name, variable)


def test_every_configuration_key_is_in_a_sample(tables):
    for role, keys in tables["options"].items():
        sample = (telstar.ROOT / f"Config/{role}.sample.yaml").read_text()
        assert not [key for key in keys if f"{key.split('.')[-1]}:" not in sample]


def sources():
    return "\n".join(path.read_text() for path in (telstar.ROOT / "Sources").rglob("*.swift"))


# Metrics


def metrics(url):
    text = urllib.request.urlopen(url.removesuffix("/status") + "/metrics").read().decode()
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE))
    assert all(text and text != "Not described." for text in helps.values()), helps
    return set(helps)


def test_every_metric_is_documented_and_every_documented_one_exists(shared):
    cluster, _ = shared
    offered = metrics(cluster.described["status_url"])
    for url in cluster.described["satellite_status_urls"]:
        offered |= metrics(url)
    rows = "\n".join(line for line in page("operations/README.md").splitlines() if line.startswith("|"))
    documented = set(re.findall(r"`((?:telstar|process)_[a-z_]+)`", rows))
    assert documented == offered, documented ^ offered
    named = set(re.findall(r"\b(telstar_[a-z]+_[a-z_]+)\b", TEXT))
    assert named <= offered, named - offered


def test_every_status_path_is_documented(shared):
    cluster, _ = shared
    text = page("operations/README.md")
    for path in ("/healthz", "/readyz", "/status", "/metrics"):
        assert f"`{path}`" in text
        assert urllib.request.urlopen(cluster.described["status_url"].removesuffix("/status") + path).status == 200
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(cluster.described["status_url"].removesuffix("/status") + "/other")


# The command line


def commands():
    """The arguments of each command by its words, such as `mailing create`."""
    found = {}

    def walk(command, path):
        names = set()
        for argument in command["arguments"]:
            names |= {("--" if n["kind"] == "long" else "-") + n["name"] for n in argument.get("names", [])}
        found[" ".join(path)] = names
        for sub in command.get("subcommands", []):
            walk(sub, (*path, sub["commandName"]))

    walk(json.loads(output("--experimental-dump-help"))["command"], ())
    return found


def test_the_page_of_commands_is_what_the_program_says():
    written = subprocess.run([telstar.ROOT / "scripts/generate-command-line", telstar.BINARY], check=True,
                             capture_output=True, text=True).stdout
    assert COMMAND_LINE.read_text() == written, "run scripts/generate-command-line"


def test_every_command_that_a_page_shows_is_one_the_program_takes():
    known = commands()
    extra = {"--help", "--version", "--generate-completion-script"}
    seen = 0
    for name, text in CURRENT.items():
        lines = [line for piece in code(text) for line in re.split(r"[\n;]|&&|(?<!\\)\|", piece)]
        for line in lines:
            match = re.match(r"(?:\S*/)?telstar((?: [a-z][a-z-]*)+)?((?:\s.*)?)$", line.split(" #")[0].strip())
            if not match or not (match[1] or match[2].strip().startswith("--")):
                continue
            words = (match[1] or "").split()
            path = " ".join(next((words[:n] for n in range(len(words), 0, -1) if " ".join(words[:n]) in known), []))
            assert path or not words, (name, line)
            is_group = any(other.startswith(path + " ") for other in known)
            assert not path or not is_group or len(words) == len(path.split()), (name, line)
            seen += 1
            flags = set(re.findall(r"(?<!\S)(--[a-z][a-z-]*)", match[2]))
            below = set().union(*(options for other, options in known.items() if (other + " ").startswith(path + " ")))
            assert flags <= below | extra, (name, line, flags - below)
    assert seen > 25


def test_every_flag_that_a_page_names_belongs_to_a_command():
    everything = set().union(*commands().values()) | {"--help", "--generate-completion-script"}
    others = {"--no-owner", "--dbname", "--format", "--file", "--telstar", "--system", "--home-dir", "--shell", "--repeat"}
    for name, text in CURRENT.items():
        if name.name == "command-line.md":
            continue
        for span in re.findall(r"`(--[a-z][a-z-]*)[^`]*`", text):
            assert span in everything | others, (name, span)


def test_the_sink_s_options_are_in_its_page():
    table = page("sink.md").split("| option | meaning |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(--[a-z-]+)", table)) == commands()["sink"] - {"--help", "--version", "-h"}


# Exit statuses


def test_every_exit_status_is_in_the_table_and_only_those():
    text = sources()
    process = (telstar.ROOT / "Sources/DaemonSupport/Process/StartFailure.swift").read_text()
    declared = {int(number) for number in re.findall(r"static let \w+ = Self\(rawValue: (\d+)", process)}
    literal = {int(number) for number in re.findall(r"ExitCode\((\d+)\)", text)}
    table = page("operations/README.md").split("### Exit statuses")[1].split("| status | meaning |")[1].split("\n\n")[0]
    assert {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == declared | literal | {0}


def test_the_files_of_one_recipient_s_walk_exist_and_are_as_many_as_the_page_says():
    walk = page("architecture.md").split("## One recipient's walk, file by file\n", 1)[1].split("\n## ", 1)[0]
    listed = re.findall(r"^(\d+)\. `([^`]+)`( \*form:\*)?", walk, re.MULTILINE)
    assert [int(number) for number, _, _ in listed] == list(range(1, len(listed) + 1))
    assert [file for _, file, _ in listed if not (telstar.ROOT / "Sources" / file).is_file()] == []
    forms = sum(form != "" for _, _, form in listed)
    assert re.findall(r"(\d+) files, (\d+) of them", walk) == [(str(len(listed)), str(forms))]
    assert f"The other {len(listed) - forms} " in walk
