"""`fixwright scan --format`: one scan, as many documents as are asked for, each where it is asked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bot.cli import main
from tests.harness import LocalRepo


@pytest.fixture(autouse=True)
def no_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests, and no engines: a scan is over at once, and could check nothing."""
    for name in [*os.environ]:
        if name.startswith("FIXWRIGHT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(tmp_path / "no-engines"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    (made / "a.py").write_text("x = 1\n", "utf-8")
    return made


def scan(*arguments: str | Path) -> int:
    return main(["scan", *map(str, arguments)])


def test_several_formats_are_files_of_one_scan_and_one_goes_to_the_terminal(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / f"{name}.json" for name in ("codequality", "gitlab-sast", "gitlab-secrets", "sarif")}
    code = scan(folder, "--format", "text", *(word for name, file in files.items() for word in ("--format", f"{name}={file}")))
    assert code == 3
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("no findings (no base, every file). Not checked: ")
    made = {name: json.loads(file.read_bytes()) for name, file in files.items()}
    assert {entry["check_name"] for entry in made["codequality"]} == {"fixwright.not-checked"}
    for name in ("gitlab-sast", "gitlab-secrets"):
        assert made[name]["scan"]["status"] == "failure"
        assert [message["level"] for message in made[name]["scan"]["messages"]] == ["fatal"]
    assert made["sarif"]["runs"][0]["invocations"][0]["executionSuccessful"] is False


def test_formats_that_all_have_files_leave_the_terminal_alone(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scan(folder, "--format", f"json={tmp_path / 'a=b.json'}") == 3
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "a=b.json").read_bytes())["complete"] is False


@pytest.mark.parametrize("formats", [[], ["--format", "json"], ["--format", "json", "--format", "text=/dev/null"]])
def test_output_is_the_place_of_the_one_without_a_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], formats: list[str]
) -> None:
    place = tmp_path / "report"
    assert scan(folder, *formats, "--output", place) == 3
    assert capsys.readouterr().out == ""
    begins = b"{" if formats else b"not checked: "
    assert place.read_bytes().startswith(begins)


def test_the_times_of_a_security_report_are_those_of_the_run_and_its_commit_the_checked_out_one(tmp_path: Path) -> None:
    repo = LocalRepo(tmp_path / "repository")
    head = repo.commit({"a.py": "x = 1\n"})
    place = tmp_path / "report.json"
    assert scan(repo.folder, "--format", f"gitlab-sast={place}", "--format", f"json={tmp_path / 'other.json'}") == 3
    run = json.loads(place.read_bytes())["scan"]
    assert "2026-01-01" < run["start_time"] <= run["end_time"]
    assert json.loads((tmp_path / "other.json").read_bytes())["head"] == head


WRONG = {
    "two without a file": (["--format", "json", "--format", "sarif"], "json and sarif cannot both go to one place"),
    "nothing for --output": (["--format", "json=x.json", "--output", "y.json"], "--output has nothing to write"),
    "one file for two": (["--format", "json=x.json", "--format", "sarif=x.json"], "two formats cannot both go to"),
    "a whole repository for anybody": (["--public"], "--public needs --base"),
    "one file for --output and another": (["--format", "json", "--output", "x", "--format", "sarif=x"], "two formats cannot both go to"),
}


@pytest.mark.parametrize("what", WRONG)
def test_formats_that_would_write_over_each_other_are_refused_before_the_scan(
    folder: Path, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    arguments, said = WRONG[what]
    assert scan(folder, *arguments) == 2
    assert said in capsys.readouterr().err
    assert [file.name for file in folder.iterdir()] == ["a.py"]


@pytest.mark.parametrize("given", ["html", "html=x", "json=", "=x", ""])
def test_a_format_that_does_not_exist_is_named_with_those_that_do(folder: Path, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        scan(folder, "--format", given)
    assert ended.value.code == 2
    assert "is none of text, json, sarif, markdown, codequality, gitlab-sast, gitlab-secrets" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scan(folder, "--format", f"sarif={tmp_path / 'nowhere' / 'x'}") == 2
    assert "nowhere/x cannot be written" in capsys.readouterr().err
