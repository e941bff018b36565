"""What waits for a host that did not answer goes on when it answers, whatever else was forgotten."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, update

from bot.worker import work_message
from pipeline.messages import Envelope, PublishCheck, SettleReview
from pipeline.model.ids import MessageId, ReviewId
from pipeline.model.scan import ScanType
from pipeline.store.columns import database_now
from pipeline.store.outbox import RELEASED_TRIES
from pipeline.store.publishing import RELEASE_SECONDS
from pipeline.store.tables import outbox
from tests.fakes import LineScanner
from tests.harness import Bench, LocalRepo

HOST = "local:"


def test_a_try_out_of_turn_that_is_answered_releases_all_that_wait(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.use(scanners=[LineScanner(ScanType.SEMGREP)], fixers=[])
    repo = LocalRepo(tmp_path / "work" / "shop")
    repo.commit({"a.txt": "fine\n", ".fixwright.yml": "engines:\n  required: [semgrep_scan]\n"})
    repo.commit({"b.txt": "BAD\n"}, branch="feature")
    bench.changed(bench.pull_request(repo, "feature"), delivery="one")
    bench.work_key("accept:one")
    with bench.app.database.work() as work:
        (shown,) = work.transaction.execute(select(outbox.c.group).where(outbox.c.kind == "publish_check")).scalars()
        work.outbox.send(Envelope(PublishCheck(ReviewId(shown)), "tried"), Envelope(SettleReview(ReviewId("another")), "other"))
        (tried,) = work.transaction.execute(select(outbox.c.id).where(outbox.c.key == "tried")).scalars()
        # Both waited; the process that was to remember that something does died before it could.
        work.transaction.execute(update(outbox).where(outbox.c.status == "pending").values(waits_for=HOST, due_at=database_now() + 600))
    assert bench.app.memory.get(f"waiting/{HOST}") is None
    work_message(bench.app, MessageId(tried), early=True)
    with bench.app.database.read() as work:
        left = (outbox.c.due_at - database_now()).label("left")
        row = work.transaction.execute(select(outbox.c.waits_for, left).where(outbox.c.key == "other")).one()
    bench.close()
    assert (row.waits_for, row.left <= RELEASE_SECONDS) == ("", True)


def test_answers_to_others_do_not_use_up_the_attempts_of_a_call_that_alone_fails(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    failed = {"once": 1, "often": RELEASED_TRIES, "too often": RELEASED_TRIES + 1}
    with bench.app.database.work() as work:
        work.outbox.send(*(Envelope(SettleReview(ReviewId(key)), key) for key in failed))
        for key, attempts in failed.items():
            waits = {"waits_for": HOST, "attempts": attempts, "due_at": database_now() + 600}
            work.transaction.execute(update(outbox).where(outbox.c.key == key).values(waits))
        assert work.outbox.host_answers(HOST) == 2
    with bench.app.database.read() as work:
        left = (outbox.c.due_at - database_now()).label("left")
        rows = {row.key: row.left for row in work.transaction.execute(select(outbox.c.key, left))}
    bench.close()
    assert rows["too often"] > 500
    assert all(0 < rows[key] <= RELEASE_SECONDS for key in ("once", "often"))
