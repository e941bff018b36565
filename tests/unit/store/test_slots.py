"""How many pull requests of fixes a repository has open, or about to be opened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pipeline.store.engine import Database
from pipeline.store.proposals import Slot
from pipeline.store.work import Work
from tests.unit.store.samples import repository, review


def slot(work: Work, branch: str) -> Slot:
    return Slot(repository(work), work.reviews.get(review(work)).change.repository, branch)


def test_of_several_that_ask_at_once_only_as_many_get_in_as_there_is_room_for(database: Database) -> None:
    with database.work() as work:
        wanted = [slot(work, f"fixwright/h{number}-1") for number in range(5)]

    def ask(one: Slot) -> bool:
        with database.work() as work:
            return work.proposals.reserve(one, {7}, (), work.outbox.now(), 3)[0]

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(ask, wanted)) == 2


def test_a_slot_is_taken_while_it_is_opened_and_noted_after_the_host_was_asked(database: Database) -> None:
    with database.work() as work:
        one, two = slot(work, "fixwright/h1-1"), slot(work, "fixwright/h2-1")
        asked = work.outbox.now()
        assert work.proposals.reserve(one, (), (), asked, 1) == (True, [])
        assert work.proposals.reserve(one, (), (), asked, 1) == (True, [])
        assert work.proposals.reserve(two, (), (), asked, 1) == (False, [])
        work.proposals.opened(one, 7)
        assert work.proposals.lately(two, 60) == {7}
        assert work.proposals.reserve(two, (), (), asked, 1) == (False, [7])
        assert work.proposals.reserve(one, {7}, {7}, asked, 1) == (True, [])
        # It was closed, says the host when it is asked later.
        later = work.outbox.now() + 1
        assert work.proposals.reserve(two, (), (), later, 1) == (True, [])
        work.proposals.give_back(two)
        assert work.proposals.reserve(one, (), (), later, 1) == (True, [])
