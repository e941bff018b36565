"""Engines that are removed, hang, crash or answer garbage: the check ends, is never green, and its title says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines import copy_with, needs_engines
from tests.harness import Bench, LocalRepo

pytestmark = [needs_engines, pytest.mark.slow]

FAULTS = {
    "missing": (None, "action_required", "not installed"),
    "hangs": ("sleep 600", "failure", "timed out"),
    "ignores SIGTERM": ("trap '' TERM; while :; do sleep 1; done", "failure", "timed out"),
    "crashes": ("kill -SEGV $$", "failure", "crashed"),
    "exit code": ("exit 77", "failure", ""),
    "garbage": ("echo '{\"results\": 7'", "failure", ""),
    "nothing": ("exit 0", "failure", ""),
    "invalid UTF-8": ("printf '\\377\\376\\375'", "failure", ""),
    "flood": ("yes garbage", "failure", ""),
}


@pytest.mark.parametrize("engine", ["semgrep", "betterleaks"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_faulty_engine_is_never_green(tmp_path: Path, engine: str, fault: str) -> None:
    script, conclusion, said = FAULTS[fault]
    folder = copy_with(tmp_path / "engines", engine, script)
    bench = Bench(tmp_path, environment={"FIXWRIGHT_ENGINES_DIR": str(folder), "FIXWRIGHT_ENGINE_SECONDS": "3"})
    repo = LocalRepo(tmp_path / "work" / "shop")
    repo.commit({"a.py": "x = 1\n"})
    head = repo.commit({"b.py": "y = 2\n"}, branch="feature")
    bench.review(repo, "feature")
    (check,) = bench.checks(repo, head)
    bench.close()
    assert check.conclusion == conclusion
    assert check.title.startswith("Could not check")
    assert engine in check.title
    assert said in check.title
