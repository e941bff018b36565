"""The buttons of a check: which ones would do something, and the fixes that one of them asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.model.finding import Judged, Standing
from pipeline.model.report import CheckAction
from pipeline.model.review import Change, Verdict
from pipeline.ports import Fixer
from pipeline.stages.ladder import unasked

FIX_ALL = CheckAction("Fix all", "Makes and proves a patch for each", "fix-all")
SCAN_AGAIN = CheckAction("Scan again", "Checks this commit again", "scan-again")
WAIVE = CheckAction("Waive…", "Says how to let a finding stand", "waive")
"""GitHub's limits: label 20, description 40, identifier 20 characters (REST "Create a check run", `actions`)."""

BUTTONS = {button.identifier: button for button in (FIX_ALL, SCAN_AGAIN, WAIVE)}

FIX_AT_MOST = 10
"""Fixes that one press of a button asks for."""


def buttons(change: Change, verdict: Verdict, fixers: Sequence[Fixer], may_propose: Callable[[], bool]) -> tuple[CheckAction, ...]:
    """Those that would do something, in this order.

    Args:
        may_propose: whether the host lets us open pull requests; asked only when it matters.
    """
    shown = []
    pull_request = change.pull_request is not None
    if pull_request and not change.from_fork and fixable(verdict, fixers) and may_propose():
        shown.append(FIX_ALL)
    shown.append(SCAN_AGAIN)
    if pull_request and verdict.standing(Standing.BLOCKS):
        shown.append(WAIVE)
    return tuple(shown)


def fixable(verdict: Verdict, fixers: Sequence[Fixer]) -> list[Judged]:
    """The open findings that are mended when nobody names one, the worst first."""
    listed = [*verdict.standing(Standing.BLOCKS), *verdict.standing(Standing.WARNS)]
    return [one for one in listed if unasked(one.finding, fixers)]
