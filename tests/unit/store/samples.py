"""Small model objects for the store's tests."""

from __future__ import annotations

from sqlalchemy import update

from pipeline.messages import Envelope, SettleReview
from pipeline.model.finding import Confidence, Finding, Location, Rule, Severity
from pipeline.model.ids import CommitId, Handle, InstallationId, RepositoryId, ReviewId
from pipeline.model.review import Change, ReviewStatus
from pipeline.model.target import Installation, PullRequestRef, SourceRepository
from pipeline.store.engine import Database
from pipeline.store.tables import outbox
from pipeline.store.work import Work

HOSTILE = "a\\b\x00\udc80\n/'; DROP TABLE reviews; --\\u0041"
"""Text that a database, a shell or a reader could take wrongly; undecodable bytes are surrogate escapes."""

INSTALLATION = Installation(InstallationId(""), "github", "github.com", "acme", "17")
REPOSITORY = SourceRepository("github", "github.com", "4711", "acme/shop", "main", "https://github.com/acme/shop.git", installation="17")
RULE = Rule("python.sql-injection", "Request data becomes SQL", "A visitor can read the database.", Severity.HIGH, Confidence.HIGH, 89)


def commit(letter: str) -> CommitId:
    """A commit name of one letter."""
    return CommitId(letter * 40)


def pull_request(number: int = 7) -> PullRequestRef:
    """A pull request of `REPOSITORY`."""
    return PullRequestRef(REPOSITORY, number)


def change(head: str = "a", *, number: int | None = 7, head_ref: str = "feature") -> Change:
    """A change with the head `commit(head)`."""
    ref = None if number is None else pull_request(number)
    return Change(REPOSITORY, commit("0"), commit(head), commit("1"), base_ref="main", head_ref=head_ref, pull_request=ref)


def review(work: Work, head: str = "a", *, number: int | None = 7, key: str = "") -> ReviewId:
    """A planned review."""
    made = change(head, number=number)
    return work.reviews.create(key or f"{number}:{head}", INSTALLATION, made, status=ReviewStatus.PLANNED)[0]


def repository(work: Work) -> RepositoryId:
    """Our id of `REPOSITORY`."""
    return work.installations.upsert_repository(REPOSITORY)


def finding(number: int = 1, path: str = "app/users.py", line: int = 3) -> Finding:
    """A finding with a handle of its own."""
    place = Location(path, line, line)
    return Finding(RULE, place, f"v1:{number:032x}", "semgrep", handle=Handle(f"H{number:02d}"), excerpt="query = f'...'")


def envelope(key: str = "settle", *, priority: int = 1, delay: float = 0.0, group: str = "") -> Envelope:
    """A message."""
    return Envelope(SettleReview(ReviewId(key)), key, priority=priority, delay=delay, group=group)


def let_pass(database: Database, seconds: float) -> None:
    """Make the outbox believe that time has passed: all its moments move into the past."""
    with database.work() as work:
        columns = outbox.c
        moments = (columns.created_at, columns.due_at, columns.publish_at, columns.lease_until, columns.finished_at)
        work.transaction.execute(update(outbox).values({moment: moment - seconds for moment in moments}))
