"""What is old and closed is forgotten; what is open, or a person's, is kept however old."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint, func, select, update

from pipeline.model.ids import ReviewId
from pipeline.model.review import ReviewStatus
from pipeline.model.scan import Coverage, ScanResult, ScanType
from pipeline.store.columns import database_now
from pipeline.store.engine import Database
from pipeline.store.listing import Totals, Wish
from pipeline.store.tables import batch_findings, batches, effects, fixes, metadata, outbox, reviews, subjects, threads
from pipeline.store.work import Work
from tests.unit.store import samples

DAY = 86_400.0
OLD = 100 * DAY


def _review(database: Database, head: str, number: int) -> ReviewId:
    """A review that ended, with what its scan said, and a thread."""
    with database.work() as work:
        review = samples.review(work, head, number=number)
        scan = work.reviews.add_batch(review, ScanType.SEMGREP, samples.commit(head), required=True)
        work.reviews.save_scan_result(scan, "head", ScanResult((), Coverage()))
        work.effects.remember_threads(samples.pull_request(number), {"v1:0": f"t{number}"})
        work.effects.intend(f"check:{review}", 1)
        work.transaction.execute(update(reviews).where(reviews.c.id == review).values(status="done", verdict=b"x", conclusion="success"))
    return review


def _age(database: Database) -> None:
    """Everything happened long ago."""
    with database.work() as work:
        for table in metadata.sorted_tables:
            values = {
                name: table.c[name] - OLD for name in ("updated_at", "created_at", "finished_at", "completed_at") if name in table.columns
            }
            if values:
                work.transaction.execute(update(table).values(values))


def _forget(database: Database, days: float = 90.0) -> int:
    total = 0
    while True:
        with database.work() as work:
            deleted = work.retention.forget(days * DAY)
        total += deleted
        if not deleted:
            return total


def _count(work: Work, name: str) -> int:
    return int(work.transaction.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one())


def test_a_closed_pull_request_is_forgotten_after_its_time_and_an_open_one_is_not(database: Database) -> None:
    closed, still_open = _review(database, "a", 1), _review(database, "b", 2)
    with database.work() as work:
        work.reviews.mark_closed(samples.pull_request(1))
    _age(database)
    assert _forget(database) > 0
    with database.read() as work:
        left = work.transaction.execute(select(reviews.c.id, reviews.c.verdict)).all()
        assert [(row.id, row.verdict) for row in left] == [(still_open, b"x")]
        assert [row.pull_request for row in work.transaction.execute(select(threads))] == [2]
        assert [row.subject for row in work.transaction.execute(select(subjects))] == ["pull_request:2"]
    assert closed != still_open


def test_what_is_young_is_kept(database: Database) -> None:
    _review(database, "a", 1)
    with database.work() as work:
        work.reviews.mark_closed(samples.pull_request(1))
    assert _forget(database) == 0


def test_a_superseded_review_of_an_open_pull_request_goes_and_the_newest_stays(database: Database) -> None:
    _review(database, "a", 1)
    newest = _review(database, "b", 1)
    _age(database)
    _forget(database)
    with database.read() as work:
        assert list(work.transaction.execute(select(reviews.c.id)).scalars()) == [newest]


def test_a_review_that_a_finding_or_a_fix_refers_to_keeps_its_row_and_loses_its_content(database: Database) -> None:
    review = _review(database, "a", 1)
    with database.work() as work:
        work.findings.remember(samples.repository(work), [samples.finding()], review, "feature", samples.commit("a"))
        work.reviews.mark_closed(samples.pull_request(1))
    _age(database)
    _forget(database)
    with database.read() as work:
        row = work.transaction.execute(select(reviews)).one()
        assert (row.id, row.verdict, row.conclusion) == (review, None, "success")
        assert _count(work, "findings") == 1
        assert _count(work, "finding_events") >= 1
        assert _count(work, "occurrences") == 0


def test_a_review_that_has_not_ended_is_never_forgotten(database: Database) -> None:
    with database.work() as work:
        review = samples.review(work)
        work.reviews.mark_closed(samples.pull_request())
    _age(database)
    _forget(database)
    with database.read() as work:
        assert work.reviews.get(review).status is ReviewStatus.PLANNED


def test_dead_letters_and_effects_go_after_the_same_time(database: Database) -> None:
    with database.work() as work:
        work.outbox.send(samples.envelope("dead"))
        work.effects.intend("check:v1", 1)
        work.transaction.execute(update(outbox).values(status="dead", finished_at=database_now()))
    assert _forget(database) == 0
    _age(database)
    assert _forget(database) == 2
    with database.read() as work:
        assert (_count(work, effects.name), _count(work, outbox.name), _count(work, fixes.name)) == (0, 0, 0)


def test_everything_that_refers_to_a_review_is_found_by_an_index() -> None:
    # Else each review that is deleted is looked for in all rows of the table, by our question and by the foreign key.
    unfound = [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if any(key.column is reviews.c.id for key in column.foreign_keys)
        if column is not next(iter(table.primary_key.columns))
        if not any(next(iter(index.columns)) is column for index in table.indexes)
        if not any(isinstance(one, UniqueConstraint) and next(iter(one.columns)) is column for one in table.constraints)
    ]
    assert unfound == []


def test_a_batch_that_was_asked_for_is_kept_for_its_time_and_goes_with_what_it_saw(database: Database) -> None:
    review = _review(database, "a", 1)
    with database.work() as work:
        source = work.installations.identify(samples.REPOSITORY)
        old, scans_of_it = work.asked.ask(str(source), [source], ScanType.SEMGREP, "a key")
        live, _ = work.asked.ask(str(source), [source], ScanType.SEMGREP, "a key")
        scan = work.asked.scan(scans_of_it[0])
        assert scan is not None
        work.asked.begin(scan, review)
        work.reviews.cancel_scans(review)
        rows = [{"batch_id": batch, "finding_id": str(n), "severity": 1, "branch": "main"} for batch in (old, live) for n in range(3)]
        work.transaction.add(batch_findings, rows)
        work.reviews.mark_closed(samples.pull_request(1))
    _age(database)
    _forget(database)
    with database.read() as work:
        kept = work.transaction.execute(select(batches.c.id, batches.c.status)).all()
        assert [(row.id, row.status) for row in kept] == [(live, "queued")], "one that is not over is never forgotten"
        assert {row.batch_id for row in work.transaction.execute(select(batch_findings))} == {live}
        assert _count(work, "reviews") == 0


def _standing(database: Database, batch: str, totals: Totals) -> tuple[int, int]:
    with database.read() as work:
        source = samples.repository(work)
        keys, _, total = work.listing.page_of_batch(batch, [source], Wish(status="open"), totals, limit=10, at_most=100)
    return len(keys), total


def _seen(database: Database, of: ReviewId | None) -> tuple[str, ReviewId]:
    """A batch that saw an open finding, of a review or (none given) asked for and joined to one of long ago; with the review."""
    with database.work() as work:
        source = samples.repository(work)
        first = of or samples.review(work, "first", number=0)
        ids = work.findings.remember(source, [samples.finding(1)], first, "main", samples.commit("a"))
        made = of or samples.review(work, "a", number=0)
        if of is None:
            batch, asked = work.asked.ask(str(source), [source], ScanType.SEMGREP, "a key")
            scan = work.asked.scan(asked[0])
            assert scan is not None
            work.asked.begin(scan, made)
            work.transaction.execute(update(batches).where(batches.c.id == batch).values(status="done", completed_at=database_now()))
        else:
            batch = work.transaction.execute(select(batches.c.id).where(batches.c.review_id == of)).scalar_one()
        work.transaction.add(batch_findings, [{"batch_id": batch, "finding_id": next(iter(ids.values())), "severity": 1, "branch": "main"}])
        work.transaction.execute(update(reviews).where(reviews.c.id == made).values(status="done", head_ref="main", pull_request=None))
    return batch, made


def test_a_review_stays_for_a_batch_that_joined_it_later(database: Database) -> None:
    batch, _ = _seen(database, None)
    with database.work() as work:
        work.transaction.execute(update(subjects).values(open=False))
    _age(database)
    with database.work() as work:
        work.transaction.execute(update(batches).values(completed_at=database_now()))
    _forget(database)
    assert _standing(database, batch, Totals()) == (1, 1)
    _age(database)
    _forget(database)
    with database.read() as work:
        assert _count(work, "batch_findings") == 0
        assert _count(work, "reviews") == 1, "the one in which the finding was seen first"


def test_a_count_of_before_does_not_outlive_what_a_batch_saw(database: Database) -> None:
    totals = Totals()
    batch, _ = _seen(database, _review(database, "a", 1))
    assert _standing(database, batch, totals) == (1, 1)
    with database.work() as work:
        work.reviews.mark_closed(samples.pull_request(1))
    _age(database)
    _forget(database)
    assert _standing(database, batch, totals) == (0, 0)
