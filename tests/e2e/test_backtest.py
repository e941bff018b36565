"""`fixwright backtest`: real repositories, real engines, and the same words as a scan of each change by itself."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bot.cli import main
from tests.e2e.test_command_line import GOOD, INJECTION, SECRET
from tests.engines import INSTALLED, copy_with, needs_engines
from tests.harness import LocalRepo, git

pytestmark = [pytest.mark.slow, needs_engines]

CLEAN = INJECTION.replace("f\"SELECT id FROM members WHERE name = '{name}'\"", '"SELECT id FROM members WHERE name = ?", (name,)')
HOSTILE = "app/<b>$(touch x)`\u202e'&.py"
"""A name that a page, a table and a terminal could all stumble over."""
PICKLED = """import pickle

from flask import Flask, request

app = Flask(__name__)


@app.post("/job")
def job():
    return pickle.loads(request.get_data()).name
"""
"""Nothing mends it: it blocks and has no thread."""


def _state(monkeypatch: pytest.MonkeyPatch, folder: Path, engines: Path = INSTALLED) -> None:
    for name in [*os.environ]:
        if name.startswith("FIXWRIGHT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(folder))
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(engines))


def _merge(repo: LocalRepo, branch: str, message: str) -> None:
    git(repo.folder, "checkout", "--quiet", "main")
    git(repo.folder, "merge", "--quiet", "--no-ff", branch, "--message", message)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> LocalRepo:
    """Merged branches, squashes and direct pushes; what was flagged is still there, was mended, or went away with its file."""
    made = LocalRepo(tmp_path_factory.mktemp("history") / "shop")
    made.commit({"app/add.py": GOOD, "README.md": "shop\n"}, "first")
    made.commit({"app/find.py": INJECTION}, "a query", branch="search")
    _merge(made, "search", "Merge pull request #1 from ann/search\n\nSearch members <script>")
    made.commit({"README.md": "the shop\n", "tests/test_find.py": INJECTION}, "Say it better (#2)", branch="main")
    made.commit({"app/keys.py": SECRET}, "Keys", branch="keys")
    _merge(made, "keys", "Merge branch 'keys' into 'main'\n\nKeys\n\nSee merge request acme/shop!3")
    made.commit({HOSTILE: PICKLED}, "Jobs (#4)", branch="main")
    made.commit({"app/old.py": PICKLED}, "Old jobs (#5)")
    made.commit({"app/find.py": CLEAN}, "ask with parameters")
    made.commit({"app/old.py": None}, "old jobs are gone")
    made.commit({"app/add.py": f"# adds\n{GOOD}", HOSTILE: f"# works\n{PICKLED}"}, "words")
    return made


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def here(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What engines said is shared by the tests of this file: each version of a file is looked at once."""
    _state(monkeypatch, state)


def _told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, object]:
    capsys.readouterr()
    assert main(["backtest", *map(str, arguments), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert isinstance(told, dict)
    return told


def _lines(told: dict[str, object]) -> list[tuple[str, str, bool, bool, str, str]]:
    found = told["findings"]
    assert isinstance(found, list)
    return [
        (
            f["change"]["number"],
            f["location"]["path"],
            f["thread"] is not None,
            f["blocks"],
            f["hindsight"]["line"],
            f["hindsight"]["weakness"],
        )
        for f in found
    ]


def _without_time(told: dict[str, object]) -> dict[str, object]:
    return {**told, "seconds": 0}


@pytest.mark.usefixtures("here")
def test_merges_and_squashes_are_replayed_and_judged_with_hindsight(repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    told = _told(capsys, repo.folder)
    replayed = told["replayed"]
    assert isinstance(replayed, list)
    assert [(one["number"], one["kind"], one["title"]) for one in replayed] == [
        ("#1", "merge", "Search members <script>"),
        ("#2", "squash", "Say it better"),
        ("!3", "merge", "Keys"),
        ("#4", "squash", "Jobs"),
        ("#5", "squash", "Old jobs"),
    ]
    assert told["by"] == "merges"
    assert (told["changes"], told["spoken"], told["blocked"], told["silent"]) == (5, 2, 4, 1)
    assert _lines(told) == [
        ("#5", "app/old.py", False, True, "file gone", "gone"),
        ("#4", HOSTILE, False, True, "unchanged", "still there"),
        ("!3", "app/keys.py", True, True, "unchanged", "still there"),
        ("#1", "app/find.py", True, True, "changed", "gone"),
    ]


@pytest.mark.usefixtures("here")
def test_a_guess_is_told_in_the_check_alone(repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in a test can be mended as well as any, and nobody is told of it on a line."""
    listed = _told(capsys, repo.folder)["listed"]
    assert isinstance(listed, list)
    (one,) = listed
    assert (one["location"]["path"], one["rule"]["confidence"], one["in_diff"], one["thread"]) == ("tests/test_find.py", "low", True, None)


@pytest.mark.usefixtures("here")
def test_what_it_says_has_the_shape_that_is_written_down(repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    told = _told(capsys, repo.folder)
    assert told["schema"] == "fixwright-backtest/1"
    assert all(type(told[name]) is int for name in ("changes", "spoken", "blocked", "silent", "unchecked", "threads", "wanted"))
    assert type(told["seconds"]) is float
    assert told["head"] == git(repo.folder, "rev-parse", "HEAD")
    assert told["branch"] == "main"
    findings = told["findings"]
    assert isinstance(findings, list)
    for finding in findings:
        assert set(finding) >= {"change", "rule", "location", "standing", "blocks", "thread", "fix", "hindsight", "fingerprint"}
    by_path = {finding["location"]["path"]: finding for finding in findings}
    mended = by_path["app/find.py"]
    assert mended["fix"].startswith("diff --git a/app/find.py b/app/find.py")
    assert "```suggestion" in mended["thread"]["body"]
    assert "AKIA" not in json.dumps(told)


@pytest.mark.usefixtures("here")
def test_it_says_what_a_scan_of_the_change_says(repo: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check of a change is that of the same change while it was open."""
    told = _told(capsys, repo.folder)
    replayed = told["replayed"]
    assert isinstance(replayed, list)
    change = next(one for one in replayed if one["number"] == "#1")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repo.folder), str(clone))
    git(clone, "checkout", "--quiet", change["head"])
    assert main(["scan", str(clone), "--base", change["base"], "--format", "json"]) == 1
    scanned = json.loads(capsys.readouterr().out)
    findings = told["findings"]
    assert isinstance(findings, list)
    own = [finding for finding in findings if finding["change"]["number"] == "#1"]
    assert scanned["conclusion"] == change["conclusion"] == "failure"
    keys = ("fingerprint", "handle", "rule", "standing", "in_diff", "location", "source", "scope", "detail")
    assert [{key: one[key] for key in keys} for one in scanned["findings"]] == [{key: one[key] for key in keys} for one in own]


@pytest.mark.usefixtures("here")
def test_nothing_is_written_into_the_repository(repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    def seen() -> list[tuple[str, int, int]]:
        return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in repo.folder.rglob("*"))

    before = seen()
    _told(capsys, repo.folder)
    assert seen() == before


@pytest.mark.usefixtures("here")
def test_a_bare_copy_and_an_address_say_the_same(repo: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = _without_time(_told(capsys, repo.folder))
    bare = tmp_path / "shop"
    git(tmp_path, "clone", "--quiet", "--bare", str(repo.folder), str(bare))
    assert _without_time(_told(capsys, bare)) == told
    fetched = _told(capsys, f"file://{repo.folder}")
    assert {key: fetched[key] for key in ("findings", "replayed", "listed")} == {
        key: told[key] for key in ("findings", "replayed", "listed")
    }


@pytest.mark.usefixtures("here")
def test_the_last_so_many_and_each_commit(repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    told = _told(capsys, repo.folder, "--last", "2")
    assert (told["changes"], [line[0] for line in _lines(told)]) == (2, ["#5", "#4"])
    told = _told(capsys, repo.folder, "--by", "commits")
    assert (told["by"], told["changes"]) == ("commits", 8)


@pytest.mark.usefixtures("here")
def test_without_merges_each_commit_is_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = LocalRepo(tmp_path / "plain")
    repo.commit({"app/add.py": GOOD})
    repo.commit({"app/keys.py": SECRET}, "keys")
    repo.commit({"app/add.py": f"# adds\n{GOOD}"}, "words")
    told = _told(capsys, repo.folder)
    assert (told["by"], told["changes"], told["spoken"]) == ("commits", 2, 1)


@pytest.mark.usefixtures("here")
def test_a_page_for_a_colleague(repo: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["backtest", str(repo.folder), "--format", "html", "--output", str(page)]) == 0
    text = page.read_text("utf-8")
    reader = _Page()
    reader.feed(text)
    assert reader.loads == []
    assert not {"script", "iframe", "object", "form", "b>$(touch"} & reader.tags
    assert "Search members <script>" in reader.words
    assert "It would have spoken on 2 of 5 changes" in reader.words
    assert "\u202e" not in text
    assert "AKIA" not in text
    assert capsys.readouterr().out == ""


class _Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith(("#", "data:"))]
        self.loads += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("form", ["text", "markdown"])
def test_other_forms_tell_the_same_and_obey_nobody(repo: LocalRepo, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["backtest", str(repo.folder), "--format", form]) == 0
    said = capsys.readouterr()
    assert "spoken on 2 of 5 changes" in said.out
    assert "changed the line" in said.out
    assert "\u202e" not in said.out
    assert "AKIA" not in said.out
    assert "5 of 5 changes" in said.err
    if form == "markdown":
        assert "<script>" not in said.out


def test_who_is_killed_goes_on_where_it_was(repo: LocalRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run is killed between two engines; for the second the first of them is gone, and all that it said is known all the same."""
    state = tmp_path / "state"
    waiting = copy_with(tmp_path / "waiting", "semgrep", "sleep 600")
    _state(monkeypatch, state, waiting)
    process = subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "backtest", str(repo.folder), "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        known = state / "backtest" / "said.sqlite"
        deadline = time.monotonic() + 120
        while _entries(known) == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert process.poll() is None
        kept = _entries(known)
        assert kept > 0
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    silent = copy_with(tmp_path / "silent", "betterleaks", "exit 3")
    _state(monkeypatch, state, silent)
    page = tmp_path / "told.json"
    assert main(["backtest", str(repo.folder), "--format", "json", "--output", str(page)]) == 0
    assert json.loads(page.read_bytes())["blocked"] == 4


def _entries(place: Path) -> int:
    if not place.exists():
        return 0
    file = sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=10)
    try:
        return int(file.execute("SELECT count(*) FROM said").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        file.close()


def test_an_engine_that_is_not_there_is_no_clean_answer(
    repo: LocalRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _state(monkeypatch, tmp_path / "state", copy_with(tmp_path / "engines", "semgrep", None))
    assert main(["backtest", str(repo.folder), "--format", "json"]) == 3
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["unchecked"] == 5
    assert "fixwright doctor" in said.err


@pytest.mark.usefixtures("here")
def test_what_is_no_whole_repository_is_said_in_a_line(
    repo: LocalRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, plain, shallow, single = tmp_path / "empty", tmp_path / "plain", tmp_path / "shallow", tmp_path / "single"
    LocalRepo(empty)
    plain.mkdir()
    git(tmp_path, "clone", "--quiet", "--depth", "2", f"file://{repo.folder}", str(shallow))
    LocalRepo(single).commit({"a.py": GOOD})
    for place, words in [
        (empty, "has no commit yet"),
        (plain, "is no git repository"),
        (shallow, "is a shallow clone"),
        (single, "no change to look at again"),
        (tmp_path / "nowhere", "there is no folder"),
        ("https://user:word@example.org/x.git", "address"),
        ("ssh://example.org/x.git", "fetched over https"),
    ]:
        assert main(["backtest", str(place)]) == 2, place
        said = capsys.readouterr()
        assert said.out == ""
        assert words in said.err
        assert "Traceback" not in said.err
    assert main(["backtest", str(repo.folder), "--branch", "nothing"]) == 2
    assert main(["backtest", str(repo.folder), "--last", "0"]) == 2
    assert main(["backtest", str(repo.folder), "--output", str(tmp_path / "no" / "such")]) == 2
