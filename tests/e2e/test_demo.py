"""What the README promises first: the demo runs to its end on every host, twice is once, and no secret is left anywhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.demo import content
from bot.settings import engines_dir
from tests.engines import needs_engines

pytestmark = [needs_engines, pytest.mark.engines, pytest.mark.slow]

KEY = content.CHANGE["config/backup.py"].split('"')[-2]
PASSWORD = content.MAIN["config/legacy.ini"].split()[-1]
FILES = ("check.json", "threads.json", "patch.diff", "receipt.json")


@dataclass
class Played:
    """One or two runs of the story in one folder."""

    host: str
    folder: Path
    said: list[str]
    codes: list[int]

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_bytes())


def play(host: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """The story in a process of its own, as `make demo` runs it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_") and k not in ("REDIS_URL", "DATABASE_URL")}
    environment = {**kept, "FIXWRIGHT_ENGINES_DIR": str(engines_dir())}
    local = [sys.executable, "-m", "bot.cli", "demo", "--folder", str(folder)]
    double = [sys.executable, "-c", _DOUBLE, host, f"{host.title()}Demo", str(folder)]
    return subprocess.run(local if host == "local" else double, env=environment, capture_output=True, timeout=280, check=False)


_DOUBLE = """
import importlib, sys
from pathlib import Path
from bot.cli.demo import tell
_, host, name, where = sys.argv
folder = Path(where)
sys.exit(tell(getattr(importlib.import_module(f"tests.worlds.{host}.demo"), name)(folder), folder))
"""
WORDS = {"local": "pull request", "github": "pull request", "gitlab": "merge request"}


@pytest.fixture(scope="module", params=["local", "github", "gitlab"])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The local one twice: a second run finds what the first left. The doubles forget, so theirs is told once."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    runs = [play(request.param, folder) for _ in range(2 if request.param == "local" else 1)]
    said = [f"{done.stdout.decode()}\n{done.stderr.decode()}" for done in runs]
    return Played(request.param, folder, said, [done.returncode for done in runs])


def test_it_ends_well_and_nothing_is_there_twice(played: Played) -> None:
    assert played.codes == [0] * len(played.codes), played.said[-1]
    for said in played.said:
        assert f"checks 1, threads 2, fix {WORDS[played.host]}s 1" in said
        assert "Traceback" not in said


def test_it_leaves_what_it_promises(played: Played) -> None:
    assert (played.folder / "repository" / ".git").is_dir()
    assert all((played.folder / name).stat().st_size > 0 for name in FILES)
    check = played.read("check.json")
    assert (check["status"], check["conclusion"]) == ("completed", "failure")
    assert sorted(thread["path"] for thread in played.read("threads.json")) == ["config/backup.py", "members/web.py"]
    receipt = played.read("receipt.json")
    assert receipt["payloadType"] == "application/vnd.in-toto+json"
    assert receipt["signatures"]


def test_the_patch_applies_to_the_change_and_mends_the_injection(played: Played, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    repository = played.folder / "repository"
    run("git", "-c", "safe.directory=*", "clone", "--quiet", "--branch", content.BRANCH, str(repository), str(clone))
    run("git", "-C", str(clone), "apply", "--index", str(played.folder / "patch.diff"))
    changed = run("git", "-C", str(clone), "diff", "--cached", "--name-only").split()
    assert changed == ["members/web.py"]
    mended = (clone / "members" / "web.py").read_text()
    assert "WHERE name = '{name}'" not in mended
    tests = subprocess.run([sys.executable, "-m", "unittest", "-q"], cwd=clone, capture_output=True, timeout=60, check=False)
    assert tests.returncode == 0, tests.stderr.decode()


def test_no_process_is_left(played: Played) -> None:
    assert processes_of(played.folder) == []


@pytest.mark.parametrize("value", [KEY, PASSWORD], ids=["the key of the change", "the password of the base"])
def test_no_secret_is_left_but_in_the_repository_itself(played: Played, value: str) -> None:
    """Everything that Fixwright wrote: its database with journals, the queue's file, its log, its answers. Git objects are compressed."""
    assert len(value) >= 15
    searched = list(written_by_us(played.folder))
    names = {path.name for path in searched}
    assert {"fixwright.log", "fixwright.db", *FILES} <= names
    assert any(name.endswith(".aof") for name in names)
    assert [str(path) for path in searched if value.encode() in path.read_bytes()] == []
    assert all(value not in said for said in played.said)


def test_no_credential_of_the_host_is_left(played: Played) -> None:
    """Installation tokens (`ghs_...`), access tokens (`glpat-...`), authorization headers, and the App's key outside of its file."""
    for path in written_by_us(played.folder):
        held = path.read_bytes()
        assert not re.search(
            rb"ghs_[0-9A-Za-z]{4}|glpat-[0-9A-Za-z]{4}|whsec_[0-9A-Za-z]{4}|authorization: |x-access-token|private-token: ",
            held,
            re.IGNORECASE,
        ), path
        assert path.suffix == ".pem" or b"PRIVATE KEY-----" not in held, path


def test_the_search_would_find_one(played: Played, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "fixwright.db-wal").write_bytes(b"\0\1" + KEY.encode() + b"\0")
    assert [path.name for path in written_by_us(folder) if KEY.encode() in path.read_bytes()] == ["fixwright.db-wal"]
    here = (played.folder / "repository" / "config" / "backup.py").read_bytes()
    assert KEY.encode() in here


def run(*command: str) -> str:
    """A program's output; it must succeed."""
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()


def written_by_us(folder: Path) -> Iterator[Path]:
    """Regular files of ours: all but the people's own repository, its server, and the double."""
    for path in sorted(folder.rglob("*")):
        if (
            path.relative_to(folder).parts[0] not in ("repository", "server", "github", "gitlab")
            and path.is_file()
            and not path.is_symlink()
        ):
            yield path


def processes_of(folder: Path) -> list[str]:
    """Commands of processes that have this folder in their arguments or environment."""
    mark, left = str(folder).encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if mark in command or mark in (entry / "environ").read_bytes():
                left.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return left
