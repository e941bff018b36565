"""Reviews: one verdict on one change."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, FromClause, Row, Select, and_, insert, select, update

from pipeline.errors import StaleWrite
from pipeline.lifecycle import REVIEW
from pipeline.model.ids import CommitId, InstallationId, RepositoryId, ReviewId
from pipeline.model.review import Change, Conclusion, Review, ReviewStatus, Verdict
from pipeline.model.scan import Gap
from pipeline.model.target import Installation, PullRequestRef, SourceRepository
from pipeline.store.codec import Codec
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.identity import to_installation, to_repository
from pipeline.store.installations import Installations
from pipeline.store.scans import Scans
from pipeline.store.tables import installations, repositories, reviews, subjects
from pipeline.store.transaction import Transaction, chunks

CHANGE: Codec[Change] = Codec(TypeAdapter(Change))
VERDICT: Codec[Verdict] = Codec(TypeAdapter(Verdict))
GAPS: Codec[tuple[Gap, ...]] = Codec(TypeAdapter(tuple[Gap, ...]))

Facts = Mapping[str, str | int | float | bool | None]
"""Facts of a run for its report (`seconds`, `tool_version`): flat, JSON."""


@dataclass(frozen=True, slots=True)
class ReviewSummary:
    """How a change stands that has a certain commit as its head."""

    id: ReviewId
    pull_request: int | None
    """None for a push to a branch."""
    branch: str
    status: ReviewStatus
    conclusion: Conclusion | None
    """None while there is no verdict."""
    seconds: float
    """From making the review to its verdict; 0.0 while there is none."""


@dataclass(frozen=True, slots=True)
class ReviewTimes:
    """Moments of a review, seconds since 1970 by the clock of the database; None when it has not happened."""

    created: float
    settled: float | None
    finished: float | None


class Reviews(Scans):
    """Reviews with their batches and scans. Part of a `Work`."""

    def __init__(self, transaction: Transaction, installations_of_work: Installations) -> None:
        super().__init__(transaction)
        self._installations = installations_of_work

    # --- making and finding ---

    def create(
        self, key: str, installation: Installation, change: Change, *, status: ReviewStatus, asked: bool = False
    ) -> tuple[ReviewId, bool]:
        """The review with this key, made when there is none; it becomes the newest of its pull request or branch.

        A cancelled review is not taken up again, nor one whose change the pull request had left: when it returns to a head, the change is
        judged anew, as threads, comment and findings are by now what the later head made of them. Who asked again meanwhile for the same
        change has the answer for all.

        Args:
            asked: a review of everything that was asked for through the API: it takes no place of those that make the list.

        Returns:
            Its id, and True when it was made now.
        """
        installation_id = self._installations.upsert(installation)
        repository_id = self._installations.identify(change.repository)
        subject = _subject(change) if not asked else f"{ASKED}{change.head_ref}"
        self._lock_subject(repository_id, subject)
        newest = select(reviews.c.id, reviews.c.attempt, reviews.c.status).where(reviews.c.key == key)
        found = self._transaction.execute(newest.order_by(reviews.c.attempt.desc()).limit(1)).one_or_none()
        known = None
        if found is not None and found.status != ReviewStatus.CANCELLED:
            known = self._standing(repository_id, subject, found.id, change)
        if known is not None:
            self._point(repository_id, subject, known)
            return ReviewId(known), False
        row = {
            "id": new_id(),
            "key": key,
            "attempt": 1 if found is None else found.attempt + 1,
            "installation_id": installation_id,
            "repository_id": repository_id,
            "subject": subject,
            "pull_request": None if change.pull_request is None else change.pull_request.number,
            "head": change.head,
            "head_ref": change.head_ref,
            "status": status,
            "change": CHANGE.dump(change),
            "created_at": database_now(),
            "updated_at": database_now(),
        }
        self._transaction.execute(insert(reviews).values(row))
        self._point(repository_id, subject, str(row["id"]))
        return ReviewId(str(row["id"])), True

    def for_fixes(self, key: str, installation: Installation, change: Change, verdict: Verdict) -> ReviewId:
        """The review with this key, made when there is none: one that is over, of a commit whose findings are in the list already, so that
        something can be made for them. It is the newest of nothing, and nobody waits for it."""
        row = {
            "id": new_id(),
            "key": key,
            "attempt": 1,
            "installation_id": self._installations.upsert(installation),
            "repository_id": self._installations.identify(change.repository),
            "subject": _subject(change),
            "pull_request": None,
            "head": change.head,
            "head_ref": change.head_ref,
            "status": ReviewStatus.DONE,
            "change": CHANGE.dump(change),
            "created_at": database_now(),
            "updated_at": database_now(),
            "finished_at": database_now(),
        }
        self._transaction.add_missing(reviews, [row], ["key", "attempt"])
        found = ReviewId(self._transaction.execute(select(reviews.c.id).where(reviews.c.key == key)).scalar_one())
        self.save_verdict(found, verdict)  # retention may have taken the one that it had
        return found

    def get(self, review_id: ReviewId) -> Review:
        """A review, its repository under the name that it has now. Raises StaleWrite when there is none."""
        return to_review(self._transaction.one(selected().where(reviews.c.id == review_id), f"there is no review {review_id}"))

    def newest(self, ref: PullRequestRef) -> Review | None:
        """The review of the newest head of a pull request; None when it was never judged."""
        at = subjects.join(reviews, subjects.c.review_id == reviews.c.id)
        statement = selected(at).where(_of_repository(ref.repository), subjects.c.subject == _subject_of(ref))
        row = self._transaction.execute(statement).one_or_none()
        return None if row is None else to_review(row)

    def live_of(self, ref: PullRequestRef) -> list[Review]:
        """The reviews of a pull request that have not ended, oldest first."""
        return self._live(ref.repository, _subject_of(ref))

    def live_of_branch(self, repository: SourceRepository, branch: str) -> list[Review]:
        """The reviews of pushes to a branch that have not ended, oldest first."""
        return self._live(repository, f"branch:{branch}")

    def live_of_repository(self, repository: RepositoryId) -> list[Review]:
        """Every review of a repository that has not ended, oldest first."""
        statement = selected().where(reviews.c.repository_id == repository, reviews.c.status.in_(REVIEW.live))
        return [to_review(row) for row in self._transaction.execute(statement.order_by(reviews.c.id))]

    def interrupted(self, repository: RepositoryId) -> list[Review]:
        """What was cancelled although it is still open and nothing newer came: the repository was out of our reach for a while."""
        start = subjects.join(reviews, subjects.c.review_id == reviews.c.id)
        statement = selected(start).where(
            subjects.c.repository_id == repository, subjects.c.open, reviews.c.status == ReviewStatus.CANCELLED
        )
        return [to_review(row) for row in self._transaction.execute(statement.order_by(reviews.c.id))]

    def of_branches(self, repository: RepositoryId, limit: int) -> list[Review]:
        """The newest reviews of pushes, however they ended; a merge queue's are among them."""
        statement = selected().where(reviews.c.repository_id == repository, reviews.c.pull_request.is_(None))
        return [to_review(row) for row in self._transaction.execute(statement.order_by(reviews.c.id.desc()).limit(limit))]

    def judged_branch(self, repository: SourceRepository, branch: str) -> bool:
        """True when a push to this branch was ever judged."""
        start = subjects.join(repositories, subjects.c.repository_id == repositories.c.id)
        statement = select(subjects.c.subject).select_from(start)
        found = self._transaction.execute(statement.where(_of_repository(repository), subjects.c.subject == f"branch:{branch}"))
        return found.one_or_none() is not None

    def live_whole(self, repository: RepositoryId) -> Review | None:
        """The review of everything that is under way in a repository; None when there is none."""
        statement = selected().where(reviews.c.repository_id == repository, ~_shown, reviews.c.status.in_(REVIEW.live))
        row = self._transaction.execute(statement.order_by(reviews.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else to_review(row)

    def of_head(self, repository: SourceRepository, commit: CommitId) -> list[ReviewSummary]:
        """How every open pull request, and every pushed branch, stands whose newest judged head is `commit`; oldest first.

        A cancelled review is left out: nothing of it is to be shown.
        The check on a commit shows the worst of these (ARCHITECTURE, "A verdict belongs to a change, not to a commit").
        """
        statement = (
            select(reviews)
            .select_from(
                subjects.join(reviews, subjects.c.review_id == reviews.c.id).join(
                    repositories, reviews.c.repository_id == repositories.c.id
                )
            )
            .where(_of_repository(repository), subjects.c.open, reviews.c.head == commit)
            .where(reviews.c.status != ReviewStatus.CANCELLED, _shown)
            .order_by(reviews.c.id)
        )
        return [_to_summary(row) for row in self._transaction.execute(statement)]

    def open_pulls_at(self, host: SourceRepository, commit: CommitId) -> list[Review]:
        """The newest review of every open pull request whose newest judged head is `commit`, in any repository of the host of `host`:
        a fork has the commit as well. Oldest first, without cancelled ones."""
        start = subjects.join(reviews, subjects.c.review_id == reviews.c.id)
        statement = selected(start).where(repositories.c.provider == host.provider, repositories.c.instance == host.instance)
        statement = statement.where(subjects.c.open, reviews.c.head == commit, reviews.c.pull_request.is_not(None))
        statement = statement.where(reviews.c.status != ReviewStatus.CANCELLED)
        return [to_review(row) for row in self._transaction.execute(statement.order_by(reviews.c.id))]

    def all_of_head(self, repository: SourceRepository, commit: CommitId) -> list[ReviewId]:
        """Every review that ever had `commit` as its head, also cancelled ones, oldest first: each may have a check of its own there."""
        statement = selected().where(_of_repository(repository), reviews.c.head == commit, _shown)
        return [ReviewId(row.id) for row in self._transaction.execute(statement.order_by(reviews.c.id))]

    def planned_of(self, repository: SourceRepository, commit: CommitId) -> list[ReviewId]:
        """The reviews of a head that were made but whose scans were not, oldest first."""
        statement = selected().where(_of_repository(repository), reviews.c.head == commit, reviews.c.status == ReviewStatus.PLANNED)
        return [ReviewId(row.id) for row in self._transaction.execute(statement.order_by(reviews.c.id))]

    # --- moving ---

    def move(
        self,
        review_id: ReviewId,
        old: ReviewStatus | Collection[ReviewStatus],
        new: ReviewStatus,
        *,
        superseded_by: str = "",
        why: str = "",
    ) -> None:
        """Move a review that is in (one of) the state(s) `old`. Its scans and batches end with it.

        Args:
            why: why it failed, as a sentence.

        Raises:
            IllegalMove: the lifecycle has no such move.
            StaleWrite: the review is in another state by now.
        """
        olds = [old] if isinstance(old, ReviewStatus) else list(old)
        for state in olds:
            REVIEW.advance(state, new)
        values: dict[str, Any] = {"status": new, "updated_at": database_now()}
        if superseded_by:
            values["superseded_by"] = superseded_by
        if REVIEW.terminal(new):
            values["finished_at"] = database_now()
        if self._transaction.changed(update(reviews).where(reviews.c.id == review_id, reviews.c.status.in_(olds)).values(values)) != 1:
            raise StaleWrite(f"review {review_id} is not {' or '.join(sorted(olds))} any more")
        match new:
            case ReviewStatus.CANCELLED:
                self.cancel_scans(review_id)
            case ReviewStatus.FAILED:
                self.fail_scans(review_id, why)
            case ReviewStatus.PUBLISHING:
                self.finish_batches(review_id)

    def mark_closed(self, ref: PullRequestRef) -> None:
        """The pull request was closed or merged: its verdicts speak for no commit any more. `create` opens it again."""
        self._close(ref.repository, _subject_of(ref))

    def mark_branch_deleted(self, repository: SourceRepository, branch: str) -> None:
        """The branch was deleted: likewise."""
        self._close(repository, f"branch:{branch}")

    def set_draft(self, review_id: ReviewId, draft: bool) -> bool:
        """The pull request was made a draft, or marked ready, while it stayed at this head. True when that is news.

        Whoever ends the review reads this after his own write to its row, and we read how it stands after ours: one of both sees all.
        """
        change = CHANGE.load(str(self._get(review_id, reviews.c.change)))
        if change.draft == draft:
            return False
        self._set(review_id, change=CHANGE.dump(replace(change, draft=draft)))
        return True

    def move_home(self, repository: RepositoryId, installation: InstallationId) -> None:
        """A repository is seen through another installation from now on, and all that was said of it is said through that one."""
        self.move_all_home([repository], installation)

    def move_all_home(self, moved: Collection[RepositoryId], installation: InstallationId) -> None:
        """`move_home` for many, with few statements."""
        values = {"installation_id": installation, "updated_at": database_now()}
        for chunk in chunks(moved):
            mine = (reviews.c.repository_id.in_(chunk), reviews.c.installation_id != installation)
            self._transaction.execute(update(reviews).where(*mine).values(values))

    # --- what was decided ---

    def set_policy(self, review_id: ReviewId, policy_json: str, source: str, gaps: Sequence[Gap] = (), record_json: str = "") -> None:
        """Keep the policy by which the change is judged, where it was read, what was wrong with it, and how it was put together."""
        wrong = GAPS.dump(tuple(gaps))
        self._set(review_id, policy=policy_json, policy_source=source, policy_gaps=wrong, policy_record=record_json or None)

    def policy(self, review_id: ReviewId) -> str:
        """The policy as JSON; `{}` (all defaults) before `set_policy`."""
        return str(self._get(review_id, reviews.c.policy) or "{}")

    def policy_source(self, review_id: ReviewId) -> str:
        """Where the policy was read: `.github/fixwright.yml at 9d1f0aa`, or `defaults`."""
        return str(self._get(review_id, reviews.c.policy_source))

    def policy_record(self, review_id: ReviewId) -> str:
        """How the policy was put together, as JSON (`pipeline.policy.PolicyRecord`); `{}` when nobody said."""
        return str(self._get(review_id, reviews.c.policy_record) or "{}")

    def policy_gaps(self, review_id: ReviewId) -> tuple[Gap, ...]:
        """What was wrong with the policy."""
        found = self._get(review_id, reviews.c.policy_gaps)
        return () if found is None else GAPS.load(str(found))

    def save_verdict(self, review_id: ReviewId, verdict: Verdict, facts: Facts | None = None, *, settled_before: bool = False) -> None:
        """Keep what the gate decided, and the facts of the run for its report.

        Args:
            settled_before: the verdict was decided anew: how long the review took, and its facts, stay as they were.
        """
        until = verdict.rests_until
        values: dict[str, Any] = {"verdict": VERDICT.pack(verdict), "conclusion": verdict.conclusion}
        values["rests_until"] = None if until is None else until.isoformat()
        if not settled_before:
            values.update(facts=json.dumps(dict(facts or {})), settled_at=database_now())
        self._set(review_id, **values)

    def verdict(self, review_id: ReviewId) -> Verdict:
        """What the gate decided. Raises StaleWrite when it has not."""
        packed = self._get(review_id, reviews.c.verdict)
        if not isinstance(packed, bytes):
            raise StaleWrite(f"review {review_id} has no verdict yet")
        return VERDICT.unpack(packed)

    def known_verdict(self, review_id: ReviewId) -> Verdict | None:
        """What the gate decided; None when it has not, or when the review is no longer kept."""
        packed = self._transaction.execute(select(reviews.c.verdict).where(reviews.c.id == review_id)).scalar_one_or_none()
        return None if packed is None else VERDICT.unpack(packed)

    def facts(self, review_id: ReviewId) -> dict[str, str | int | float | bool | None]:
        """The facts saved with the verdict; empty before."""
        found = self._get(review_id, reviews.c.facts)
        return {} if found is None else dict(json.loads(str(found)))

    def times(self, review_id: ReviewId) -> ReviewTimes:
        """When things happened."""
        statement = select(reviews.c.created_at, reviews.c.settled_at, reviews.c.finished_at).where(reviews.c.id == review_id)
        row = self._transaction.one(statement, f"there is no review {review_id}")
        return ReviewTimes(row.created_at, row.settled_at, row.finished_at)

    def age(self, review_id: ReviewId) -> float:
        """Seconds since it was made, by the clock of the database."""
        statement = select(database_now() - reviews.c.created_at).where(reviews.c.id == review_id)
        return max(0.0, float(self._transaction.one(statement, f"there is no review {review_id}")[0]))

    # --- inside ---

    def _live(self, repository: SourceRepository, subject: str) -> list[Review]:
        statement = selected().where(_of_repository(repository), reviews.c.subject == subject, reviews.c.status.in_(REVIEW.live))
        return [to_review(row) for row in self._transaction.execute(statement.order_by(reviews.c.id))]

    def _lock_subject(self, repository_id: str, subject: str) -> None:
        """One at a time makes reviews of one pull request: the row is locked until our commit."""
        row = {"repository_id": repository_id, "subject": subject, "open": True, "updated_at": database_now()}
        self._transaction.upsert(subjects, [row], ["repository_id", "subject"], ["open", "updated_at"])

    def _standing(self, repository_id: str, subject: str, found: str, change: Change) -> str | None:
        """The review that stands for a change of which `found` was the review; None when the pull request had left it."""
        at = subjects.join(reviews, subjects.c.review_id == reviews.c.id)
        statement = select(reviews.c.id, reviews.c.status, reviews.c.change).select_from(at)
        statement = statement.where(subjects.c.repository_id == repository_id, subjects.c.subject == subject)
        newest = self._transaction.execute(statement).one_or_none()
        if change.pull_request is None or newest is None or newest.id == found:
            return found
        then = CHANGE.load(str(newest.change))
        same = (then.base_ref, then.base, then.head) == (change.base_ref, change.base, change.head)
        return str(newest.id) if same and newest.status != ReviewStatus.CANCELLED else None

    def _point(self, repository_id: str, subject: str, review_id: str) -> None:
        this = (subjects.c.repository_id == repository_id, subjects.c.subject == subject)
        self._transaction.execute(update(subjects).where(*this).values(review_id=review_id))

    def _close(self, repository: SourceRepository, subject: str) -> None:
        # Also when it was never judged: a row makes a later answer unambiguous.
        repository_id = self._installations.upsert_repository(repository)
        row = {"repository_id": repository_id, "subject": subject, "open": False, "updated_at": database_now()}
        self._transaction.upsert(subjects, [row], ["repository_id", "subject"], ["open", "updated_at"])

    def _set(self, review_id: ReviewId, **values: Any) -> None:
        statement = update(reviews).where(reviews.c.id == review_id).values(**values, updated_at=database_now())
        if self._transaction.changed(statement) != 1:
            raise StaleWrite(f"there is no review {review_id}")

    def _get(self, review_id: ReviewId, column: ColumnElement[Any]) -> object:
        found: object = self._transaction.one(select(column).where(reviews.c.id == review_id), f"there is no review {review_id}")[0]
        return found


WHOLE = "whole:"
"""How the subject of a review of everything begins. It is no state of a commit that anything is shown of."""

ASKED = f"{WHOLE}asked:"
"""Likewise, when it was asked for through the API. No branch is called so: git allows no colon in names."""

_shown = ~reviews.c.subject.startswith(WHOLE, autoescape=True)


def _subject(change: Change) -> str:
    if change.whole:
        return f"{WHOLE}{change.head_ref}"
    return f"branch:{change.head_ref}" if change.pull_request is None else _subject_of(change.pull_request)


def _subject_of(ref: PullRequestRef) -> str:
    return f"pull_request:{ref.number}"


def _of_repository(repository: SourceRepository) -> ColumnElement[bool]:
    return and_(
        repositories.c.provider == repository.provider,
        repositories.c.instance == repository.instance,
        repositories.c.external_id == repository.external_id,
    )


_INSTALLATION = [column.label(f"installation_{column.name}") for column in installations.c]
_REPOSITORY = [column.label(f"repository_{column.name}") for column in repositories.c]


def selected(start: FromClause = reviews) -> Select[Any]:
    """Reviews with their installation and repository; `start` may join more."""
    joined = start.join(installations, reviews.c.installation_id == installations.c.id)
    joined = joined.join(repositories, reviews.c.repository_id == repositories.c.id)
    columns = (reviews.c.id, reviews.c.status, reviews.c.change, reviews.c.superseded_by, *_INSTALLATION, *_REPOSITORY)
    return select(*columns).select_from(joined)


def _to_summary(row: Row[Any]) -> ReviewSummary:
    return ReviewSummary(
        id=ReviewId(row.id),
        pull_request=row.pull_request,
        branch=row.head_ref,
        status=ReviewStatus(row.status),
        conclusion=None if row.conclusion is None else Conclusion(row.conclusion),
        seconds=0.0 if row.settled_at is None else max(0.0, row.settled_at - row.created_at),
    )


def to_review(row: Row[Any]) -> Review:
    """A row of `selected`."""
    change = CHANGE.load(row.change)
    repository = to_repository(row._mapping, "repository_")
    if change.pull_request is not None:
        change = replace(change, pull_request=replace(change.pull_request, repository=repository))
    return Review(
        id=ReviewId(row.id),
        installation=to_installation(row._mapping, "installation_"),
        change=replace(change, repository=repository),
        status=ReviewStatus(row.status),
        superseded_by=row.superseded_by,
    )
