"""What the control API says of satellites, and takes."""

import base64
import json
import ssl
import urllib.error
import urllib.request

import pytest

import telstar

ZEROS = "0" * 40
ONES = "1" * 40


@pytest.fixture(scope="module")
def ask(shared):
    cluster, _ = shared
    key = base64.b64encode(f"admin:{cluster.described['api_key']}".encode()).decode()

    def ask(method, path, body=None):
        request = urllib.request.Request(
            cluster.described["api_url"] + "/telstar/v1/" + path, method=method,
            data=None if body is None else json.dumps(body).encode(), headers={"Authorization": f"Basic {key}"})
        try:
            with urllib.request.urlopen(request, timeout=telstar.DEADLINE, context=ssl._create_unverified_context()) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, json.load(answer)["error"]

    return ask


@pytest.fixture
def satellite(ask):
    assert ask("POST", "satellites", {"serial": "far-1", "public_key": ZEROS, "group": "far"})[0] == 200
    yield "satellites/far-1"
    ask("DELETE", "satellites/far-1")


def test_each_property_of_a_satellite_is_set_and_cleared(ask, satellite):
    changes = {"group": "near", "enabled": False, "weight": 7, "affinity": {"include": ["One.test"], "exclude": ["two.test"]}}
    status, changed = ask("PATCH", satellite, changes)
    assert status == 200
    assert (changed["group"], changed["enabled"], changed["weight"]) == ("near", False, 7)
    assert changed["affinity"] == {"include": ["one.test"], "exclude": ["two.test"]}
    assert ask("PATCH", satellite, {}) == (200, changed)
    status, cleared = ask("PATCH", satellite, {"group": None, "enabled": None, "weight": None, "affinity": None})
    assert status == 200
    assert cleared.get("group") is None and cleared["enabled"] and cleared["weight"] == 1
    assert cleared["affinity"] == {"include": [], "exclude": []}
    ask("PATCH", satellite, {"group": "near"})
    assert ask("PATCH", satellite, {"group": ""})[1].get("group") is None


@pytest.mark.parametrize("change", [
    {"weight": 0}, {"weight": 1001}, {"affinity": {"include": ["two words"]}}, {"group": " edge"}, {"group": "g" * 65},
    {"colour": "red"}, {"public_key": "short"},
])
def test_a_wrong_property_is_refused_and_changes_nothing(ask, satellite, change):
    before = ask("PATCH", satellite, {})
    status, error = ask("PATCH", satellite, change)
    assert (status, error["code"]) == (400, "bad_property") and error["message"]
    assert ask("PATCH", satellite, {}) == before


def test_a_public_key_and_a_serial_belong_to_one_satellite(ask, satellite):
    status, error = ask("POST", "satellites", {"serial": "far-2", "public_key": ZEROS})
    assert (status, error["code"]) == (409, "public_key_in_use") and "far-1" in error["message"]
    status, error = ask("POST", "satellites", {"serial": "FAR-1", "public_key": ONES})
    assert (status, error["code"]) == (409, "satellite_exists")
    assert ask("POST", "satellites", {"serial": "far-2", "public_key": ONES})[0] == 200
    status, error = ask("PATCH", "satellites/far-2", {"public_key": ZEROS})
    assert (status, error["code"]) == (409, "public_key_in_use")
    status, error = ask("PATCH", "satellites/far-2", {"serial": "Far-1"})
    assert (status, error["code"]) == (409, "satellite_exists")
    assert ask("DELETE", "satellites/far-2")[0] == 200
    [first] = [one for one in ask("GET", "satellites")[1]["satellites"] if one["serial"] == "far-1"]
    assert first["public_keys"] == [ZEROS]
