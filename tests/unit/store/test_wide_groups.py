"""A repository of the API may have a hundred source repositories: its lists are as those of one are, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from pipeline.errors import StaleWrite
from pipeline.model.finding import Severity
from pipeline.model.ids import OrganizationId, RepositoryId
from pipeline.model.scan import ScanType
from pipeline.store.engine import Database
from pipeline.store.eventlog import Sought
from pipeline.store.groups import MOST_SOURCES
from pipeline.store.listing import Place, Totals, Wish
from pipeline.store.organizations import DEFAULT
from pipeline.store.tables import finding_events
from pipeline.store.work import Work
from tests.unit.store import samples

ALL = 1_000
SOURCES = 30
"""More than SQLite takes in one statement: a filter makes 20 ranges of an index of each."""
WISHES = (Wish(), Wish(status="open"), Wish(severity=Severity.HIGH), Wish(scan_type=ScanType.SEMGREP), Wish(Severity.HIGH, "open"))
KINDS = (None, [*(f"kind{number}" for number in range(19)), "detected"])


def _many(work: Work) -> tuple[OrganizationId, list[RepositoryId]]:
    """Every third has a finding."""
    review = samples.review(work)
    made = []
    for number in range(SOURCES):
        ref = replace(samples.REPOSITORY, external_id=f"10{number:03d}", full_name=f"acme/r{number}")
        made.append(work.installations.upsert_repository(ref))
    for number, one in list(enumerate(made))[::3]:
        work.findings.remember(one, [samples.finding(number)], review, "main", samples.commit("a"))
    work.organizations.settle(one_each=False)
    while work.events.number():
        pass
    return work.organizations.named(DEFAULT).id, made


def test_its_findings_are_those_of_every_one(database: Database) -> None:
    with database.work() as work:
        _, made = _many(work)
        places: list[Place] = [(one, "main") for one in made]
        for wish in WISHES:
            keys, more = work.listing.page(places, wish, limit=ALL)
            total = work.listing.total(places, wish, ALL, Totals())
            first, goes_on = work.listing.page(places, wish, limit=3)
            second, _ = work.listing.page(places, wish, limit=3, after=first[-1].finding)
            skipped, _ = work.listing.page(places, wish, limit=3, skip=3)
            assert (len(keys), more, total) == (len(made[::3]), False, len(made[::3])), wish
            assert [key.finding for key in keys] == sorted((key.finding for key in keys), reverse=True)
            assert (first, goes_on, second, skipped) == (keys[:3], True, keys[3:6], keys[3:6])
        assert work.listing.total(places, Wish(scan_type=ScanType.SEMGREP), 4, Totals()) == 4


def test_its_events_are_those_of_every_one(database: Database) -> None:
    with database.work() as work:
        organization, made = _many(work)
        written = work.transaction.execute(select(func.count()).select_from(finding_events)).scalar_one()
        for kinds in KINDS:
            sought = Sought(made, kinds=kinds)
            events, more, total = work.events.page(organization, sought, limit=ALL, at_most=ALL)
            first, _, _ = work.events.page(organization, sought, limit=4, skip=3)
            assert (len(events), more, total) == (written, False, written)
            assert first == events[3:7]


def test_more_than_it_may_have_are_refused(database: Database) -> None:
    with database.work() as work:
        organization, made = _many(work)
        others = [RepositoryId(f"one{number}") for number in range(MOST_SOURCES)]
        with pytest.raises(StaleWrite, match="101 source repositories are too many for one repository: 100 at most"):
            work.groups.create(organization, "everything", "", [*others, made[0]])
