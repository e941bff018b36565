"""The commands that need no server: exit codes, outputs, and what a hostile folder cannot make them do."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import jsonschema_rs
import pytest

from bot.cli import main
from bot.settings import VARIABLES
from tests.engines import needs_engines
from tests.harness import LocalRepo, git

pytestmark = pytest.mark.slow

_KEY = "AKIA" + "Q3EGZ7WJ" + "T5LX2K7M"
INJECTION = """import sqlite3


def find(connection: sqlite3.Connection, request):
    name = request.args["name"]
    return connection.execute(f"SELECT id FROM members WHERE name = '{name}'").fetchall()
"""
DEBUG = """from flask import Flask

app = Flask(__name__)

if __name__ == "__main__":
    app.run(debug=True)
"""
SECRET = f'AWS_ACCESS_KEY_ID = "{_KEY}"\n'
GOOD = "def add(a, b):\n    return a + b\n"
SCHEMA = Path(__file__).parents[1] / "schemas" / "sarif-schema-2.1.0.json"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests, but for where the engines are."""
    for name in [*os.environ]:
        if (name.startswith("FIXWRIGHT_") and name != "FIXWRIGHT_ENGINES_DIR") or name in ("REDIS_URL", "DATABASE_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))


def _folder(tmp_path: Path, files: Mapping[str, str]) -> Path:
    folder = tmp_path / "folder"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    folder.mkdir(exist_ok=True)
    return folder


def _repository(tmp_path: Path, files: Mapping[str, str]) -> LocalRepo:
    repo = LocalRepo(tmp_path / "repository")
    repo.commit(dict(files), "first")
    return repo


def _scan(*arguments: str | Path) -> int:
    return main(["scan", *map(str, arguments)])


def _found(folder: Path, *arguments: str) -> tuple[int, list[tuple[str, str]]]:
    """Exit code of a scan, and path and severity of each finding."""
    place = folder.parent / "report.json"
    code = _scan(folder, "--format", "json", "--output", place, *arguments)
    return code, [(one["location"]["path"], one["rule"]["severity"]) for one in json.loads(place.read_bytes())["findings"]]


# --- scan -----------------------------------------------------------------------------------------------------------------------------


@needs_engines
@pytest.mark.parametrize("width", [4, 10])
def test_no_line_of_code_shows_a_secret_of_its_own_or_half_of_it(tmp_path: Path, width: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A line is flagged for what it does, and has a secret in it, too; where a terminal cuts it, what is left of the value is none."""
    token = "ghp_" + "A7fK2mQ9xT4vL1nR8sW3yB6dH5jC0eZp2Uq1"
    query = f"SELECT id FROM members WHERE {'a' * width} key = '{token}' AND name = '{{name}}'"
    code = f"def find(connection, request):\n    name = request.args['name']\n    return connection.execute(f\"{query}\").fetchall()\n"
    folder = _folder(tmp_path, {"app.py": code})
    for form in ("text", "json", "sarif", "markdown"):
        assert _scan(folder, "--format", form) == 1
        said = capsys.readouterr().out
        assert "sql-injection" in said or "becomes SQL" in said
        assert token[:8] not in said


@needs_engines
def test_a_clean_folder_is_0(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _scan(_folder(tmp_path, {"a.py": GOOD})) == 0
    shown = capsysbinary.readouterr()
    assert shown.out.startswith(b"no findings")
    assert shown.err == b""


@needs_engines
def test_a_folder_without_git_with_findings_is_1(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _scan(_folder(tmp_path, {"app/db.py": INJECTION, "keys.py": SECRET})) == 1
    shown = capsysbinary.readouterr().out.decode()
    assert "app/db.py:6:" in shown
    assert "keys.py:1:" in shown
    assert _KEY not in shown


@needs_engines
@pytest.mark.parametrize("with_git", [False, True])
def test_nothing_to_scan_is_0(tmp_path: Path, with_git: bool) -> None:
    folder = _folder(tmp_path, {})
    if with_git:
        git(folder, "init", "--quiet")
    assert _scan(folder) == 0


def test_a_repository_without_commits_has_no_base(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    folder = _folder(tmp_path, {"a.py": GOOD})
    git(folder, "init", "--quiet")
    assert _scan(folder, "--base", "main") == 2
    assert capsysbinary.readouterr().err.startswith(b"fixwright: ")


WRONG = {
    "no folder": ["{}/nowhere"],
    "a file": ["{}/folder/a.py"],
    "no such type": ["{}/folder", "--type", "sbom"],
    "a type of a later version": ["{}/folder", "--type", "dast_scan"],
    "no such severity": ["{}/folder", "--fail-on", "severe"],
    "a base without git": ["{}/folder", "--base", "main"],
    "a place that cannot be written": ["{}/folder", "--type", "secrets_scan", "--output", "{}/nowhere/report"],
}


@needs_engines
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_call_is_2_and_one_clear_line(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], what: str) -> None:
    _folder(tmp_path, {"a.py": GOOD})
    assert _scan(*(word.format(tmp_path) for word in WRONG[what])) == 2
    shown = capsysbinary.readouterr()
    assert shown.err.startswith(b"fixwright: ")
    assert shown.err.count(b"\n") <= 2


def test_a_wrong_policy_is_2_and_names_file_and_line(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _scan(_folder(tmp_path, {".fixwright.yml": "gate:\n  block: hihg\n"})) == 2
    assert capsysbinary.readouterr().err.startswith(b"fixwright: .fixwright.yml:2: gate.block: ")


@pytest.mark.parametrize("arguments", [[], ["scan"], ["scan", ".", "--format", "html"], ["fly"], ["fix", ".", "--apply", "--patch", "x"]])
def test_what_is_no_command_is_2(arguments: list[str], capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert b"usage: fixwright" in capsysbinary.readouterr().err


@pytest.mark.parametrize("command", ["scan", "fix", "engines", "doctor"])
def test_without_engines_it_is_3_and_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], command: str
) -> None:
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(tmp_path / "none"))
    folder = _folder(tmp_path, {"a.py": GOOD})
    assert main({"engines": ["engines", "status"], "doctor": ["doctor"]}.get(command, [command, str(folder)])) == 3
    shown = capsysbinary.readouterr()
    assert b"fixwright engines install" in shown.out + shown.err
    assert b"semgrep is not installed here" in shown.out + shown.err or command == "fix"


@needs_engines
def test_the_threshold_decides_between_0_and_1(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {"app.py": DEBUG})
    assert _found(folder) == (1, [("app.py", "high")])
    assert [_scan(folder, "--fail-on", severity) for severity in ("low", "medium", "high", "critical")] == [1, 1, 1, 0]
    assert _scan(folder, "--type", "secrets_scan") == 0


@needs_engines
def test_sarif_is_valid_and_goes_to_the_file(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    folder = _folder(tmp_path, {"app/db.py": INJECTION, "keys.py": SECRET, "d\nb.py": INJECTION})
    place = tmp_path / "report.sarif"
    assert _scan(folder, "--format", "sarif", "--output", place) == 1
    assert capsysbinary.readouterr().out == b""
    document = json.loads(place.read_bytes())
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_bytes())).validate(document)
    results = document["runs"][0]["results"]
    uris = sorted(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results)
    assert uris == ["app/db.py", "d%0Ab.py", "keys.py"]
    assert _KEY not in place.read_text()


@needs_engines
def test_against_a_base_only_what_is_new_counts(tmp_path: Path) -> None:
    repo = _repository(tmp_path, {"app/db.py": INJECTION})
    assert _scan(repo.folder) == 1
    assert _found(repo.folder, "--base", "main") == (0, [])
    (repo.folder / "keys.py").write_text(SECRET)
    code, found = _found(repo.folder, "--base", "main")
    assert code == 1
    assert [path for path, _ in found] == ["keys.py"]


@needs_engines
def test_a_built_file_counts_in_a_change_and_hardly_in_a_list_of_everything(tmp_path: Path) -> None:
    repo = _repository(tmp_path, {"app.py": GOOD})
    weak = "const { exec } = require('child_process')\napp.get('/', (req, res) => { exec('ls ' + req.query.d) })"
    (repo.folder / "app.min.js").write_text(weak + ";var a=1" * 200)
    assert _found(repo.folder, "--base", "main") == (1, [("app.min.js", "high")])
    assert _found(repo.folder) == (0, [("app.min.js", "high")])


@needs_engines
def test_a_secret_that_was_added_and_removed_again_is_found(tmp_path: Path) -> None:
    repo = _repository(tmp_path, {"a.py": GOOD})
    repo.commit({"keys.py": SECRET}, branch="feature")
    repo.commit({"keys.py": None})
    assert _scan(repo.folder, "--base", "main") == 1
    assert _scan(repo.folder) == 0


@needs_engines
def test_a_reader_that_goes_away_changes_no_answer(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {f"f{n}/db.py": INJECTION for n in range(20)})
    command = [sys.executable, "-m", "bot.cli", "scan", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(120) == 1
    assert said == b""


# --- fix ------------------------------------------------------------------------------------------------------------------------------


@needs_engines
def test_git_takes_the_patch_and_then_the_finding_is_gone(tmp_path: Path) -> None:
    repo = _repository(tmp_path, {"app/db.py": INJECTION, "a.py": GOOD})
    patch = tmp_path / "fix.patch"
    assert main(["fix", str(repo.folder), "--patch", str(patch)]) == 0
    assert git(repo.folder, "status", "--porcelain") == ""
    git(repo.folder, "apply", "--check", str(patch))
    git(repo.folder, "apply", str(patch))
    assert git(repo.folder, "status", "--porcelain") == "M app/db.py"
    assert _scan(repo.folder) == 0


@needs_engines
def test_the_patch_goes_to_stdout_and_everything_else_to_stderr(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    folder = _folder(tmp_path, {"app/db.py": INJECTION})
    before = (folder / "app/db.py").read_bytes()
    assert main(["fix", str(folder)]) == 0
    shown = capsysbinary.readouterr()
    assert shown.out.startswith(b"diff --git a/app/db.py b/app/db.py\n")
    assert b"1 of 1 mended" in shown.err
    assert (folder / "app/db.py").read_bytes() == before


@needs_engines
@pytest.mark.parametrize("inside", ["", "app"])
def test_applied_fixes_leave_nothing_to_find(tmp_path: Path, inside: str) -> None:
    repo = _repository(tmp_path, {"app/db.py": INJECTION, "app/run.py": DEBUG})
    (repo.folder / "app" / "run.py").chmod(0o755)
    assert main(["fix", str(repo.folder / inside), "--apply"]) == 0
    assert _scan(repo.folder) == 0
    assert _found(repo.folder) == (0, [])
    assert stat.S_IMODE((repo.folder / "app" / "run.py").stat().st_mode) == 0o755


@needs_engines
def test_only_the_finding_that_is_named_is_mended(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {"db.py": INJECTION, "run.py": DEBUG})
    assert main(["fix", str(folder), "--apply", "--finding", "db.py:6"]) == 0
    assert _found(folder) == (1, [("run.py", "high")])
    assert (folder / "run.py").read_text() == DEBUG


@needs_engines
def test_what_is_only_a_guess_is_mended_when_it_is_named(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    folder = _folder(tmp_path, {"tests/test_db.py": INJECTION, "run.py": DEBUG})
    assert main(["fix", str(folder), "--apply"]) == 0
    assert b"1 of 1 mended; 1 of low confidence left alone, name one with --finding to have it mended" in capsysbinary.readouterr().err
    assert (folder / "tests/test_db.py").read_text() == INJECTION
    assert main(["fix", str(folder)]) == 1
    assert b"nothing to mend; 1 of low confidence left alone" in capsysbinary.readouterr().err
    assert main(["fix", str(folder), "--apply", "--finding", "tests/test_db.py:6"]) == 0
    assert (folder / "tests/test_db.py").read_text() != INJECTION


@needs_engines
def test_a_finding_that_is_not_there_is_named(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    folder = _folder(tmp_path, {"db.py": INJECTION})
    assert main(["fix", str(folder), "--finding", "db.py:1"]) in (2, 3)
    assert b"db.py:6" in capsysbinary.readouterr().err
    assert main(["fix", str(folder), "--finding", "ZZZ"]) == 2
    assert b" at db.py:6" in capsysbinary.readouterr().err


@needs_engines
def test_a_folder_in_which_nothing_can_be_looked_at_is_not_said_to_be_well(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = _folder(tmp_path, {})
    assert main(["fix", str(folder)]) == 0
    assert b"there is no file in " in capsysbinary.readouterr().err


# --- doctor, engines, local -----------------------------------------------------------------------------------------------------------


@needs_engines
def test_doctor_names_every_setting_and_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("FIXWRIGHT_LOCAL_WEBHOOK_SECRET", "a secret of this test")
    assert main(["doctor"]) in (0, 3)  # 3 where the sandbox has limits only
    shown = capsysbinary.readouterr().out.decode()
    for name in (*(variable.name for variable in VARIABLES), "FIXWRIGHT_GITHUB_APP_ID", "FIXWRIGHT_LOCAL_WEBHOOK_SECRET"):
        assert name in shown
    assert "a secret of this test" not in shown
    assert "found what it should, inside the sandbox" in shown
    assert not (tmp_path / "state" / "fixwright.db").exists()


@needs_engines
def test_engines_status_is_0_when_they_work(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["engines", "status"]) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in lines] == [("semgrep", "works"), ("betterleaks", "works")]


def test_local_needs_a_secret_and_says_how_to_make_one(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    repo = _repository(tmp_path, {"a.py": GOOD})
    assert main(["local", "connect", str(repo.folder)]) == 2
    assert b"export FIXWRIGHT_LOCAL_WEBHOOK_SECRET=" in capsysbinary.readouterr().err
    assert not (repo.folder / ".git" / "fixwright.json").exists()


def test_local_connects_once_and_spares_a_hook_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("FIXWRIGHT_LOCAL_WEBHOOK_SECRET", "a secret of this test")
    repo = _repository(tmp_path, {"a.py": GOOD})
    assert [main(["local", "connect", str(repo.folder)]) for _ in range(2)] == [0, 0]
    assert stat.S_IMODE((repo.folder / ".git" / "fixwright.json").stat().st_mode) == 0o600
    assert main(["local", "show", str(repo.folder)]) == 0
    assert capsysbinary.readouterr().out.endswith(b"no pull requests yet\n")
    assert main(["local", "comment", str(repo.folder), "7", "/fix"]) == 2
    hook = repo.folder / ".git" / "hooks" / "post-receive"
    hook.write_text("#!/bin/sh\nexit 0\n")
    assert main(["local", "connect", str(repo.folder)]) == 2
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"


# --- a hostile repository -------------------------------------------------------------------------------------------------------------

_PROGRAMS = (
    "core.fsmonitor",
    "core.sshCommand",
    "core.gitProxy",
    "core.askPass",
    "core.editor",
    "core.pager",
    "diff.external",
    "diff.evil.textconv",
    "diff.evil.command",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "merge.evil.driver",
    "gpg.program",
    "credential.helper",
    "uploadpack.packObjectsHook",
    "alias.diff",
    "alias.ls-files",
    "alias.cat-file",
    "alias.rev-parse",
)
_HOOKS = ("post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc", "fsmonitor-watchman", "pre-commit")


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[LocalRepo, Path]:
    """A repository whose configuration names a program in every place where git starts one, and the mark that it would leave."""
    mark = tmp_path / "executed"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    repo = _repository(tmp_path, {"a.py": GOOD, ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    repo.commit({"app/db.py": INJECTION}, branch="feature")
    hooks = repo.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in _HOOKS:
        (hooks / hook).symlink_to(program)
    git_dir = repo.folder / ".git"
    with (git_dir / "config").open("a") as file:
        for key in _PROGRAMS:
            *section, name = key.split(".")
            head = section[0] if len(section) == 1 else f'{section[0]} "{section[1]}"'
            value = f"!{program}" if section[0] in ("alias", "credential") else str(program)
            file.write(f"[{head}]\n\t{name} = {value}\n")
        file.write(f"[core]\n\thooksPath = {hooks}\n\trepositoryformatversion = 1\n")
        # What is missing would be fetched by a program from here.
        file.write(f'[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\turl = ext::{program} %S\n\tpromisor = true\n')
        file.write('[protocol]\n\tallow = always\n[protocol "ext"]\n\tallow = always\n')
    (repo.folder / "app" / "db.py").write_text(INJECTION + "\n")
    return repo, mark


@needs_engines
@pytest.mark.parametrize("arguments", [["scan", "{}"], ["scan", "{}", "--base", "main"], ["fix", "{}", "--apply"]], ids=" ".join)
def test_nothing_that_the_repository_names_is_started(hostile: tuple[LocalRepo, Path], arguments: list[str]) -> None:
    repo, mark = hostile
    code = main([word.format(repo.folder) for word in arguments])
    assert not mark.exists()
    assert code == (0 if arguments[0] == "fix" else 1)


@needs_engines
def test_what_is_missing_in_a_repository_is_not_fetched_by_its_program(hostile: tuple[LocalRepo, Path]) -> None:
    repo, mark = hostile
    for path in (repo.folder / ".git" / "objects").glob("??/*"):
        if path.stat().st_size and _kind(path) == b"blob":
            path.unlink()
    code = _scan(repo.folder, "--base", "main")
    assert not mark.exists()
    assert code != 0


def _kind(path: Path) -> bytes:
    return zlib.decompressobj().decompress(path.read_bytes(), 16).split(b" ")[0]
