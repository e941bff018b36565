"""`fixwright scan --sarif`: what another scanner found, beside ours."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from tests.harness import LocalRepo, git
from tests.unit.test_foreign import result, run

CODE = b"def find(db, name):\n    query = 'select ' + name\n    return db.execute(query)\n"


@pytest.fixture(autouse=True)
def no_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine of ours: what is told is the other scanner's."""
    for name in [*os.environ]:
        if name.startswith("FIXWRIGHT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(tmp_path / "no-engines"))


@pytest.fixture
def repository(tmp_path: Path) -> LocalRepo:
    made = LocalRepo(tmp_path / "repository")
    made.commit({"app/db.py": CODE})
    return made


def written(tmp_path: Path, *runs: dict[str, Any]) -> Path:
    file = tmp_path / "other.sarif"
    file.write_text(json.dumps({"version": "2.1.0", "runs": list(runs)}), "utf-8")
    return file


def tip(repository: LocalRepo) -> str:
    return git(repository.folder, "rev-parse", "HEAD").strip()


def scan(*arguments: str | Path) -> int:
    return main(["scan", *map(str, arguments)])


def test_findings_of_another_scanner_are_told_under_its_name(
    repository: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, run(result(line=2, level="error")))
    assert scan(repository.folder, "--sarif", file) == 1
    assert "app/db.py:2:1  blocks  Bandit: hardcoded sql expressions" in capsys.readouterr().out
    assert scan(repository.folder, "--sarif", file, "--format", "json") == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert (found["rule"]["id"], found["rule"]["cwe"], found["engine"], found["witnesses"]) == ("sarif.bandit.b608", 89, "Bandit", [])


def test_against_a_base_only_what_stands_on_added_lines_is_new(
    repository: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tip(repository)
    repository.commit({"app/db.py": CODE + b"\ndef other(db, name):\n    return db.execute('delete ' + name)\n"})
    file = written(tmp_path, run(result(line=2), result(line=6)))
    scan(repository.folder, "--base", base, "--sarif", file)
    said = capsys.readouterr().out
    assert "app/db.py:6:1" in said and "app/db.py:2:1" not in said
    assert "1 older" in said


def test_a_file_of_another_commit_is_refused_whole(repository: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = [{"repositoryUri": "https://example.org/x", "revisionId": tip(repository)}]
    other = [{"repositoryUri": "https://example.org/x", "revisionId": "0123456789abcdef"}]
    assert scan(repository.folder, "--sarif", written(tmp_path, run(result(line=2), versionControlProvenance=mine))) != 2
    capsys.readouterr()
    both = written(tmp_path, run(result(line=2)), run(result(line=2), versionControlProvenance=other))
    assert scan(repository.folder, "--sarif", both) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "other.sarif is of commit 0123456" in said.err


@pytest.mark.parametrize("where", ["lib/x.py", "/usr/lib/x.py"])
def test_a_file_of_another_repository_is_refused_whole(
    repository: LocalRepo, tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan(repository.folder, "--sarif", written(tmp_path, run(result(where), result(where)))) == 2
    assert "2 results, and none has its place here" in capsys.readouterr().err


def test_a_file_of_200_mb_is_refused_before_it_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "large.sarif"
    with file.open("wb") as opened:
        opened.truncate(200 * 1024 * 1024)
    assert scan(tmp_path, "--sarif", file) == 2
    assert "large.sarif is larger than 50 MB" in capsys.readouterr().err
    assert scan(tmp_path, "--sarif", tmp_path / "none.sarif") == 2
    assert "cannot be read" in capsys.readouterr().err


def test_results_that_do_not_fit_are_counted_and_make_the_scan_incomplete(
    repository: LocalRepo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, run(result(line=2, level="note"), result(line=77), result(line=78), result("gone.py")))
    assert scan(repository.folder, "--sarif", file) == 3
    said = capsys.readouterr().out
    assert "app/db.py (2 results of Bandit not taken: the file has 3 lines" in said
    assert "1 result of Bandit not taken: no such file here" in said
