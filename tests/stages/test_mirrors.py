"""What a process remembers of a mirror holds for that very mirror, not for the one that took its place."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from pipeline.messages import Envelope, PublishCheck
from pipeline.model.ids import MessageId, ReviewId
from pipeline.model.review import Change, Review
from pipeline.stages.context import Context
from pipeline.store.outbox import Claimed
from pipeline.store.tables import outbox, reviews
from tests.stages.github import GithubBench


def judged(github: GithubBench, head: str) -> Review:
    with github.app.database.read() as work:
        number = work.transaction.execute(select(reviews.c.id).where(reviews.c.head == head)).scalar_one()
        return work.reviews.get(ReviewId(number))


def claimed_for(github: GithubBench, review: Review) -> Claimed:
    """A message of it that is in our hands."""
    with github.app.database.work() as work:
        key = f"a test's own {review.id} {work.outbox.now()}"
        work.outbox.send(Envelope(PublishCheck(review.id), key))
        number = work.transaction.execute(select(outbox.c.id).where(outbox.c.key == key)).scalar_one()
        claimed = work.outbox.claim(MessageId(number), "a test")
    assert claimed is not None
    return claimed


def test_what_was_brought_to_a_mirror_is_brought_to_the_one_that_took_its_place(github: GithubBench) -> None:
    repository = github.repository({"a.txt": "fine\n"})
    heads = [github.change(repository, {f"{name}.txt": "fine\n"}, name).head_sha for name in ("one", "other")]
    github.settle()
    one, other = (judged(github, head) for head in heads)
    app, brought = github.app, set[tuple[Path, int, Change]]()

    def context(review: Review, fetched: set[tuple[Path, int, Change]]) -> Context:
        return Context(app.database, app.memory, app.plugins, app.places, claimed_for(github, review), fetched=fetched)

    context(one, brought).mirror_of(one).drop()
    made_anew = context(other, set()).mirror_of(other)
    assert made_anew.lacking([one.change.head]) == [one.change.head]
    context(one, brought).mirror_of(one)
    assert made_anew.lacking([one.change.head]) == []
