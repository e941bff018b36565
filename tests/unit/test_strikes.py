"""The matrix of faults: a run whose fault never struck proves nothing, and says so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.gitlab import GitlabHost
from tests.faults.lives import Seen
from tests.faults.matrix import Fault, Result, Run, run_one
from tests.faults.points import Orders, Point, Struck
from tests.faults.servers import GITLAB_SQLITE_VALKEY
from tests.faults.stand import Stand
from tests.worlds.faults import Faults, Status

SOMEWHERE = Point("json:loads")


class Idle(Stand):
    """A host and orders; nothing of ours runs, and nothing is ever wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pair = folder, GITLAB_SQLITE_VALKEY
        self.host, self.orders = GitlabHost(folder), Orders(folder / "points")

    def dead(self) -> list[tuple[str, str]]:
        return []

    def unfinished(self, kind: str = "") -> int:
        return 0

    def strays(self) -> list[str]:
        return []

    folders_left = locks_left = unended = told = strays

    def settle_down(self) -> None:
        self.orders.clear()

    def tails(self, length: int = 1_500) -> str:
        return ""


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Idle]:
    made = Idle(tmp_path)
    made.host.world.serve()
    yield made
    made.host.world.stop()


def ran(stand: Stand, strike: Callable[[Run], None]) -> Result:
    fault = Fault(99, "a test's", strike, ("",), (), 30.0, (), False, ("gitlab",))
    return run_one(stand, Seen(None, (), (), ()), fault, "", seed=1, changes=1)


def test_a_run_that_waits_for_a_blow_which_never_comes_did_not_strike(stand: Idle) -> None:
    result = ran(stand, lambda run: print(run.strike(SOMEWHERE, seconds=0.01)()))
    assert (result.passed, result.checked) == (False, True)
    assert result.said.startswith("did not strike: json:loads in worker")


def test_a_blow_that_nobody_waits_for_must_have_hit_as_well(stand: Idle) -> None:
    def careless(run: Run) -> None:
        run.strike(SOMEWHERE)
        run.cured()

    assert ran(stand, careless).said.startswith("did not strike: json:loads")


def test_a_failure_of_the_host_that_no_request_has_met_did_not_strike(stand: Idle) -> None:
    def unmet(run: Run) -> None:
        run.stand.host.world.faults.add("GET", "/nobody/asks/this$", Status(500))
        run.cured()

    assert "GET /nobody/asks/this$" in ran(stand, unmet).said


def test_a_run_that_was_struck_is_judged_by_what_follows(stand: Idle) -> None:
    def struck(run: Run) -> None:
        answer = run.strike(SOMEWHERE)
        (run.stand.folder / "points" / "struck").write_text(json.dumps(asdict(Struck(1, 1, 1, 1.0))))
        assert answer().pid == 1
        run.cured()

    assert ran(stand, struck).passed


def test_an_order_is_untouched_until_a_request_gets_its_failure() -> None:
    faults = Faults()
    faults.add("GET", "/a$", Status(random.choice((500, 503))), times=2, skip=1)
    faults.add("*", "/b$", Status(500))
    assert faults.take("GET", "/a") is None
    assert faults.untouched == ["GET /a$", "* /b$"]
    assert faults.take("GET", "/a") is not None
    assert faults.untouched == ["* /b$"]
    faults.clear()
    assert faults.untouched == []
