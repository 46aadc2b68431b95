"""What `--check-config` finds is what the start would fail on, in the same words."""

import contextlib
import os
import socket
import subprocess

import pytest

import telstar
from test_operators import run, succeed

KEY = "0" * 40
SOUND = "the configuration is sound\n"


def settings(tmp_path, role, **changes):
    """Flags of a configuration that is sound, but for the changes; underscores stand for dots."""
    values = {"dataDirectory": tmp_path / "data", "status.listen": f"127.0.0.1:{telstar.free_port()}"}
    if role == "master":
        values["api.listen"] = f"127.0.0.1:{telstar.free_port()}"
        for key in ("link.listen", "link.contentListen", "link.enrolListen"):
            values[key] = f"tcp://127.0.0.1:{telstar.free_port()}"
    else:
        values |= {"serial": "west-1", "master.publicKey": KEY}
    values |= {key.replace("_", "."): value for key, value in changes.items()}
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def check(tmp_path, role, environment=None, **changes):
    return run(role, "--check-config", *settings(tmp_path, role, **changes), env={**os.environ, **(environment or {})})


@pytest.fixture
def files(tmp_path):
    (tmp_path / "text").write_text("no key\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "short").write_text("abc\n")
    (tmp_path / "short").chmod(0o600)
    (tmp_path / "open").write_text("a secret of some length\n")
    (tmp_path / "open").chmod(0o644)
    for name in ("one", "two"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                        "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"], check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize("role", ["master", "satellite"])
def test_a_sound_configuration_is_called_sound(tmp_path, role):
    done = check(tmp_path, role)
    assert (done.returncode, done.stdout, done.stderr) == (0, SOUND, "")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("role, changes, status, words", [
    ("master", {"link_listen": "127.0.0.1:1"}, 78, "link.listen has to be tcp://HOST:PORT, not '127.0.0.1:1'"),
    ("master", {"link_contentListen": "tcp://127.0.0.1"}, 78, "link.contentListen has to be tcp://HOST:PORT"),
    ("master", {"link_enrolListen": "udp://127.0.0.1:1"}, 78, "link.enrolListen has to be tcp://HOST:PORT"),
    ("master", {"status_listen": "192.0.2.1:1"}, 78, "status.listen: 192.0.2.1 is no address of this machine"),
    ("master", {"api_plainListen": "127.0.0.1:70000"}, 78, "api.plainListen has to be HOST:PORT"),
    ("master", {"store_url": "mysql://x"}, 78, "store.url has to be"),
    ("master", {"returnPath_domain": "bounces..example.org"}, 78, "returnPath.domain has to be a domain, not 'bounces..example.org'"),
    ("master", {"returnPath_domain": "b@example.org"}, 78, "returnPath.domain has to be a domain, not 'b@example.org'"),
    ("master", {"returnPath_domain": "-x.example.org"}, 78, "returnPath.domain has to be a domain, not '-x.example.org'"),
    ("master", {"returnPath_domain": "[192.0.2.1]"}, 78, "returnPath.domain has to be a domain, not the address literal"),
    ("master", {"dataDirectory": "TMP/text"}, 73, "the data directory TMP/text is not a directory"),
    ("master", {"dataDirectory": "TMP/text/data"}, 73, "the data directory TMP/text/data cannot be"),
    ("master", {"api_certificateFile": "TMP/absent"}, 78, "needs api.certificateKeyFile"),
    ("master", {"api_certificateFile": "TMP/absent", "api_certificateKeyFile": "TMP/one.key"}, 66,
     "the certificate file TMP/absent cannot be read: there is no such file"),
    ("master", {"api_certificateFile": "TMP/one.pem", "api_certificateKeyFile": "TMP/folder"}, 66,
     "the certificate's key file TMP/folder cannot be read: it is a directory"),
    ("master", {"api_certificateFile": "TMP/text", "api_certificateKeyFile": "TMP/one.key"}, 78,
     "the certificate file TMP/text holds no certificate in PEM"),
    ("master", {"api_certificateFile": "TMP/one.pem", "api_certificateKeyFile": "TMP/text"}, 78,
     "the certificate's key file TMP/text holds no private key in PEM"),
    ("master", {"api_certificateFile": "TMP/one.pem", "api_certificateKeyFile": "TMP/two.key"}, 78,
     "the key in TMP/two.key does not belong to the first certificate in TMP/one.pem"),
    ("satellite", {"master_endpoints": "127.0.0.1:1"}, 78, "master.endpoints has to be tcp://HOST:PORT"),
    ("satellite", {"master_publicKey": "short"}, 78, "master.publicKey is not a key of 40 characters"),
    ("satellite", {"master_publicKey": ""}, 78, "master.publicKey must be given"),
    ("satellite", {"dns_fakeZone": "TMP/absent"}, 66, "the zone file TMP/absent cannot be read: there is no such file"),
    ("satellite", {"dns_fakeZone": "TMP/folder"}, 66, "the zone file TMP/folder cannot be read: it is a directory"),
    ("satellite", {"dns_fakeZone": "TMP/text"}, 78, "the zone file TMP/text"),
    ("satellite", {"smtp_localAddress": "192.0.2.1"}, 78, "smtp.localAddress: 192.0.2.1 is no address of this machine"),
    ("satellite", {"testTarget": "nowhere"}, 78, "testTarget has to be HOST:PORT"),
    ("satellite", {"master_publicKey": "", "enrol_endpoint": "tcp://127.0.0.1:1", "enrol_sharedKeyFile": "TMP/absent"}, 66,
     "TMP/absent"),
    ("satellite", {"master_publicKey": "", "enrol_endpoint": "tcp://127.0.0.1:1", "enrol_sharedKeyFile": "TMP/open"}, 78,
     "chmod 600"),
    ("satellite", {"master_publicKey": "", "enrol_endpoint": "tcp://127.0.0.1:1", "enrol_sharedKeyFile": "TMP/short"}, 78,
     "too short: 3 characters, 16 at least"),
])
def test_what_fails_at_the_start_is_reported_by_the_check(files, role, changes, status, words):
    changes = {key: value.replace("TMP", str(files)) for key, value in changes.items()}
    words = words.replace("TMP", str(files))
    checked = check(files, role, **changes)
    assert (checked.returncode, checked.stdout) == (status, ""), checked
    [line] = checked.stderr.splitlines()
    assert line.startswith("telstar: ") and words in line
    started = run(role, *settings(files, role, **changes))
    assert started.returncode == status or "is no address of this machine" in words, started
    if "is no address of this machine" not in words:
        assert words in started.stderr


def test_a_name_that_cannot_be_resolved_is_reported_by_the_check(files):
    checked = check(files, "master", api_listen="no-such-host.invalid:1")
    # 69 where no name server answers at all: it may do so later.
    assert checked.returncode in (69, 78), checked
    assert checked.stderr.startswith("telstar: api.listen: no-such-host.invalid cannot be resolved")


def test_everything_that_is_wrong_is_reported_at_once(files):
    done = check(files, "master", link_listen="x:1", api_listen="y", dataDirectory=files / "text")
    assert done.returncode == 78 and len(done.stderr.splitlines()) == 3


def test_a_taken_port_is_reported_as_taken_now(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        for role, key in (("master", "api_listen"), ("master", "link_listen"), ("satellite", "status_listen")):
            address = f"127.0.0.1:{port}"
            done = check(tmp_path, role, **{key: f"tcp://{address}" if key == "link_listen" else address})
            assert done.returncode == 69
            assert done.stderr == f"telstar: {key.replace('_', '.')}: {address} is taken now: another process listens there\n"


def test_one_address_for_two_listeners_is_refused(tmp_path):
    address = f"127.0.0.1:{telstar.free_port()}"
    done = check(tmp_path, "master", api_listen=address, status_listen=address)
    assert done.returncode == 78 and "have the same address" in done.stderr


def test_a_running_daemons_own_ports_are_not_held_against_it(shared):
    configs = shared[0].described["configs"]
    for role, name in (("master", "master"), ("satellite", "satellite-1")):
        done = run(role, "--config", configs[name], "--check-config")
        assert (done.returncode, done.stdout) == (0, SOUND) and "was not tried" in done.stderr


def test_a_data_directory_of_somebody_else_is_reported(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    for path in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o055)
    other = telstar.as_somebody_else()
    for role in ("master", "satellite"):
        done = subprocess.run([*other, role, "--check-config", *settings(tmp_path, role)], capture_output=True, text=True, timeout=telstar.DEADLINE)
        assert done.returncode == 73 and f"the data directory {folder} cannot be used: this user may not" in done.stderr, done


@pytest.mark.parametrize("name, near", [
    ("TELSTAR_LEASE_SIEZ", "TELSTAR_LEASE_SIZE"), ("TELSTAR_API_LISTN", "TELSTAR_API_LISTEN"), ("TELSTAR_FINISHGRACE", "TELSTAR_FINISH_GRACE")])
def test_an_unknown_variable_is_refused_with_the_near_name(tmp_path, name, near):
    done = check(tmp_path, "master", {name: "5"})
    assert done.returncode == 78
    assert done.stderr == f"telstar: environment variable {name} is not an option; did you mean {near}?\n"


def test_variables_that_are_no_settings_or_the_other_roles_are_passed_over(tmp_path):
    others = {"TELSTAR_DIR": "/srv", "TELSTAR_BINARY": "x", "TELSTAR_SMTP_PORT": "2525", "TELSTAR_SERVICE_HOST": "10.0.0.1"}
    assert check(tmp_path, "master", others).stdout == SOUND


def test_a_key_that_was_renamed_is_refused_with_its_new_name(tmp_path):
    (tmp_path / "master.yaml").write_text("finish_grace: 5s\n")
    done = run("master", "--config", tmp_path / "master.yaml", "--check-config")
    assert (done.returncode, done.stderr) == (
        78, "telstar: the option finish_grace (line 1) is called finishGrace now; rename it\n")


def test_the_key_is_shown_although_the_rest_is_wrong(tmp_path):
    assert len(succeed("master", *settings(tmp_path, "master", link_listen="x:1"), "--show-key").strip()) == 40
