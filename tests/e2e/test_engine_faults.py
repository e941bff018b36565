"""Engines that are removed, hang, crash or answer garbage: the check ends, is never green, and its title says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from providers.local.record import CheckRecord
from tests.engines import copy_with, needs_engines
from tests.fakes import LineScanner
from tests.harness import Bench, LocalRepo

pytestmark = [needs_engines, pytest.mark.slow]

ENGINES = ("semgrep", "betterleaks")
HANGS = ("hangs", "ignores SIGTERM")
"""Faults that only a time limit ends. It is short for them, and long for all others: a busy machine takes seconds to start a program."""

FAULTS = {
    "missing": (None, "action_required", "is not installed"),
    "hangs": ("sleep 600", "failure", "timed out"),
    "ignores SIGTERM": ("trap '' TERM; while :; do sleep 1; done", "failure", "timed out"),
    "leaves a child that hangs": ("sleep 600 & exit 3", "failure", "crashed"),
    "crashes": ("kill -SEGV $$", "failure", "crashed"),
    "exit code": ("exit 77", "failure", "crashed"),
    "garbage": ("echo '{\"results\": 7'", "failure", "answer"),
    "JSON of another kind": ("echo '[]'; echo '{}'", "failure", ""),
    "nothing": ("exit 0", "failure", ""),
    "invalid UTF-8": ("printf '\\377\\376\\375'", "failure", ""),
    "flood": ("yes garbage", "failure", "more than"),
}
NOTHING_SEEN = {
    "semgrep": 'printf \'{"version":"1","results":[],"errors":[],"paths":{"scanned":[]}}\'',
    "betterleaks": 'printf \'{"scan":{"state":"complete","bytes_scanned":0,"num_findings":0}}\'',
}
"""A well-formed answer of an engine that looked at no file."""


def _check(tmp_path: Path, engine: str, script: str | None, policy: str = "", seconds: str = "60") -> CheckRecord:
    """The check of a change where `engine` is replaced by a script. The other engine answers at once: what it does is another test's."""
    folder = copy_with(tmp_path / "engines", engine, script)
    bench = Bench(tmp_path, environment={"FIXWRIGHT_ENGINES_DIR": str(folder), "FIXWRIGHT_ENGINE_SECONDS": seconds})
    real = bench.app.plugins.scanners
    bench.use(scanners=[one if one.name == engine else LineScanner(kind) for kind, one in real.items()])
    assert [scanner.name for scanner in bench.app.plugins.scanners.values()].count(engine) == 1
    repo = LocalRepo(tmp_path / "work" / "shop")
    repo.commit({"a.py": "x = 1\n"} | ({".fixwright.yml": policy} if policy else {}))
    head = repo.commit({"b.py": "y = 2\n"}, branch="feature")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    bench.close()
    return check


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_engine_is_never_green(tmp_path: Path, engine: str, fault: str) -> None:
    script, conclusion, said = FAULTS[fault]
    check = _check(tmp_path, engine, script, seconds="2" if fault in HANGS else "60")
    assert (check.status, check.conclusion) == ("completed", conclusion)
    assert check.title.startswith("Could not check")
    assert engine in check.title
    assert said in check.title


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_looked_at_nothing_is_no_engine_that_found_nothing(tmp_path: Path, engine: str) -> None:
    check = _check(tmp_path, engine, NOTHING_SEEN[engine])
    assert check.conclusion == "failure"
    assert check.title.startswith("Could not check")
    assert engine in check.title


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("fault", "conclusion"), [("missing", "neutral"), ("crashes", "failure")])
def test_a_policy_that_only_warns_forgives_our_installation_and_not_the_change(
    tmp_path: Path, engine: str, fault: str, conclusion: str
) -> None:
    check = _check(tmp_path, engine, FAULTS[fault][0], policy="on_incomplete: warn\n")
    assert check.conclusion == conclusion
    assert check.title.startswith("Could not check")


def _scan(tmp_path: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FIXWRIGHT_")}
    environment |= {"FIXWRIGHT_ENGINES_DIR": str(folder), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "bot.cli", "scan", *arguments]
    return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=120, check=False)


BREAKS = 'grep -rqs BREAK . && kill -SEGV $$\nexec "$REAL" "$@"'
"""betterleaks is started in the folder of the files that it looks at."""


def test_an_engine_that_breaks_on_a_commit_on_the_way_is_never_green(tmp_path: Path) -> None:
    folder = copy_with(tmp_path / "engines", "betterleaks", BREAKS)
    bench = Bench(tmp_path, environment={"FIXWRIGHT_ENGINES_DIR": str(folder)})
    repo = LocalRepo(tmp_path / "work" / "shop")
    repo.commit({"a.py": "x = 1\n"})
    repo.commit({"b.txt": "BREAK\n"}, branch="feature")
    head = repo.commit({"b.txt": None, "c.txt": "fine\n"})
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    bench.close()
    assert check.conclusion == "failure"
    assert "betterleaks crashed" in check.title
    done = _scan(tmp_path, folder, str(repo.folder), "--base", "main")
    assert done.returncode == 3
    assert b"betterleaks crashed" in done.stdout


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fault", ["missing", "crashes", "nothing"])
def test_a_scan_on_the_command_line_with_a_faulty_engine_is_incomplete(tmp_path: Path, engine: str, fault: str) -> None:
    folder = copy_with(tmp_path / "engines", engine, FAULTS[fault][0])
    place = tmp_path / "plain"
    place.mkdir()
    (place / "a.py").write_text("x = 1\n")
    done = _scan(tmp_path, folder, str(place))
    assert done.returncode == 3
    said = done.stdout.decode()
    assert f"not checked: {engine}" in said
    assert "Not checked: " in said.splitlines()[-1]
    assert (b"fixwright engines install" in done.stderr) == (fault == "missing")
