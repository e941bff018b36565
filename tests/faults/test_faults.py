"""The fast subset of the matrix: some subjects a test, each test on a stand of its own. `make faults` is the whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import Postgres, postgres
from tests.engines import needs_engines
from tests.faults.__main__ import SEED
from tests.faults.lives import faultless
from tests.faults.matrix import Fault, rows, run_one, steps_of
from tests.faults.servers import GITLAB_SQLITE_VALKEY, POSTGRES_REDIS, SQLITE_VALKEY, Pair, QueueServer
from tests.faults.stand import Stand

__all__ = ["postgres"]

pytestmark = [needs_engines, pytest.mark.slow, pytest.mark.timeout(600)]


SEMGREP = frozenset({"fixes", "gitlab", "host"})
"""Files of rows that need the injection that Semgrep finds, for a fix or a second thread. Elsewhere it is left out of the fast subset:
a change has the secret that it adds. `make faults` has Semgrep in every row."""


def _subjects() -> Iterator[tuple[tuple[str, ...], Pair]]:
    """Files of rows, on the two whole pairs in turn; and those that are GitLab's alone before GitLab. They share stands: starting one costs
    more than most rows."""
    quick = [fault for fault, _ in steps_of(rows(), quick=True)]
    names = sorted({_module(fault) for fault in quick if "github" in fault.hosts})
    mending, others = [name for name in names if name in SEMGREP], [name for name in names if name not in SEMGREP]
    yield tuple(others[0::2]), SQLITE_VALKEY
    yield tuple(others[1::2]), POSTGRES_REDIS
    yield tuple(mending), POSTGRES_REDIS
    yield tuple(sorted({_module(fault) for fault in quick if fault.hosts == ("gitlab",)})), GITLAB_SQLITE_VALKEY


def _module(fault: Fault) -> str:
    return fault.strike.__module__.rpartition(".")[2]


@pytest.mark.parametrize(("subjects", "pair"), [pytest.param(*one, id=f"{' '.join(one[0])} on {one[1].name}") for one in _subjects()])
def test_after_each_fault_everything_is_well_again(subjects: tuple[str, ...], pair: Pair, request: pytest.FixtureRequest) -> None:
    if missing := QueueServer.missing(pair.queue):
        pytest.skip(missing)
    server: Postgres | None = request.getfixturevalue("postgres") if pair.database == "postgresql" else None
    mine = [fault for fault in rows() if _module(fault) in subjects and pair.host in fault.hosts]
    bad, done = [], 0
    with Stand.open(pair, server, quick_semgrep=SEMGREP.isdisjoint(subjects)) as stand:
        alike = faultless(stand)
        for fault, step in steps_of(mine, quick=True):
            result = run_one(stand, alike, fault, step, seed=SEED, changes=1)
            done += result.checked
            if result.checked and not result.passed:
                bad.append(f"{fault.key} ({step}), {result.recovery:.1f} s: {result.said}")
                break
    assert not bad, "\n".join(bad)
    assert done > 0, "nothing was checked"
