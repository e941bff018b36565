"""Mails a push over random lives of pull requests: `tests/stages/test_histories.py`, on the double of each host, counted."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.table import Table
from tests.stages.histories import STEPS, play
from tests.stages.places import PLACES

LIVES = 50
"""On each host; 200 are played by `FIXWRIGHT_HISTORIES=200`."""


def run(quick: bool) -> Table:
    """Every step is judged as in the test; a step that fails ends the benchmark."""
    lives = 2 if quick else LIVES
    table = Table(f"{lives} lives of pull requests on each host, {STEPS} steps each", "")
    most = 0
    for host, made in sorted(PLACES.items()):
        mails: list[float] = []
        threads: list[float] = []
        for seed in range(lives):
            with tempfile.TemporaryDirectory() as name, made(Path(name)) as place:
                played = play(place, seed)
            mails += played.mails
            threads.append(float(played.threads))
        table.rows += [(f"{host}: mails of one step", mails), (f"{host}: threads of one life", threads)]
        most = max(most, *map(int, mails))
    table.notes.append(
        f"at most {most} mail a step (aim: 1), not counting the one comment that stands for a check's page where a host has none"
    )
    table.notes.append("exactly one thread for each finding that may speak, resolved and opened again with it; no reply was lost")
    return table
