"""`fixwright findings` and `fixwright advisory`: what a person and a machine read of a repository, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.cli import main
from bot.cli.advisory import draft_of
from bot.duties import begin_scans, follow_rules
from pipeline.escaping import code
from pipeline.model.event import PushEvent
from pipeline.model.finding import Confidence, Finding, Location, Rule, Secret, Severity
from pipeline.model.ids import CommitId
from pipeline.model.scan import EngineInfo, ScanType
from pipeline.model.target import UserRef
from pipeline.ports import Control
from pipeline.store.tables import outbox
from tests.fakes import LineScanner
from tests.harness import INSTALLATION, Bench, LocalRepo, git

KEY = "uoS9uWLySP1wpG9tHrxgudwVTmH5bLz7f8fQ2YDadrE="
NAUGHTY = "a\x1b[31m\u202e.txt"
"""A name that would colour and turn what a terminal shows."""


NAMING = (
    ("findings", "list", "NAME"),
    ("findings", "show", "NAME", "K7Q"),
    ("findings", "rescan", "NAME"),
    ("advisory", "draft", "NAME", "K7Q"),
    ("repositories", "disable", "NAME"),
    ("repositories", "enable", "NAME"),
    ("repositories", "purge", "NAME", "--yes"),
    ("waive", "list", "NAME"),
    ("waive", "NAME", "K7Q", "--reason", "a reason that is long enough"),
    ("waive", "NAME", "K7Q", "--end"),
    ("policy", "show", "NAME"),
)
"""Every command that takes the name of a repository."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.use(scanners=[LineScanner(), LineScanner(ScanType.SECRETS)], fixers=[])
    for name, value in {"STATE_DIR": str(made.state), "ENGINES_DIR": str(tmp_path / "no-engines"), "SECRET_KEY": KEY}.items():
        monkeypatch.setenv(f"FIXWRIGHT_{name}", value)
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.close()


def connected(bench: Bench, tmp_path: Path, files: dict[str, str | bytes | None], folder: str = "shop") -> LocalRepo:
    """A repository whose default branch was announced as `fixwright local connect` does, and scanned."""
    repo = LocalRepo(tmp_path / "work" / folder)
    tip = repo.commit(files)
    bench.deliver(PushEvent(INSTALLATION, repo.source, UserRef("ada", "ada"), "main", CommitId("0" * 40), tip))
    bench.work()
    return repo


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(arguments)
    said = capsys.readouterr()
    return status, said.out + said.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status, said = run(capsys, *arguments, "--json")
    found: dict[str, Any] = json.loads(said)
    return status, found


def test_a_list_says_what_is_open_how_fresh_it_is_and_answers_one(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = connected(bench, tmp_path, {"a.txt": "BAD\nfine\nBAD\n", "b.txt": "fine\n"})
    name = repo.source.full_name
    status, said = run(capsys, "findings", "list", name.upper())
    assert status == 1
    lines = said.splitlines()
    assert lines[0].split()[:2] == ["high", "a.txt:1"]
    assert f"{name}, main: " in said
    assert "Checked 2 of 2 files with lines-secrets 1 (rules 000000000000), lines-semgrep 1" in said
    status, found = document(capsys, "findings", "list", name)
    assert (status, found["version"], found["complete"], found["not_checked"]) == (1, 1, True, [])
    assert found["repository"]["name"] == name
    assert [place["line"] for one in found["findings"] for place in one["places"]] == [1, 3]
    assert {run["engine"] for run in found["engines"]} == {"lines-semgrep", "lines-secrets"}


def test_one_finding_shows_its_places_and_what_became_of_it(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = connected(bench, tmp_path, {"a.txt": "BAD\n"})
    _, found = document(capsys, "findings", "list", repo.source.full_name)
    handle = found["findings"][0]["handle"]
    status, said = run(capsys, "findings", "show", repo.source.full_name, handle.lower())
    assert status == 0
    assert "a.txt:1" in said
    assert "detected on main" in said
    status, one = document(capsys, "findings", "show", repo.source.full_name, handle)
    assert [event["kind"] for event in one["events"]] == ["detected"]
    assert one["branches"] == [{"branch": "main", "status": "open", "places": one["branches"][0]["places"]}]
    status, said = run(capsys, "findings", "show", repo.source.full_name, "QQQ")
    assert (status, "has no finding QQQ" in said) == (2, True)


def test_an_empty_list_answers_zero_and_one_that_is_not_known_yet_three(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = connected(bench, tmp_path, {"a.txt": "fine\n"})
    assert run(capsys, "findings", "list", clean.source.full_name)[0] == 0
    other = LocalRepo(tmp_path / "work" / "other")
    other.commit({"a.txt": "BAD\n"})
    with bench.app.database.work() as work:
        work.installations.upsert_repository(other.source)
    status, said = run(capsys, "findings", "list", other.source.full_name)
    assert (status, "was not scanned yet" in said) == (3, True)
    status, found = document(capsys, "findings", "list", other.source.full_name)
    assert (status, found["complete"], found["commit"]) == (3, False, None)
    assert run(capsys, "findings", "list", "octo/unknown")[0] == 2


def test_a_name_that_means_several_is_refused_with_the_longer_ones(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = connected(bench, tmp_path, {"a.txt": "fine\n"})
    with bench.app.database.work() as work:
        work.installations.upsert_repository(replace(repo.source, provider="github", instance="ghe.example.org", external_id="9"))
    name = repo.source.full_name
    said = {run(capsys, *(name if word == "NAME" else word for word in command)) for command in NAMING}
    ((status, words),) = said
    assert status == 2
    assert f"{name} means several repositories" in words
    longer = [f"{repo.source.instance or repo.source.provider}/{name}", f"ghe.example.org/{name}"]
    assert all(one in words for one in longer)
    for one in longer:  # what is proposed is understood
        assert run(capsys, "findings", "list", one)[0] in (0, 3)
        assert run(capsys, "repositories", "disable", one)[0] == 0
    listed = json.loads(run(capsys, "repositories", "list", "--json")[1])["repositories"]
    assert [found["state"] for found in listed] == ["disabled", "disabled"]


def test_a_name_that_nobody_knows_is_said_in_the_same_words_everywhere(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    said = {run(capsys, *("octo/unknown" if word == "NAME" else word for word in command)) for command in NAMING}
    ((status, words),) = said
    assert status == 2
    assert "no repository octo/unknown is known here" in words


def test_names_that_would_move_the_terminal_are_spelled_out(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = connected(bench, tmp_path, {NAUGHTY: "BAD\n"})
    name = repo.source.full_name
    handle = document(capsys, "findings", "list", name)[1]["findings"][0]["handle"]
    for arguments in (("list", name), ("show", name, handle), ("list", name, "--json"), ("show", name, handle, "--json")):
        _, said = run(capsys, "findings", *arguments)
        assert "\x1b" not in said
        assert "\u202e" not in said
        assert "x1b" in said


def test_rescan_sends_one_message_that_leads_to_another_scan(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = connected(bench, tmp_path, {"a.txt": "BAD\n"})
    status, said = run(capsys, "findings", "rescan", repo.source.full_name)
    assert (status, "will be looked at again" in said) == (0, True)
    assert bench.work() > 0
    with bench.app.database.read() as work:
        statement = select(func.count()).select_from(outbox).where(outbox.c.kind == "scan_repository")
        assert work.transaction.execute(statement).scalar_one() == 2
    assert run(capsys, "findings", "list", repo.source.full_name)[0] == 1


# --- advisories -----------------------------------------------------------------------------------------------------------------------


def test_a_host_without_advisories_says_so(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = connected(bench, tmp_path, {"a.txt": "BAD\n"})
    handle = document(capsys, "findings", "list", repo.source.full_name)[1]["findings"][0]["handle"]
    status, said = run(capsys, "advisory", "draft", repo.source.full_name, handle)
    assert (status, "has no drafts of security advisories" in said) == (2, True)
    assert run(capsys, "advisory", "draft", repo.source.full_name, "QQQ")[0] == 2


def test_a_draft_is_escaped_and_holds_no_value_of_a_secret() -> None:
    value = "key-" + "a1b2c3d4e5" * 2
    rule = Rule("secrets.key", "A key", "Whoever reads [this](https://evil) has it @octocat.", Severity.CRITICAL, Confidence.HIGH, 798)
    place = Location("a`](x) <img>\n.txt", 1, 1)
    finding = Finding(rule, place, "v1:0", "betterleaks", excerpt=f"token = {value}", secret=Secret("API key", "hash", value[-4:]))
    draft = draft_of(finding, tuple(replace(finding, location=replace(place, line=n)) for n in range(1, 80)))
    said = f"{draft.summary}\n{draft.description}"
    assert value not in said
    assert value[-4:] not in said
    assert "](https://evil)" not in said
    assert code("a`](x) <img> .txt:1") in draft.description
    assert "@octocat" not in said
    assert "29 more places" in said
    assert (draft.severity, draft.cwe) == ("critical", ("CWE-798",))


# --- the relay's part -----------------------------------------------------------------------------------------------------------------


def test_the_relay_begins_what_is_due_and_new_rules_make_everything_due(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = connected(bench, tmp_path, {"a.txt": "BAD\n"})
    assert begin_scans(bench.app) == 0
    assert follow_rules(bench.app) == 0

    class Newer(LineScanner):
        def info(self, control: Control) -> EngineInfo:
            return replace(super().info(control), rules_digest="111111111111")

    bench.use(scanners=[Newer(), LineScanner(ScanType.SECRETS)], fixers=[])
    assert follow_rules(bench.app) == 1
    assert follow_rules(bench.app) == 0
    assert begin_scans(bench.app) == 1, "the first of them at once"
    assert begin_scans(bench.app) == 0
    bench.work()
    _, found = document(capsys, "findings", "list", repo.source.full_name)
    assert {run["engine"]: run["rules"] for run in found["engines"]} == {"lines-semgrep": "111111111111", "lines-secrets": "000000000000"}
    assert [one["status"] for one in found["findings"]] == ["open"]
    assert follow_rules(bench.app) == 0


def test_a_branch_that_nobody_knows_is_no_empty_list(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = connected(bench, tmp_path, {"a.txt": "fine\n"})
    name = repo.source.full_name
    assert run(capsys, "findings", "list", name, "--branch", "main")[0] == 0
    status, said = run(capsys, "findings", "list", name, "--branch", "mian")
    assert (status, f"no branch mian of {name} is known here" in said) == (2, True)
    repo.commit({"c.txt": "fine too\n"}, "change", branch="feature")
    git(repo.folder, "checkout", "--quiet", "main")  # the branch of a working copy is its default one
    bench.review(repo, "feature")
    for known in ("feature", "pull/1"):
        assert run(capsys, "findings", "list", name, "--branch", known)[0] == 0
    assert run(capsys, "findings", "list", name, "--branch", "pull/2")[0] == 2


def test_what_only_a_pull_request_has_is_not_counted_as_the_repositorys(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = connected(bench, tmp_path, {"a.txt": "BAD\n"})
    repo.commit({"c.txt": "BAD too\n"}, "change", branch="feature")
    git(repo.folder, "checkout", "--quiet", "main")  # the branch of a working copy is its default one
    bench.review(repo, "feature")
    assert run(capsys, "findings", "list", repo.source.full_name, "--branch", "pull/1")[0] == 1
    status, said = run(capsys, "repositories", "list")
    assert (status, said.count(" 1 open  ")) == (0, 1), said
