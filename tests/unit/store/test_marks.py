"""Marks of the secrets that were found, by repository: the newest are kept, and they are enough to find a value again."""

from __future__ import annotations

import base64
from dataclasses import replace

from sqlalchemy import func, select, update

from pipeline.leaks import Filter, Marker
from pipeline.model.finding import Finding, Secret
from pipeline.store.engine import Database
from pipeline.store.marks import MOST
from pipeline.store.tables import secret_marks
from tests.unit.store.samples import finding, repository

MARKER = Marker(b"k" * 32)


def _leak(number: int) -> Finding:
    marks = base64.b64encode(MARKER.marks(f"value{number:06}Zq")).decode()
    return replace(finding(number % 100), secret=Secret("API key", f"{number:032x}", "", marks))


def test_what_was_found_is_found_again_in_what_leaves_and_no_value_is_kept(database: Database) -> None:
    with database.work() as work:
        home = repository(work)
        work.marks.add(home, [_leak(1), _leak(1), finding(2), replace(_leak(3), secret=Secret("word", "ab"))])
        kept = work.marks.of(home)
    assert len(kept) == 1
    assert Filter(marks=kept, marker=MARKER).clean("it is value000001Zq, not value000002Zq") == "it is [removed], not value000002Zq"


def test_the_oldest_give_way(database: Database) -> None:
    with database.work() as work:
        home = repository(work)
        work.marks.add(home, [_leak(number) for number in range(5)])
        work.transaction.execute(update(secret_marks).values(seen_at=1.0))
        work.marks.add(home, [_leak(number) for number in range(100, 100 + MOST)])
        count = work.transaction.execute(select(func.count()).select_from(secret_marks)).scalar_one()
        known = Filter(marks=work.marks.of(home), marker=MARKER)
    assert count == MOST
    assert not known.touches("value000001Zq")
    assert known.touches(f"value{99 + MOST:06}Zq")
