"""What was counted holds until something changes, and no longer."""

from __future__ import annotations

import pytest

from pipeline.model.ids import FindingId
from pipeline.store.decisions import Decision
from pipeline.store.engine import Database
from pipeline.store.listing import Totals, Wish
from pipeline.store.seen import PULL
from pipeline.store.tables import repositories
from tests.unit.store.samples import commit, finding, repository, review


def test_it_is_counted_once_for_each_version() -> None:
    totals = Totals(room=2)
    counted: list[int] = []

    def count() -> int:
        counted.append(len(counted))
        return counted[-1]

    assert [totals.of("a", 1, count), totals.of("a", 1, count), totals.of("a", 2, count), totals.of("a", 1, count)] == [0, 0, 1, 2]
    totals.of("b", 1, count)
    totals.of("c", 1, count)
    assert totals.of("c", 1, count) == 4
    assert totals.of("a", 1, count) == 5  # there is room for two


@pytest.mark.parametrize("way", ["seen", "gone", "decided", "merged", "closed", "deleted"])
def test_whatever_changes_how_findings_stand_makes_a_new_version(database: Database, way: str) -> None:
    branch = f"{PULL}7" if way in ("merged", "closed") else "side" if way == "deleted" else "main"
    with database.work() as work:
        where = repository(work)
        some = [finding(1), finding(2)]
        ids = work.findings.remember(where, some, review(work), branch, commit("a"))

    def version() -> int:
        with database.read() as work:
            return int(work.transaction.execute(repositories.select().where(repositories.c.id == where)).one().findings_version)

    before = version()
    assert before > 0
    with database.work() as work:
        made = review(work, key="next")
        if way == "seen":
            work.findings.remember(where, [finding(3)], made, branch, commit("a"))
        elif way == "gone":
            work.findings.remember(where, some[:1], made, branch, commit("a"), fixed=some[1:])
        elif way == "decided":
            key = work.listing.key_of(FindingId(ids[some[0].fingerprint]), [(where, branch)])
            assert key is not None
            work.decisions.decide(key, commit("a"), Decision("ignored", "ada"))
        elif way == "merged":
            work.findings.merge_pull_request(where, 7, "main", made, commit("a"), scanned=False)
        elif way == "closed":
            work.findings.close_pull_request(where, 7, made, commit("a"))
        else:
            work.findings.delete_branch(where, branch, commit("a"))
    assert version() > before
    with database.work() as work:
        wish = Wish(status="open")
        assert work.listing.total([(where, branch)], wish, 100, Totals()) == len(work.listing.page([(where, branch)], wish, limit=50)[0])
