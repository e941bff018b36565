"""Beside what a team runs already, with the real engines: results of other scanners are proven, what those let stand is waived."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from bot.cli import main
from tests.engines import INSTALLED, needs_engines
from tests.harness import LocalRepo
from tests.unit.test_foreign import result, run

pytestmark = needs_engines

APP = b"""import sqlite3

import yaml
from flask import request


def find(db: sqlite3.Connection) -> object:
    name = request.args["name"]
    query = "select * from members where name = '" + name + "'"
    return db.execute(query)


def load() -> object:
    return yaml.load(request.data)
"""


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("FIXWRIGHT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(INSTALLED))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")


def cli(*words: str | Path) -> int:
    return main([str(word) for word in words])


def test_a_result_of_another_scanner_is_mended_proven_and_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository = LocalRepo(tmp_path / "repository")
    repository.commit({"app.py": APP})
    other = tmp_path / "other.sarif"
    shell = {"id": "X1", "properties": {"tags": ["external/cwe/cwe-78"]}}
    other.write_text(json.dumps({"version": "2.1.0", "runs": [
        run(result("/builds/shop/app.py", 9), name="CodeQL"), run(result("/builds/shop/app.py", 4, ruleId="X1"), rules=[shell], name="Odd"),
    ]}), "utf-8")  # fmt: skip
    patch, receipt = tmp_path / "fix.diff", tmp_path / "receipt.json"

    cli("fix", repository.folder, "--finding", "app.py:10", "--sarif", other, "--patch", patch)
    told = capsys.readouterr().err
    assert "app.py:10  python.sql-injection  re-scanned (re-scan not possible: CodeQL cannot be run here)" in told

    assert cli("prove", patch, "--repo", repository.folder, "--finding", "app.py:9", "--sarif", other, "--receipt", receipt) == 0
    said = capsys.readouterr().out
    assert "--  other scanners: re-scan not possible: CodeQL cannot be run here" in said
    assert receipt.exists()

    assert cli("prove", patch, "--repo", repository.folder, "--finding", "app.py:4", "--sarif", other) == 3
    assert "could not check: only Odd X1 sees something there, and no engine here does: re-scan not possible" in capsys.readouterr().out


def test_what_others_let_stand_is_waived_and_found_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "vendor").mkdir()
    (folder / "app.py").write_bytes(APP.replace(b"db.execute(query)", b"db.execute(query)  # nosec B608 -- a tool of ours"))
    (folder / "vendor" / "other.py").write_bytes(APP)
    (folder / ".semgrepignore").write_text("vendor/\n", "utf-8")
    (folder / ".trivyignore").write_text("CVE-2021-44228\n", "utf-8")
    before = found(folder, capsys)

    assert cli("migrate", folder) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert found(folder, capsys) == before
    assert cli("migrate", folder, "--apply") == 0
    table = capsys.readouterr().out
    assert "app.py:10  python.sql-injection  from app.py:10  # nosec B608 -- a tool of ours" in table
    assert "not taken  .trivyignore:1  CVE-2021-44228: is about a package" in table

    after = found(folder, capsys)
    assert after.keys() == before.keys()
    waived = {place: standing for place, standing in after.items() if standing != before[place]}
    assert waived == {
        ("app.py", 10, "python.sql-injection"): "imported from app.py:10: a tool of ours",
        **{place: "imported from .semgrepignore:1" for place in before if place[0] == "vendor/other.py"},
    }
    assert cli("migrate", folder, "--apply") == 0
    assert capsys.readouterr().out.endswith("0 waivers out of 3 entries in 3 files\n")


def found(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, int, str], str]:
    """Every finding, and why it may stand."""
    cli("scan", folder, "--format", "json")
    findings = json.loads(capsys.readouterr().out)["findings"]
    return {
        (f["location"]["path"], f["location"]["line"], f["rule"]["id"]): f["suppression"]["reason"] if f["suppression"] else ""
        for f in findings
    }
