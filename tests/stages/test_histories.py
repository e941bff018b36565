"""Random lives of pull requests: at most one mail a push, no thread twice, resolved when the finding is gone, opened again when it is back.

Real git, the double of each host, instant engines; the same seed is the same life on each. `FIXWRIGHT_HISTORIES=200` plays so many of them
on each host; the default is a sample.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stages.histories import STEPS, History, play
from tests.stages.places import PLACES

HISTORIES = int(os.environ.get("FIXWRIGHT_HISTORIES", "1"))


@pytest.mark.parametrize("seed", range(HISTORIES))
@pytest.mark.parametrize("host", sorted(PLACES))
def test_whatever_happens_to_a_pull_request_people_are_told_once(host: str, seed: int, tmp_path: Path) -> None:
    with PLACES[host](tmp_path) as place:
        played = play(place, seed)
        assert len(played.steps) == STEPS + 1


@pytest.mark.parametrize("host", sorted(PLACES))
def test_forced_back_to_a_head_that_was_judged_its_thread_is_open_again(host: str, tmp_path: Path) -> None:
    with PLACES[host](tmp_path) as place:
        history = History(place, 0)
        history.begin()
        place.settle()
        first = history.tip("feature")
        history.fix()
        place.settle()
        assert [thread.resolved for thread in place.threads()] == [True]
        mails, beside = place.mails(), place.mails_beside()
        history.return_to(first)
        place.settle()
        assert [thread.resolved for thread in place.threads()] == [False]
        history.check("open > fix > return", mails, beside)
        assert place.mails() == mails
