"""The state folder: what commands say when it cannot be used, and who may look into one that was made."""

from __future__ import annotations

import io
import logging
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli import main


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings but those of the test; the logs and signals that `up` and `worker` take for themselves are given back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for name in ("DATABASE_URL", "REDIS_URL", "FIXWRIGHT_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FIXWRIGHT_PORT", "0")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for number, handler in signals.items():
        signal.signal(number, handler)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    return code, said.out + said.err


COMMANDS = ["status", "queue list", "up", "worker", "doctor gitlab", "gitlab setup", "repositories list", "keys public", "backup {tmp}/b"]


@pytest.mark.parametrize("key", [False, True], ids=["no key", "own key"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_cannot_be_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, key: bool
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "file" / "state"))
    if key:
        monkeypatch.setenv("FIXWRIGHT_SECRET_KEY", "A" * 43 + "=")
    code, said = run(capsys, *command.format(tmp=tmp_path).split())
    assert code == 2
    assert f"fixwright: the state folder {tmp_path / 'file' / 'state'} cannot be used: Not a directory\n" in said
    assert "set FIXWRIGHT_STATE_DIR" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_folder_of_others_is_named_with_who_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(state))
    try:
        for command in ("status", "queue list", "doctor gitlab"):
            code, said = run(capsys, *command.split())
            assert (code, "cannot be used: Permission denied" in said, "this is " in said) == (2, True, True)
    finally:
        state.chmod(0o700)


def test_the_doctor_goes_on_with_what_needs_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(tmp_path / "engines"))
    code, said = run(capsys, "doctor")
    assert code == 3
    assert f"!! state folder                             the state folder {tmp_path / 'file'} cannot be used: Not a directory" in said
    assert "sandbox" in said


@pytest.mark.parametrize("command", ["doctor gitlab", "gitlab setup", "github setup-link", "keys public"])
def test_whichever_command_makes_it_makes_it_for_us_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    state = tmp_path / "above" / "state"
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(state))
    monkeypatch.setenv("FIXWRIGHT_ENGINES_DIR", str(tmp_path / "engines"))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    before = os.umask(0o022)
    try:
        run(capsys, *command.split())
    finally:
        os.umask(before)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


LOOKS = ["queue list", "queue retry all", "queue drop all", "repositories list", "findings list octo/shop", "organizations list"]
LOOKS += [
    "gitlab connect acme",
    "gitlab disconnect acme",
    "gitlab rotate",
    "gitlab instances",
    "github remove acme",
    "status",
    "status --json",
    "backup {tmp}/b",
]


@pytest.mark.parametrize("command", LOOKS)
def test_who_looks_into_the_wrong_folder_is_told_so_and_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    state = tmp_path / "state"
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(state))
    code, said = run(capsys, *command.format(tmp=tmp_path).split())
    assert (code, said.splitlines()[0]) == (2, f"fixwright: there is no database in the state folder {state}")
    assert "FIXWRIGHT_STATE_DIR" in said.splitlines()[1]
    assert not state.exists()


def test_an_empty_database_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fixwright.db").touch(mode=0o600)
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path))
    for command in ("queue list", "gitlab instances"):
        code, said = run(capsys, *command.split())
        assert (code, "there is no database in the state folder" in said) == (2, True)


def test_the_doctor_of_a_host_says_that_it_began_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIXWRIGHT_STATE_DIR", str(tmp_path / "state"))
    code, said = run(capsys, "doctor", "gitlab")
    assert (code, said.count(f"there was none in {tmp_path / 'state'}")) == (3, 1)
    code, said = run(capsys, "doctor", "gitlab")
    assert (code, "there was none" in said) == (3, False)
