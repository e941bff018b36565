"""The state machines: legal moves, and the properties that everything else relies on."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest

from pipeline import lifecycle
from pipeline.errors import IllegalMove
from pipeline.lifecycle import BATCH, FIX_RUN, REVIEW, SCAN, Lifecycle
from pipeline.model.fix import FixStatus
from pipeline.model.review import ReviewStatus
from pipeline.model.scan import BatchStatus, ScanStatus

# Lifecycle is generic over four enums; a test over all of them cannot name one.
ALL: list[Lifecycle[Any]] = [REVIEW, BATCH, SCAN, FIX_RUN]
every_lifecycle = pytest.mark.parametrize("machine", ALL, ids=lambda machine: str(machine.name))


def test_all_machines_are_tested_here() -> None:
    assert [value for value in vars(lifecycle).values() if isinstance(value, Lifecycle)] == ALL


@pytest.mark.parametrize(
    ("machine", "states"),
    [(REVIEW, ReviewStatus), (BATCH, BatchStatus), (SCAN, ScanStatus), (FIX_RUN, FixStatus)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_state_has_its_row(machine: Lifecycle[Any], states: type[StrEnum]) -> None:
    assert set(machine.moves) == set(states)


@every_lifecycle
def test_moves_that_stand_in_the_table_are_made_and_all_others_refused(machine: Lifecycle[Any]) -> None:
    for old in machine.moves:
        for new in machine.moves:
            if new in machine.moves[old]:
                assert machine.advance(old, new) is new
            else:
                with pytest.raises(IllegalMove, match=f"a {machine.name} cannot go from {old} to {new}"):
                    machine.advance(old, new)


@every_lifecycle
def test_nothing_moves_to_where_it_is(machine: Lifecycle[Any]) -> None:
    assert [state for state in machine.moves if state in machine.moves[state]] == []


@every_lifecycle
def test_every_state_can_be_reached_and_can_end(machine: Lifecycle[Any]) -> None:
    first = next(iter(machine.moves))
    assert _reach(first, machine.moves.__getitem__) == set(machine.moves)
    for state in machine.moves:
        assert any(machine.terminal(end) or machine is FIX_RUN for end in _reach(state, machine.moves.__getitem__))


@every_lifecycle
def test_live_states_are_those_that_are_not_terminal(machine: Lifecycle[Any]) -> None:
    assert set(machine.live) == {state for state in machine.moves if not machine.terminal(state)}


@every_lifecycle
def test_what_has_ended_stays_ended(machine: Lifecycle[Any]) -> None:
    ended = [state for state in machine.moves if state.name in ("DONE", "PARTLY", "CANCELLED", "FAILED")]
    assert len(ended) >= 2
    assert all(machine.terminal(state) for state in ended)


@pytest.mark.parametrize("machine", [REVIEW, BATCH, SCAN], ids=lambda machine: str(machine.name))
def test_whatever_is_live_can_be_cancelled_and_can_fail(machine: Lifecycle[Any]) -> None:
    """A superseded change and a worker that crashed three times can come at any moment."""
    for state in machine.live:
        assert {"CANCELLED", "FAILED"} <= {new.name for new in machine.moves[state]}


def test_a_review_is_done_only_by_publishing() -> None:
    assert [state for state in ReviewStatus if ReviewStatus.DONE in REVIEW.moves[state]] == [ReviewStatus.PUBLISHING]


def test_a_fix_without_its_pull_request_can_be_proposed_again() -> None:
    for failed in (FixStatus.PR_CREATION_FAILED, FixStatus.PR_UPDATE_FAILED):
        assert FIX_RUN.advance(failed, FixStatus.COMPLETED) is FixStatus.COMPLETED
    with pytest.raises(IllegalMove):
        FIX_RUN.advance(FixStatus.PENDING, FixStatus.COMPLETED)


def _reach(start: Any, following: Callable[[Any], frozenset[Any]]) -> set[Any]:
    seen, waiting = {start}, [start]
    while waiting:
        for state in following(waiting.pop()) - seen:
            seen.add(state)
            waiting.append(state)
    return seen
