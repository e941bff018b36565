"""Mails a push over random lives of pull requests: `tests/stages/test_histories.py`, all of them, counted."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.table import Table
from tests.stages.github import GithubBench
from tests.stages.test_histories import STEPS, History
from tests.worlds.github.world import GithubWorld

LIVES = 50


def run(quick: bool) -> Table:
    """Every step is judged as in the test; a step that fails ends the benchmark."""
    mails: list[float] = []
    threads: list[float] = []
    for seed in range(3 if quick else LIVES):
        with tempfile.TemporaryDirectory() as name, GithubWorld.start(Path(name)) as world:
            bench = GithubBench(Path(name), world, "")
            try:
                steps = _live(History(bench, seed), mails)
                threads.append(float(steps))
            finally:
                bench.close()
    table = Table(f"{len(threads)} lives of pull requests, {STEPS} steps each", "")
    table.rows = [("mails of one step", mails), ("threads of one life", threads)]
    table.notes.append(f"at most {max(mails):.0f} mail a step (aim: 1); no thread twice, each resolved and opened again with its finding")
    return table


def _live(history: History, mails: list[float]) -> int:
    """All steps of one; how many threads there are in the end."""
    github = history.github
    github.settle()
    history.check("open", 0)
    done = ["open"]
    for _ in range(STEPS):
        before = len(github.world.notifying_calls(history.pull))
        done.append(history.act())
        github.settle()
        history.check(" > ".join(done), before)
        mails.append(float(len(github.world.notifying_calls(history.pull)) - before))
    return len(github.threads(history.pull))
