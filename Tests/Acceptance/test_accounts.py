"""Accounts and what belongs to them, from the command line: on a running master, on a stopped one, and after a kill."""

import contextlib
import http.client
import itertools
import json
import shutil
import sqlite3
import xmlrpc.client

import pytest

import pair
import telstar
from test_command_line import failed
from test_operators import answered, run, succeed

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def folder(shared):
    return shared[0].described["dir"]


@pytest.fixture
def account(folder):
    """A new account's name."""
    name = f"acme-{next(NUMBERS)}"
    assert answered("account", "create", name, "--dir", folder)["name"] == name
    return name


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret").write_text("sesame\n")
    return tmp_path / "secret"


@pytest.fixture
def html(tmp_path):
    (tmp_path / "page.html").write_text("<p>Dear {{NAME}}, %name%</p>\n")
    return tmp_path / "page.html"


def unique(name):
    return f"{name}-{next(NUMBERS)}"


def items(folder, account, kind=None):
    shown = answered("account", "list", account, "--dir", folder)
    assert shown["name"] == account and isinstance(shown["id"], int)
    return [item for item in shown["items"] if kind in (None, item["kind"])]


def add(kind, name, account, folder, *options):
    return ["account", "add", kind, name, "--account", account, *options, "--dir", folder]


# Accounts


def test_accounts_are_created_listed_and_removed(folder):
    name = unique("Zoë & Söhne / Co")
    made = answered("account", "create", name, "--dir", folder)
    assert isinstance(made["id"], int) and made["id"] > 0 and made["name"] == name
    listed = {entry["name"]: entry["id"] for entry in answered("account", "list", "--dir", folder)["accounts"]}
    assert listed["root"] == 0 and listed[name] == made["id"]
    assert name in succeed("account", "list", "--dir", folder)
    assert items(folder, name) == []
    removed = answered("account", "remove-account", name, "--dir", folder)
    assert (removed["id"], removed["name"]) == (made["id"], name)
    failed(run("account", "list", name, "--dir", folder), 1, f"there is no account {name}", "unknown_account")
    again = answered("account", "create", name, "--dir", folder)
    assert again["id"] > made["id"]
    assert succeed("account", "remove-account", name.upper(), "--dir", folder) == f"removed account {name}\n"


def test_two_accounts_of_one_name_are_refused(folder, account):
    for name in (account, account.upper(), "root", "Root"):
        failed(run("account", "create", name, "--dir", folder), 1, "exists already", "account_exists")
    failed(run("account", "remove-account", "root", "--dir", folder), 1, "root", "cannot be removed")


@pytest.mark.parametrize("name", ["", " x", "x ", "a\nb", "x" * 101])
def test_a_bad_name_of_an_account_is_refused(folder, name):
    failed(run("account", "create", name, "--dir", folder), 1, "1 to 100 characters")


def test_refusals_are_json_if_json_is_asked_for(folder, account):
    done = run("account", "create", account, "--dir", folder, "--json")
    assert done.returncode == 1 and not done.stdout
    assert json.loads(done.stderr)["error"]["code"] == "account_exists"


# Credentials


@pytest.mark.parametrize("api, name", [
    ("sendclean", "owner"), ("sendcloud", "api_user"), ("emailicious", "Ann.User+x@example.com"), ("inboxfirst", "17"),
])
def test_a_credential_of_each_api_is_added_and_removed(folder, account, secret, api, name):
    name = name + str(next(NUMBERS))
    options = ("--api", api, "--secret-file", secret)
    added = answered(*add("credential", name, account, folder, *options))
    assert isinstance(added["id"], int) and added["name"] == name and added["api"] == api and "secret" not in added
    [listed] = items(folder, account, "credential")
    assert listed == added
    text = succeed("account", "list", account, "--dir", folder)
    assert name in text and api in text and "sesame" not in text
    assert "sesame" not in answered_text(folder, account)
    for owner in (account, "root"):
        failed(run(*add("credential", name, owner, folder, *options)), 1, name, "name_taken")
    removed = answered("account", "remove", "credential", name, "--account", account, "--dir", folder)
    assert removed["id"] == added["id"] and removed["name"] == name
    assert items(folder, account) == []
    again = answered(*add("credential", name, "root", folder, *options))
    assert again["id"] > added["id"]


def answered_text(folder, account):
    return json.dumps(answered("account", "list", account, "--dir", folder))


def test_the_same_id_may_be_used_in_another_api(folder, account, secret):
    name = unique("shared") + "@example.com"
    for api in ("sendclean", "sendcloud", "emailicious", "inboxfirst"):
        answered(*add("credential", name, account, folder, "--api", api, "--secret-file", secret))
    remove = ["account", "remove", "credential", name, "--account", account, "--dir", folder]
    failed(run(*remove), 1, "sendcloud", "say of which API")
    assert succeed(*remove, "--api", "sendcloud") == f"removed credential {name} of account {account}\n"
    assert [item["api"] for item in items(folder, account)] == ["sendclean", "emailicious", "inboxfirst"]


def test_a_secret_that_is_not_given_is_made_and_shown_once(folder, account):
    made = answered(*add("credential", unique("made"), account, folder, "--api", "sendcloud"))
    assert len(made["secret"]) >= 32
    assert made["secret"] not in answered_text(folder, account)
    text = succeed(*add("credential", unique("made"), account, folder, "--api", "sendclean"))
    assert len(text.split("secret: ")[1].split()[0]) >= 32 and "not shown again" in text


def test_the_options_of_a_credential_are_kept(folder, account, secret, html):
    page = answered(*add("unsubscribe-page", "bye", account, folder, "--html-file", html))["id"]
    user = unique("smtp")
    clean = answered(*add("credential", unique("c"), account, folder, "--api", "sendclean", "--smtp-user", user, "--group", "west"))
    assert (clean["smtp_user"], clean["group"]) == (user, "west")
    cloud = answered(*add("credential", unique("c"), account, folder, "--api", "sendcloud", "--track-opens", "yes",
                          "--track-clicks", "no", "--subscription-tracking", "yes", "--unsubscribe-page", page))
    assert (cloud["track_opens"], cloud["track_clicks"], cloud["subscription_tracking"]) == (True, False, True)
    assert cloud["unsubscribe_page"] == page
    assert items(folder, account, "credential") == [{k: v for k, v in entry.items() if k != "secret"} for entry in (clean, cloud)]
    failed(run("account", "remove", "unsubscribe-page", "bye", "--account", account, "--dir", folder), 1, "item_in_use")
    failed(run(*add("credential", unique("c"), account, folder, "--api", "sendclean", "--smtp-user", user)), 1, "SMTP user", user)
    failed(run(*add("credential", unique("c"), account, folder, "--api", "sendcloud", "--smtp-user", "u")), 1, "sendclean")
    failed(run(*add("credential", unique("c"), account, folder, "--api", "sendclean", "--track-opens", "yes")), 1, "sendcloud")
    failed(run(*add("credential", unique("c"), "root", folder, "--api", "sendcloud", "--unsubscribe-page", page)), 1, str(page))
    assert run(*add("credential", unique("c"), account, folder, "--api", "sendcloud", "--track-opens", "maybe")).returncode == 64


@pytest.mark.parametrize("text, works", [
    ("", False), ("\n", False), ("x" * 257, False), ("ä" * 257 + "\n", False),
    ("x", True), ("ä" * 256, True), ("ä" * 256 + "\n", True), ("x" * 256 + "\r\n", True), (" pass:w\nörd\t ", True),
])
def test_a_chosen_secret_has_1_to_256_characters(folder, account, tmp_path, text, works):
    (tmp_path / "secret").write_bytes(text.encode())
    command = add("credential", unique("s"), account, folder, "--api", "sendclean", "--secret-file", tmp_path / "secret")
    if works:
        assert answered(*command)["id"]
    else:
        failed(run(*command), 1, "1 to 256 characters")
        assert items(folder, account) == []


def test_a_bad_credential_is_refused(folder, account, secret, tmp_path):
    bad = [("nobody", "emailicious", "holds an @"), ("a:b@example.com", "emailicious", "colon"), ("1:2", "inboxfirst", "colon"),
           ("x" * 257, "sendclean", "1 to 256 characters"), ("a\tb", "sendcloud", "control"), ("", "sendcloud", "1 to 256"),
           ("7", "native", "account add key"), ("7", "smtp", "sendclean, sendcloud, emailicious, inboxfirst")]
    for name, api, words in bad:
        failed(run(*add("credential", name, account, folder, "--api", api, "--secret-file", secret)), 1, words)
    failed(run(*add("credential", "7", "nobody", folder, "--api", "sendclean")), 1, "there is no account nobody")
    failed(run(*add("credential", "7", "", folder, "--api", "sendclean")), 1, "a name is empty")
    absent = tmp_path / "absent"
    failed(run(*add("credential", "7", account, folder, "--api", "sendclean", "--secret-file", absent)), 66, str(absent))
    assert items(folder, account) == []


# Objects


@pytest.fixture
def objects(html, tmp_path):
    """What each kind is added with: its name and options."""
    (tmp_path / "text").write_text("Dear {{NAME}}\n")
    (tmp_path / "url").write_text("postgresql://list:sesame@db.example/lists\n")
    return {
        "template": ("news", ["--api", "sendclean", "--subject", "-10 % for {{NAME}}", "--html-file", html,
                              "--text-file", tmp_path / "text"]),
        "seed-list": ("seeds", ["--address", "a@example.com", "--address", "b@example.com"]),
        "url-domain": ("Track.example.com", []),
        "bounce-email": ("Bounces@example.com", []),
        "unsubscribe-page": ("bye", ["--language", "pt-BR", "--html-file", html]),
        "virtual-mta": ("fast lane", ["--group", "west"]),
        "database-connection": ("lists", ["--url-file", tmp_path / "url"]),
    }


def test_objects_of_every_kind_are_added_listed_and_removed(folder, account, objects):
    added = {kind: answered(*add(kind, name, account, folder, *options)) for kind, (name, options) in objects.items()}
    number = answered("account", "list", account, "--dir", folder)["id"]
    for kind, (name, _) in objects.items():
        assert added[kind]["name"] == name and added[kind]["kind"] == kind
        if kind == "bounce-email":
            first, at, last = added[kind]["id"].partition("@")
            assert first.isdigit() and at and last == str(number)
        else:
            assert isinstance(added[kind]["id"], int)
    assert added["template"]["subject"] == "-10 % for {{NAME}}"
    assert added["seed-list"]["addresses"] == ["a@example.com", "b@example.com"]
    assert added["unsubscribe-page"]["language"] == "pt-BR" and added["virtual-mta"]["group"] == "west"
    assert items(folder, account) == list(added.values())
    assert "sesame" not in answered_text(folder, account)
    for kind, (name, options) in objects.items():
        failed(run(*add(kind, name, account, folder, *options)), 1, name, "name_taken")
        assert answered(*add(kind, name, "root", folder, *options))["id"] != added[kind]["id"]
        remove = ["account", "remove", kind, name, "--dir", folder, "--account"]
        assert answered(*remove, account)["id"] == added[kind]["id"]
        failed(run(*remove, account), 1, name, "unknown_item")
        succeed(*remove, "root")
    assert items(folder, account) == []


def test_a_template_of_each_api_may_have_one_name(folder, account, html):
    for api in ("sendclean", "sendcloud", "native"):
        answered(*add("template", "t", account, folder, "--api", api, "--subject", "s", "--html-file", html))
    failed(run(*add("template", "t", account, folder, "--api", "inboxfirst", "--subject", "s", "--html-file", html)), 1, "has no templates")
    answered("account", "remove", "template", "t", "--api", "sendcloud", "--account", account, "--dir", folder)
    assert [item["api"] for item in items(folder, account)] == ["sendclean", "native"]


@pytest.mark.parametrize("kind, name, options, words", [
    ("seed-list", "s", [], "1 to 1000 addresses"), ("seed-list", "s", ["--address", "nobody"], "is not an e-mail address"),
    ("url-domain", "nowhere", [], "domain name"), ("bounce-email", "nobody", [], "is not an e-mail address"),
    ("unsubscribe-page", "p", ["--language", "e_n"], "code"), ("virtual-mta", "v", ["--group", ""], "a group has a name"),
    ("virtual-mta", "a\nb", ["--group", "g"], "control characters"),
])
def test_a_bad_object_is_refused(folder, account, kind, name, options, words):
    failed(run(*add(kind, name, account, folder, *options)), 1, words)
    assert items(folder, account) == []


def test_what_is_no_kind_is_refused(folder, account):
    failed(run("account", "remove", "mailing", "x", "--account", account, "--dir", folder), 1, "credential, key, template")
    assert run("account", "add", "mailing", "x", "--account", account, "--dir", folder).returncode == 64


# Keys


def is_known(port, key):
    """Whether the native API knows a key."""
    talk = http.client.HTTPConnection("127.0.0.1", port)
    with contextlib.closing(talk):
        talk.request("GET", "/api/events", headers={"Authorization": "Bearer " + key})
        status = talk.getresponse().status
    assert status in (200, 401), status
    return status == 200


def test_a_key_of_an_account_is_in_force_until_it_is_revoked(shared, folder, account):
    port = int(shared[0].described["api_plain_url"].rpartition(":")[2])
    made = answered(*add("key", "shop", account, folder))
    assert isinstance(made["id"], int) and made["name"] == "shop" and is_known(port, made["secret"])
    failed(run(*add("key", "shop", account, folder)), 1, "shop", "name_taken")
    [listed] = [key for key in answered("key", "list", "--dir", folder)["keys"] if key["account"] == account]
    assert (listed["number"], listed["id"], listed["name"]) == (made["id"], made["public_id"], "shop")
    succeed("key", "revoke", made["id"], "--dir", folder)
    assert not is_known(port, made["secret"])
    second = answered(*add("key", "shop", account, folder))
    answered("account", "remove", "key", "shop", "--account", account, "--dir", folder)
    assert not is_known(port, second["secret"])
    third = answered(*add("key", "shop", account, folder))
    assert is_known(port, third["secret"])
    answered("account", "remove-account", account, "--dir", folder)
    assert not is_known(port, third["secret"])


# Another machine, another time


def test_another_machine_asks_by_url_and_key_file(shared, account, secret, tmp_path):
    cluster, _ = shared
    (tmp_path / "key").write_text(cluster.described["api_key"])
    way = ("--url", cluster.described["api_plain_url"], "--key-file", tmp_path / "key")
    name = unique("remote/%2F") + "@example.com"
    command = ["account", "add", "credential", name, "--account", account, "--api", "emailicious", "--secret-file", secret, *way]
    assert answered(*command)["name"] == name
    assert answered("account", "list", account, *way)["items"][0]["name"] == name
    assert answered("account", "remove", "credential", name, "--account", account, *way)["name"] == name


@pytest.fixture
def master(tmp_path):
    master = pair.Master(tmp_path / "master", f"sqlite:{tmp_path}/store.sqlite")
    # What the commands read when no master runs.
    shutil.copy(master.config, master.data.with_suffix(".yaml"))
    yield master
    master.program and master.program.stop()


def start(master):
    master.start()
    telstar.await_condition(lambda: master.is_active, "the master serves")


def test_what_a_command_has_added_survives_a_kill_of_the_master(master, secret, objects):
    start(master)
    folder = master.data
    answered("account", "create", "acme", "--dir", folder)
    answered(*add("credential", "7", "acme", folder, "--api", "sendclean", "--secret-file", secret))
    master.kill()
    start(master)
    for kind, (name, options) in objects.items():
        answered(*add(kind, name, "acme", folder, *options))
    key = answered(*add("key", "shop", "acme", folder))["secret"]
    removed = answered(*add("key", "gone", "acme", folder))["id"]
    succeed("key", "revoke", removed, "--dir", folder)
    before = items(folder, "acme")
    assert [item["kind"] for item in before] == ["credential", "key", *objects]
    master.kill()
    # Nothing of a chosen secret, or of a database's, can be read from the store.
    stored = b"".join(path.read_bytes() for path in master.directory.parent.glob("store.sqlite*"))
    assert b"sesame" not in stored and key.encode() not in stored and b"scrypt$" in stored
    assert items(folder, "acme") == before
    start(master)
    assert items(folder, "acme") == before
    assert is_known(master.api, key)


def test_accounts_are_managed_while_no_master_runs(master, secret, objects):
    start(master)
    folder = master.data
    key = answered("key", "create", "--dir", folder)["key"]
    assert master.program.stop() == 0
    made = answered("account", "create", "acme", "--dir", folder)
    failed(run("account", "create", "ACME", "--dir", folder), 1, "exists already")
    added = [answered(*add("credential", "7", "acme", folder, "--api", "sendclean", "--secret-file", secret))]
    failed(run(*add("credential", "7", "acme", folder, "--api", "sendclean")), 1, "exists already")
    failed(run(*add("credential", "7", "acme", folder, "--api", "smtp")), 1, "there is no such API")
    failed(run("account", "remove", "mailing", "x", "--account", "acme", "--dir", folder), 1, "credential, key, template")
    added.append(answered(*add("key", "shop", "acme", folder)))
    added += [answered(*add(kind, name, "acme", folder, *options)) for kind, (name, options) in objects.items()]
    shop = added[1].pop("secret")
    assert items(folder, "acme") == added
    start(master)
    assert is_known(master.api, shop)
    assert items(folder, "acme") == added
    api = xmlrpc.client.ServerProxy(f"http://admin:{key}@127.0.0.1:{master.api}/CloudMailing")
    mailings = [telstar.make_mailing(api, telstar.people(3, prefix=prefix)) for prefix in "ab"]
    assert master.program.stop() == 0
    # CloudMailing's calls are the root account's, so the store is told whose mailings these are.
    with contextlib.closing(sqlite3.connect(master.directory.parent / "store.sqlite", isolation_level=None)) as store:
        store.execute("UPDATE mailing SET account = ?", (made["id"],))
    failed(run("account", "remove-account", "acme", "--dir", folder), 1, "acme has 2 mailings; delete")
    start(master)
    failed(run("account", "remove-account", "acme", "--dir", folder), 1, "acme has 2 mailings; delete", "account_busy")
    succeed("mailing", "delete", mailings[0], "--dir", folder)
    failed(run("account", "remove-account", "acme", "--dir", folder), 1, "acme has a mailing; delete", "account_busy")
    assert items(folder, "acme") == added and is_known(master.api, shop)
    succeed("mailing", "delete", mailings[1], "--dir", folder)
    assert master.program.stop() == 0
    assert answered("account", "remove", "seed-list", "seeds", "--account", "acme", "--dir", folder)["name"] == "seeds"
    assert answered("account", "remove-account", "acme", "--dir", folder)["id"] == made["id"]
    start(master)
    failed(run("account", "list", "acme", "--dir", folder), 1, "there is no account acme")
    assert is_known(master.api, key) and not is_known(master.api, shop)
