"""Every block of Python and of shell in the documents is run, or says why it is not.

A block that is not run has a line `<!-- not run: reason -->` directly above it. Shell blocks run in order, page by page, in the directory
of a cluster, with `telstar` in the PATH and the number of a mailing in `$MAILING`.
"""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

import telstar

PAGES = [telstar.ROOT / "README.md", *sorted((telstar.ROOT / "docs").rglob("*.md")), telstar.ROOT / "deploy/README.md"]
BLOCK = re.compile(r"^(?:<!-- (?P<mark>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
# Run by test_documents.py and test_messages.py, in order, on a cluster of their own.
RUN_ELSEWHERE = {("python", "docs/api/xmlrpc.md"), ("python", "docs/api/rest.md"), ("python", "docs/api/operators.md"),
                 ("python", "docs/feed.md"), ("python", "docs/api/tracking-site.md")}


def name(page):
    return str(page.relative_to(telstar.ROOT))


def blocks(page, language):
    return [(m["mark"] or "", m["text"]) for m in BLOCK.finditer(page.read_text()) if m["language"] == language]


def environment(**more):
    folder = os.path.dirname(os.path.abspath(telstar.BINARY))
    return {**os.environ, "PATH": folder + os.pathsep + os.environ["PATH"], **more}


SHELL = [page for page in PAGES if any(not mark for mark, _ in blocks(page, "sh"))]


def test_there_are_shell_blocks_to_run():
    assert SHELL


@pytest.mark.parametrize("page", SHELL, ids=name)
def test_the_shell_blocks_of_the_page_run(shared, page, tmp_path):
    cluster, _ = shared
    folder = os.path.dirname(cluster.file)
    mailing = cluster.api().create_mailing("a@example.org", "A", "s", "<p></p>", "", "utf-8")
    for mark, text in blocks(page, "sh"):
        if mark:
            continue
        done = subprocess.run(["sh", "-eu", "-c", text], cwd=folder, capture_output=True, text=True,
                              env=environment(MAILING=str(mailing)))
        assert done.returncode == 0, f"{name(page)}:\n{text}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_block_is_run_or_says_why_not(page):
    for match in BLOCK.finditer(page.read_text()):
        language, mark = match["language"], match["mark"] or ""
        assert language in ("python", "sh", "yaml", "jinja", "json", ""), (name(page), language)
        if language in ("python", "sh"):
            run = (language, name(page)) in RUN_ELSEWHERE if language == "python" else not mark
            assert run or re.match(r"(not run: |run by \w+\.py)\S*", mark), f"{name(page)}: a block that nothing runs:\n{match['text']}"
        else:
            assert not re.search(r"^(telstar|make|pip|python3?|import) ", match["text"], re.MULTILINE), \
                f"{name(page)}: name the language of this block:\n{match['text']}"
    without = BLOCK.sub("", page.read_text())
    hidden = [line for line in without.splitlines() if re.match(r"( {4}|\t)+(telstar|make|useradd|install|import) ", line)]
    assert not hidden, f"{name(page)}: commands in an indented block, which nothing runs: {hidden}"


def test_the_readme_s_demo_leaves_a_cluster_on_which_the_api_s_page_runs(tmp_path):
    """The demo's own mailing is in the feed, and its satellites are at work: an example must not mistake them for its own."""
    [command] = [text for mark, text in blocks(telstar.ROOT / "README.md", "sh") if mark.startswith("run by test_documents_blocks")]
    run = subprocess.Popen(["sh", "-c", "exec " + command.split("#")[0].strip()], cwd=tmp_path, env=environment(),
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        for line in run.stdout:
            if "stays up" in line:
                break
        else:
            pytest.fail(f"the demo ended with {run.wait()}")
        [file] = tmp_path.rglob("cluster.json")
        assert json.loads(file.read_text())["api_key"]
        texts = [text for _, text in blocks(telstar.ROOT / "docs/api/xmlrpc.md", "python")]
        # In a process of its own, with a zone of time in which a local time is not UTC.
        done = subprocess.run([sys.executable, "-c", "\n".join(texts)], cwd=file.parent, capture_output=True, text=True,
                              env=environment(TZ="America/New_York"))
        assert done.returncode == 0, done.stderr
    finally:
        os.killpg(run.pid, signal.SIGTERM)
        run.communicate()
