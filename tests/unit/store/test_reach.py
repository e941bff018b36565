"""Installations and repositories come and go: how they stand, and what becomes of their reviews and threads."""

from __future__ import annotations

import threading
from dataclasses import replace

from sqlalchemy import event

from pipeline.model.ids import InstallationId
from pipeline.model.review import ReviewStatus
from pipeline.store.engine import Database
from tests.unit.store.samples import INSTALLATION, REPOSITORY, pull_request, repository, review

OTHER = replace(INSTALLATION, external_id="18", account="elsewhere")
PLANNED, CANCELLED = ReviewStatus.PLANNED, ReviewStatus.CANCELLED


def test_what_was_never_seen_is_in_reach_and_what_the_host_took_away_is_not(database: Database) -> None:
    with database.work() as work:
        assert work.installations.reach(INSTALLATION, REPOSITORY) == ("active", "active")
        assert work.installations.known(INSTALLATION) is None
        identifier, number = work.installations.upsert(INSTALLATION), repository(work)
        work.installations.set_state(identifier, "suspended")
        work.installations.tell_repository_state(number, "archived")
        assert work.installations.reach(INSTALLATION, REPOSITORY) == ("suspended", "archived")
        # The newest name of the account does not wake it up.
        work.installations.upsert(replace(INSTALLATION, account="renamed"))
        known = work.installations.known(INSTALLATION)
    assert known is not None
    assert (known[0].account, known[1]) == ("renamed", "suspended")


def test_what_the_operator_disabled_the_host_does_not_enable(database: Database) -> None:
    with database.work() as work:
        number = repository(work)
        work.installations.tell_repository_state(number, "gone")
        work.installations.tell_repository_state(number, "active")
        assert work.installations.repository_state(number) == "active"
        work.repositories.set_state(number, "disabled")
        for told in ("archived", "active"):
            work.installations.tell_repository_state(number, told)
            assert work.installations.repository_state(number) == "disabled"
        # Removed from the installation and added again.
        work.installations.tell_repository_state(number, "gone")
        assert work.installations.repository_state(number) == "gone"
        work.installations.tell_repository_state(number, "active")
        assert work.installations.repository_state(number) == "disabled"
        work.repositories.set_state(number, "active")
        work.installations.tell_repository_state(number, "gone")
        work.installations.tell_repository_state(number, "active")
        assert work.installations.repository_state(number) == "active"


def test_a_late_payload_does_not_make_a_public_repository_private_again(database: Database) -> None:
    private, public = replace(REPOSITORY, private=True), replace(REPOSITORY, private=False)
    with database.work() as work:
        number = work.installations.upsert_repository(private)
        assert work.installations.repository(number).private
        work.installations.upsert_repository(public)
        work.installations.upsert_repository(private)
        assert not work.installations.repository(number).private
        work.installations.upsert_repository(private, asked=True)
        assert work.installations.repository(number).private
        work.installations.upsert_repository(public, asked=True)
        work.installations.upsert_repository(private)
        assert not work.installations.repository(number).private


def test_an_installation_of_many_repositories_takes_few_statements(database: Database) -> None:
    many = [replace(REPOSITORY, external_id=str(number), full_name=f"acme/r{number}") for number in range(450)]
    with database.work() as work:
        known = work.installations.upsert_repository(many[7])
        statements: list[str] = []
        event.listen(work.transaction.connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
        found = work.installations.upsert_repositories([replace(many[7], full_name="acme/before"), *many])
        work.reviews.move_all_home(found.values(), work.installations.upsert(OTHER))
        work.installations.want_scans(found.values())
        assert len(statements) == 3 * 3 + 1
        assert (found["7"], len(set(found.values()))) == (known, 450)
        names = {number: source.full_name for number, source, _ in work.installations.repositories_of(INSTALLATION)}
        assert names == {found[source.external_id]: source.full_name for source in many}
        assert work.installations.scan_progress().waiting == 450


def test_only_what_is_open_and_cancelled_was_interrupted(database: Database) -> None:
    with database.work() as work:
        interrupted, superseded, newer, closed = (
            review(work, "a", number=1),
            review(work, "b", number=2),
            review(work, "c", number=2),
            review(work, "d", number=3),
        )
        for one in (interrupted, superseded, closed):
            work.reviews.move(one, PLANNED, CANCELLED)
        work.reviews.mark_closed(pull_request(3))
        number = repository(work)
        assert [found.id for found in work.reviews.interrupted(number)] == [interrupted]
        assert [found.id for found in work.reviews.live_of_repository(number)] == [newer]


def test_reviews_move_with_their_repository_to_another_installation(database: Database) -> None:
    with database.work() as work:
        made = review(work)
        new = work.installations.upsert(OTHER)
        work.reviews.move_home(repository(work), new)
        assert work.reviews.get(made).installation == replace(OTHER, id=InstallationId(new))


def test_a_repository_belongs_to_the_installation_that_sees_it_now(database: Database) -> None:
    with database.work() as work:
        number = repository(work)
        assert [found for found, _, _ in work.installations.repositories_of(INSTALLATION)] == [number]
        work.installations.upsert_repository(replace(REPOSITORY, installation="18"))
        assert work.installations.repositories_of(INSTALLATION) == []
        assert [found for found, _, _ in work.installations.repositories_of(OTHER)] == [number]


def test_a_change_is_made_a_draft_and_ready_once(database: Database) -> None:
    with database.work() as work:
        made = review(work)
        assert not work.reviews.set_draft(made, False)
        assert work.reviews.set_draft(made, True)
        assert work.reviews.get(made).change.draft
        assert work.reviews.set_draft(made, False)
        assert not work.reviews.set_draft(made, False)


def test_who_marks_it_ready_while_it_ends_and_who_ends_it_cannot_miss_each_other(database: Database) -> None:
    with database.work() as work:
        made = review(work)
        work.reviews.set_draft(made, True)
        work.reviews.move(made, PLANNED, ReviewStatus.SETTLING)
        work.reviews.move(made, ReviewStatus.SETTLING, ReviewStatus.PUBLISHING)
    begun, told = threading.Event(), []

    def ready() -> None:
        begun.wait(10)
        with database.work() as work:
            new = work.reviews.set_draft(made, False)
            if new and work.reviews.get(made).status is ReviewStatus.DONE:
                told.append("by who marked it")

    other = threading.Thread(target=ready)
    other.start()
    with database.work() as work:
        work.reviews.move(made, ReviewStatus.PUBLISHING, ReviewStatus.DONE)
        begun.set()
        other.join(0.3)  # on PostgreSQL it waits for our row, on SQLite for our transaction
        if not work.reviews.get(made).change.draft:
            told.append("by who ended it")
    other.join(10)
    assert told == ["by who marked it"]


def test_a_thread_is_ours_or_nobodys(database: Database) -> None:
    ref = pull_request()
    with database.work() as work:
        repository(work)
        work.effects.remember_threads(ref, {"v1:" + "0" * 32: "101"})
        for by in ("person", "us", ""):
            work.effects.thread_resolved(ref, "101", by)
            assert work.effects.threads_resolved(ref) == ({"101": by} if by else {})
        # A machine whose word comes after ours may be ourselves; before it, it is somebody else.
        for ours in ("us", ""):
            work.effects.thread_resolved(ref, "101", ours)
            work.effects.thread_resolved(ref, "101", "person", unless_us=True)
            assert work.effects.threads_resolved(ref) == {"101": ours or "person"}
        work.effects.thread_resolved(ref, "101", "")
        work.effects.thread_resolved(ref, "999", "person")
        assert work.effects.threads_resolved(ref) == {}
