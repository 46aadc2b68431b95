"""What the documents show is run as it stands."""

import os
import re

import pytest

import telstar


def blocks(page, language):
    text = (telstar.ROOT / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["api/xmlrpc.md", "api/rest.md", "api/operators.md", "feed.md"])
def test_the_examples_of_the_page_run_in_order(shared, page, monkeypatch):
    cluster, _ = shared
    monkeypatch.chdir(os.path.dirname(cluster.file))
    names = {}
    for number, block in enumerate(blocks(page, "python")):
        exec(compile(block, f"{page} block {number + 1}", "exec"), names)
    assert names


def test_the_get_started_calls_of_the_original_work(shared):
    """The published introduction's own sequence: a `%` in the sender's domain, a datetime, and a list as filter."""
    from datetime import datetime, timedelta
    cluster, _ = shared
    master = cluster.api()
    mailing = master.create_mailing("my-mailing@%example.org", "My Mailing", "The great newsletter",
                                    "<h1>Title</h1><p>Coucou</p>", "Title\nCoucou\n", "UTF-8")
    assert isinstance(mailing, int)
    master.set_mailing_properties(mailing, {"scheduled_start": datetime.now() + timedelta(hours=3),
                                            "scheduled_duration": 1440, "click_tracking": True})
    answers = master.add_recipients(mailing, [
        {"email": "john.doe@example.org", "firstname": "John", "lastname": "DOE", "another_custom_field": "blabla"},
        {"email": "wilfred.smith@example.org"}])
    assert [a["email"] for a in answers] == ["john.doe@example.org", "wilfred.smith@example.org"]
    assert master.start_mailing(mailing) == "READY"
    assert master.list_mailings({"id": [mailing]})[0]["status"] == "READY"
    master.set_mailing_properties(mailing, {"scheduled_start": ""})
    cluster.await_status(mailing, "FINISHED")
    cursor, found = "", set()
    while len(found) < 2:
        result = master.get_recipients_status_updated_since(cursor, [], 1000)
        cursor = result["cursor"]
        found |= {r["email"] for r in result["recipients"] if r["mailing"] == mailing}
    report = master.list_mailings({"id": [mailing]})[0]
    assert (report["total_recipient"], report["total_sent"], report["total_error"]) == (2, 2, 0)


@pytest.mark.parametrize("role", ["master", "satellite"])
def test_the_sample_configuration_is_what_the_program_prints(role):
    import subprocess
    printed = subprocess.run([telstar.BINARY, role, "--sample"], check=True, capture_output=True, text=True).stdout
    assert (telstar.ROOT / "Config" / f"{role}.sample.yaml").read_text() == printed


@pytest.mark.parametrize("role", ["master", "satellite"])
def test_the_minimal_configuration_is_sound(role, tmp_path):
    import subprocess
    path = telstar.ROOT / "Config" / f"{role}.minimal.yaml"
    checked = subprocess.run([telstar.BINARY, role, "--config", path, "--check-config", "--set", f"dataDirectory={tmp_path / 'data'}",
                              *telstar.free_ports(role)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
