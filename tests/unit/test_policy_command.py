"""`fixwright policy`: what is in force, what is wrong, what would happen and why; offline, on folders and on revisions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import main
from pipeline.model.scan import ScanType
from tests.fakes import LineScanner
from tests.harness import Bench, LocalRepo, git

POLICY = """\
gate:
  block: medium
  rules:
    python.flask-debug: warn
scopes:
  app: {paths: [app/], owners: ['@acme/app'], block: low}
paths:
  exclude: [vendor/]
ignore:
  - rule: python.sql-injection
    path: app/
    reason: constants only
    until: 2999-12-31
"""
PARENT = "gate: {block: high}\nallow: [scopes, paths.exclude]\n"


@pytest.fixture
def repo(tmp_path: Path) -> LocalRepo:
    made = LocalRepo(tmp_path / "shop")
    made.commit({".github/fixwright.yml": POLICY, "app/db.py": "x = 1\n", "vendor/a.js": "1\n"})
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["policy", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_every_value_is_shown_with_the_line_it_comes_from(repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", str(repo.folder))
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0
    assert lines["gate.block"].split(None, 1)[1] == "medium  (.github/fixwright.yml:2)"
    assert lines["gate.warn"].split(None, 1)[1] == "low"
    assert out.splitlines()[-1] == "in force: .github/fixwright.yml"


def test_the_policy_of_a_revision_is_shown_not_the_one_on_the_disk(repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    first = git(repo.folder, "rev-parse", "HEAD")
    repo.commit({".github/fixwright.yml": "gate: {block: never}\n"})
    (repo.folder / ".github/fixwright.yml").write_text("gate: {block: critical}\n")
    shown = {}
    for base in (first, "main", ""):
        code, out, _ = run(capsys, "show", str(repo.folder), "--json", *(["--base", base] if base else []))
        document = json.loads(out)
        shown[base] = (code, document["policy"]["gate"]["block"], document["source"])
    second = git(repo.folder, "rev-parse", "HEAD")
    assert shown == {
        first: (0, "medium", f".github/fixwright.yml at {first[:7]}"),
        "main": (0, "never", f".github/fixwright.yml at {second[:7]}"),
        "": (0, "critical", ".github/fixwright.yml"),
    }


def test_an_owners_policy_above_it_shows_what_stands_and_what_was_refused(
    repo: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = tmp_path / "owner.yml"
    parent.write_text(PARENT)
    _, out, _ = run(capsys, "show", str(repo.folder), "--parent", str(parent), "--json")
    document = json.loads(out)
    assert document["origins"]["gate.block"] == ".github/fixwright.yml:2"
    assert document["origins"]["gate.rules"] == "defaults"
    assert [note.partition(": ")[2].split()[0] for note in document["notes"]] == ["gate.rules", "ignore"]


def test_a_repository_of_the_installation_shows_what_judged_it_last(
    repo: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.use(scanners=[LineScanner(), LineScanner(ScanType.SECRETS)], fixers=[])
    repo.commit({"c.txt": "fine\n"}, branch="feature")
    git(repo.folder, "checkout", "--quiet", "main")
    bench.review(repo, "feature")
    bench.close()
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(bench.state))
    monkeypatch.chdir(bench.state)  # where no folder has the repository's name
    code, out, err = run(capsys, "show", repo.source.full_name)
    assert code == 0, err
    assert "medium  (.github/fixwright.yml:2 at " in out


def test_mistakes_are_told_with_line_and_column_and_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fixwright.yml"
    file.write_text("gate:\n  blok: high\nspeak: 1\n")
    code, out, _ = run(capsys, "check", str(file))
    assert code == 2
    assert out.splitlines() == [f"{file}:2:3: gate.blok: there is no such key", f"{file}:3:1: speak: is a group of keys"]
    code, out, _ = run(capsys, "check", str(file), "--json")
    assert code == 2
    assert [(e["line"], e["column"]) for e in json.loads(out)["errors"]] == [(2, 3), (3, 1)]


def test_what_is_odd_is_told_with_0(repo: LocalRepo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (repo.folder / ".github/fixwright.yml").write_text(
        "gate:\n  rules: {python.nope: warn, secrets.any-kind: block}\n"
        "paths: {exclude: [vendor/, gone/]}\n"
        "ignore:\n"
        "  - {path: app/, reason: x, until: 2020-01-01}\n"
        "  - {finding: K7Q, reason: x, until: soon}\n"
        "allow: [ignore]\n"
    )
    monkeypatch.chdir(repo.folder)
    code, out, _ = run(capsys, "check")
    assert code == 0
    warned = [line.split(": ")[2] + " " + line.split(":")[1] for line in out.splitlines()[:-1]]
    assert warned == [
        "gate.rules.python.nope 2",
        "paths.exclude.1 3",
        "ignore.0.until 5",
        "ignore.1.finding 6",
        "ignore.1.until 6",
        "allow 7",
    ]
    assert run(capsys, "check", "--owner")[1].count("warning") == 4


def test_a_good_file_is_said_to_be_good(repo: LocalRepo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(repo.folder)
    assert run(capsys, "check")[:2] == (0, ".github/fixwright.yml can be used\n")


def test_nothing_to_check_says_where_it_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "check")
    assert code == 2 and ".github/fixwright.yml" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["app/db.py", "--severity", "low"],
            ["scopes app, owners acme/app", "low       blocks   scopes.app.block: low (.github/fixwright.yml:6)"],
        ),
        (["x.py", "--rule", "python.flask-debug"], ["warns    gate.rules.python.flask-debug: warn (.github/fixwright.yml:4)"]),
        (["x.py", "--severity", "low"], ["warns    gate.block: medium (.github/fixwright.yml:2); gate.warn: low (defaults)"]),
        (["x.py", "--severity", "critical", "--confidence", "low"], ["warns    gate.confidence: medium (defaults)"]),
        (["vendor/x.js"], ["no engine looks at it: paths.exclude.0: vendor/ (.github/fixwright.yml:8)"]),
        (["app/db.py", "--rule", "python.sql-injection"], ["may stand until 2999-12-31: constants only (.github/fixwright.yml:10)"]),
    ],
)
def test_it_is_explained_which_line_decides(
    repo: LocalRepo, capsys: pytest.CaptureFixture[str], arguments: list[str], said: list[str]
) -> None:
    code, out, _ = run(capsys, "explain", "--repo", str(repo.folder), *arguments)
    assert code == 0
    for words in said:
        assert words in out


def test_what_is_explained_is_what_the_gate_does(repo: LocalRepo, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "explain", "--repo", str(repo.folder), "x.py", "--json")
    standings = [(one["severity"], one["standing"]) for one in json.loads(out)["outcomes"]]
    assert standings == [("critical", "blocks"), ("high", "blocks"), ("medium", "blocks"), ("low", "warns")]


@pytest.mark.parametrize(
    "arguments", [["show", "gone"], ["explain", "x", "--repo", "gone"], ["check", "gone.yml"], ["show", "--parent", "gone.yml"]]
)
def test_what_is_not_there_is_a_wrong_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 2 and err.startswith("fixwright: ")


def test_a_broken_file_is_named_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".fixwright.yml").write_text("gate:\n  block: hihg\n")
    code, _, err = run(capsys, "show", str(tmp_path))
    assert code == 2 and ".fixwright.yml:2:3: gate.block" in err
