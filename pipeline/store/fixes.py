"""Fix runs: what was asked, each attempt at it, the patch, its proof, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update

from pipeline.errors import StaleWrite
from pipeline.fixprogress import LIVE
from pipeline.lifecycle import FIX_RUN
from pipeline.model.fix import MOST_MEMBERS, Fix, FixAttempt, FixStatus, Member, MemberState, Proof, Receipt
from pipeline.model.ids import CommitId, FindingId, FixId, Handle, RepositoryId, ReviewId
from pipeline.model.target import PullRequestRef
from pipeline.store.codec import Codec
from pipeline.store.columns import database_now
from pipeline.store.identifiers import new_id
from pipeline.store.quotas import Quotas
from pipeline.store.seen import FixEventKind
from pipeline.store.tables import finding_events, findings, fix_attempts, fixes, reviews
from pipeline.store.transaction import Transaction

PROOF: Codec[Proof] = Codec(TypeAdapter(Proof))
RECEIPT: Codec[Receipt] = Codec(TypeAdapter(Receipt))
PULL_REQUEST: Codec[PullRequestRef] = Codec(TypeAdapter(PullRequestRef))
MEMBERS: Codec[tuple[Member, ...]] = Codec(TypeAdapter(tuple[Member, ...]))

_TOLD: dict[FixStatus, FixEventKind] = {
    FixStatus.RUNNING: "fix_started",
    FixStatus.COMPLETED: "fix_completed",
    FixStatus.FAILED: "fix_failed",
    FixStatus.CANCELLED: "fix_cancelled",
}

_OF_A_PATCH: tuple[FixEventKind, ...] = ("fix_completed", "fix_pr_created", "fix_pr_updated")


@dataclass(frozen=True, slots=True)
class Tried:
    """A fix run for what the default branch has, as far as it decides what is begun next."""

    fix: FixId
    finding: FindingId
    status: FixStatus
    by_itself: bool
    """True when nobody asked for it."""
    age: float
    """Seconds since it was begun."""
    left_out: bool = False
    """True when the patch is without this one of its findings."""

    @property
    def live(self) -> bool:
        """True while it is made."""
        return self.status in LIVE

    @property
    def over(self) -> bool:
        """True when it ended without a patch."""
        return self.left_out or self.status in (FixStatus.FAILED, FixStatus.CANCELLED)


class Fixes:
    """Fix runs. Part of a `Work`. Each move of a run is written into the history of its finding in the same transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def create(
        self,
        repository: RepositoryId,
        review: ReviewId,
        fingerprint: str,
        handle: str,
        place: str = "",
        *,
        title: str = "",
        asked_by: str = "",
        instructions: str = "",
        choice: str = "",
        also: Sequence[tuple[str, str, str]] = (),
        called: str = "",
    ) -> tuple[FixId, bool]:
        """The one fix run of a finding of a review, made when there is none.

        Args:
            place: `FILE:LINE` of the one that is meant when the identity has several places; else empty.
            also: what it is to mend as well, in this order: fingerprint, handle and place of each.
            called: the handle that names the run and its branch, when it is not that of the finding.
            instructions: what is wished for; `choice` is what was understood of it. Kept only when the run is made now.

        Returns:
            Its id, and True when it was made now.

        Raises:
            StaleWrite: no review ever remembered such a finding.
        """
        if len(also) >= MOST_MEMBERS:
            raise ValueError(f"one fix mends at most {MOST_MEMBERS} places")
        members = [self._member(repository, *named) for named in ((fingerprint, handle, place), *also)]
        # Behind a blank, which no fingerprint has: so each place of an identity has its own run.
        key = f"{fingerprint} {place}" if place else fingerprint
        row = {
            "id": new_id(),
            "review_id": review,
            "repository_id": repository,
            "finding_id": members[0].finding,
            "fingerprint": key,
            "handle": called or handle,
            "members": MEMBERS.dump(tuple(members)),
            "title": title,
            "asked_by": asked_by,
        }
        return self._begin(row, instructions, choice)

    def again(self, fix_id: FixId, *, asked_by: str = "", instructions: str = "", choice: str = "") -> FixId:
        """A new run in the place of one that failed or was cancelled, which is kept as it ended. Raises StaleWrite when it did not."""
        over = (FixStatus.FAILED, FixStatus.CANCELLED)
        wanted = select(fixes).where(fixes.c.id == fix_id, fixes.c.status.in_(over), fixes.c.replaced_by == "")
        old = self._transaction.one(wanted, f"fix {fix_id} has not failed")
        row = {name: old._mapping[name] for name in ("review_id", "repository_id", "finding_id", "fingerprint", "handle", "title")}
        wanted_again = tuple(replace(one, state=MemberState.WANTED, choice="", at=None, why="") for one in members_in(old))
        row |= {"id": new_id(), "asked_by": asked_by or old.asked_by, "members": MEMBERS.dump(wanted_again)}
        away = update(fixes).where(fixes.c.id == fix_id, fixes.c.replaced_by == "")
        if self._transaction.changed(away.values(replaced_by=row["id"], fingerprint=f"{old.fingerprint} {fix_id}")) != 1:
            raise StaleWrite(f"fix {fix_id} has been begun again already")
        return self._begin(row, instructions, choice)[0]

    def refine(self, fix_id: FixId, *, instructions: str, choice: str, asked_by: str = "") -> int:
        """Begin one more attempt at a run that has its patch: it is running again, and what it has stands until there is better.

        Returns:
            The number of the attempt.

        Raises:
            IllegalMove, StaleWrite: as `move`.
        """
        fix = self.get(fix_id)
        FIX_RUN.advance(fix.status, FixStatus.RUNNING)
        moved = update(fixes).where(fixes.c.id == fix_id, fixes.c.status == fix.status, fixes.c.attempt == fix.attempt)
        values = {"status": FixStatus.RUNNING, "attempt": fix.attempt + 1, "error": "", "updated_at": database_now()}
        if self._transaction.changed(moved.values(values)) != 1:
            raise StaleWrite(f"fix {fix_id} is not {fix.status} any more")
        self._attempt(fix_id, fix.repository, fix.attempt + 1, asked_by, instructions, choice)
        return fix.attempt + 1

    def get(self, fix_id: FixId) -> Fix:
        """A fix run. Raises StaleWrite when there is none."""
        if not (fix_id.isascii() and fix_id.isprintable()):  # not every database can be asked for such a text
            raise StaleWrite("there is no fix of that id")
        return to_fix(self._transaction.one(select(fixes).where(fixes.c.id == fix_id), f"there is no fix {fix_id}"))

    def of_finding(self, review: ReviewId, fingerprint: str, place: str = "") -> Fix | None:
        """The run of a finding of a review; None when nobody asked for one. Arguments as of `create`."""
        key = f"{fingerprint} {place}" if place else fingerprint
        row = self._transaction.execute(select(fixes).where(fixes.c.review_id == review, fixes.c.fingerprint == key)).one_or_none()
        return None if row is None else to_fix(row)

    def of_review(self, review: ReviewId) -> list[Fix]:
        """The fix runs of a review, oldest first, without those that were begun again."""
        statement = select(fixes).where(fixes.c.review_id == review, fixes.c.replaced_by == "").order_by(fixes.c.id)
        return [to_fix(row) for row in self._transaction.execute(statement)]

    def of_default(self, repository: RepositoryId, commit: CommitId) -> list[Fix]:
        """The fix runs for what the default branch has at a commit, oldest first, without those that were begun again."""
        statement = select(fixes).join(reviews, fixes.c.review_id == reviews.c.id).order_by(fixes.c.id)
        mine = (reviews.c.repository_id == repository, reviews.c.pull_request.is_(None), reviews.c.head == commit)
        return [to_fix(row) for row in self._transaction.execute(statement.where(*mine, fixes.c.replaced_by == ""))]

    def tried(self, repository: RepositoryId, seconds: float) -> list[Tried]:
        """The fix runs for what the default branch has that were begun in the last so many seconds."""
        statement = select(fixes, (database_now() - fixes.c.created_at).label("age")).select_from(
            fixes.join(reviews, fixes.c.review_id == reviews.c.id)
        )
        mine = (reviews.c.repository_id == repository, reviews.c.pull_request.is_(None), fixes.c.created_at > database_now() - seconds)
        return [
            Tried(FixId(row.id), finding, FixStatus(row.status), not row.asked_by, float(row.age), left_out=left_out)
            for row in self._transaction.execute(statement.where(*mine))
            for finding, left_out in _findings(members_in(row)).items()
        ]

    def newest(self, limit: int, *, repository: RepositoryId | None = None, status: FixStatus | None = None) -> list[Fix]:
        """Fix runs, the newest first."""
        statement: Select[Any] = select(fixes).order_by(fixes.c.created_at.desc(), fixes.c.id.desc()).limit(limit)
        if repository is not None:
            statement = statement.where(fixes.c.repository_id == repository)
        if status is not None:
            statement = statement.where(fixes.c.status == status)
        return [to_fix(row) for row in self._transaction.execute(statement)]

    def attempts(self, fix_id: FixId) -> list[FixAttempt]:
        """Every attempt at a run, oldest first."""
        statement = select(fix_attempts).where(fix_attempts.c.fix_id == fix_id).order_by(fix_attempts.c.number)
        return [to_attempt(row) for row in self._transaction.execute(statement)]

    def fingerprint(self, fix_id: FixId) -> str:
        """Of the finding that is to be mended."""
        return str(self._get(fix_id, fixes.c.fingerprint)).partition(" ")[0]

    def move(self, fix_id: FixId, old: FixStatus | Collection[FixStatus], new: FixStatus, *, error: str = "", actor: str = "") -> None:
        """Move a fix run that is in (one of) the state(s) `old`; `error` is a sentence for people, `actor` the login of who did it.

        Raises:
            IllegalMove: the lifecycle has no such move.
            StaleWrite: it is in another state by now.
        """
        olds = [old] if isinstance(old, FixStatus) else list(old)
        for state in olds:
            FIX_RUN.advance(state, new)
        moved = update(fixes).where(fixes.c.id == fix_id, fixes.c.status.in_(olds))
        if self._transaction.changed(moved.values(status=new, error=error, updated_at=database_now())) != 1:
            raise StaleWrite(f"fix {fix_id} is not {' or '.join(sorted(olds))} any more")
        if set(olds) & set(LIVE):
            self._account(fix_id, new)
            self._move_attempt(fix_id, new, error)
            self.tell(fix_id, _TOLD[new], error, actor)

    def start(self, fix_id: FixId, attempt: int) -> None:
        """A worker takes an attempt: the first, or that of a refinement. Once more after a crash changes nothing.

        Raises:
            StaleWrite: the run ended, was called off, or a newer attempt was begun.
        """
        fix = self.get(fix_id)
        if fix.attempt != attempt or fix.status not in LIVE:
            raise StaleWrite(f"attempt {attempt} of fix {fix_id} is not to be made any more")
        if fix.status is FixStatus.PENDING:
            self.move(fix_id, FixStatus.PENDING, FixStatus.RUNNING)
        elif self._move_attempt(fix_id, FixStatus.RUNNING):
            self.tell(fix_id, "fix_started")

    def fail(self, fix_id: FixId, reason: str) -> None:
        """The newest attempt came to nothing, `reason` says why. A run that has a proven patch from before is as it was then.

        Raises:
            StaleWrite: it has ended meanwhile, or was called off.
        """
        fix = self.get(fix_id)
        if fix.attempt == 1 or fix.receipt is None:
            self.move(fix_id, LIVE, FixStatus.FAILED, error=reason)
            return
        moved = update(fixes).where(fixes.c.id == fix_id, fixes.c.status == FixStatus.RUNNING)
        if self._transaction.changed(moved.values(status=FixStatus.COMPLETED, error=reason, updated_at=database_now())) != 1:
            raise StaleWrite(f"fix {fix_id} is not running any more")
        self._move_attempt(fix_id, FixStatus.FAILED, reason)
        self.tell(fix_id, "fix_failed", reason)

    def cancel(self, fix_id: FixId, who: str) -> bool:
        """Call a run off. It is cancelled at once; whoever makes it notices at its next `beat`. False when there was nothing to end."""
        live = update(fixes).where(fixes.c.id == fix_id, fixes.c.status.in_(LIVE))
        if self._transaction.changed(live.values(cancel_asked_at=database_now(), cancel_asked_by=who)) != 1:
            return False
        self.move(fix_id, LIVE, FixStatus.CANCELLED, actor=who)
        return True

    def beat(self, fix_id: FixId, attempt: int, steps: int) -> None:
        """A sign of life of the running attempt: how many things it has done, which never becomes less."""
        own = (fix_attempts.c.fix_id == fix_id, fix_attempts.c.number == attempt, fix_attempts.c.status == FixStatus.RUNNING)
        beaten = update(fix_attempts).where(*own, fix_attempts.c.steps <= steps)
        self._transaction.execute(beaten.values(steps=steps, active_at=database_now()))

    def wanted(self, fix_id: FixId, attempt: int) -> bool:
        """Whether somebody still waits for this attempt."""
        statement = select(fixes.c.status).where(fixes.c.id == fix_id, fixes.c.attempt == attempt)
        return self._transaction.execute(statement).scalar_one_or_none() in LIVE

    def record(
        self,
        fix_id: FixId,
        *,
        diff: str,
        proof: Proof | None,
        receipt: Receipt | None,
        title: str = "",
        base: str = "",
        choice: str | None = None,
        members: Sequence[Member] = (),
    ) -> None:
        """Keep what the newest attempt made: the diff as it may be shown, what the gate said, and the signed proof.

        The patch itself is made again when it is needed: what it takes out may be a secret. What was proven before stands until something
        else is.

        Args:
            choice: which patch it is in the end, when that is another one than the attempt began with.
            members: what became of each place; nothing: as it was.
        """
        fix = self.get(fix_id)
        made = {
            "diff": diff,
            "proof": None if proof is None else PROOF.dump(proof),
            "receipt": None if receipt is None else RECEIPT.dump(receipt),
        }
        newest = (fix_attempts.c.fix_id == fix_id, fix_attempts.c.number == fix.attempt)
        self._transaction.execute(update(fix_attempts).where(*newest).values(made | ({} if choice is None else {"choice": choice})))
        if receipt is None and fix.receipt is not None:
            return
        kept = self._transaction.execute(select(fix_attempts.c.choice).where(*newest)).scalar_one_or_none() or ""
        became = MEMBERS.dump(tuple(members or fix.members))
        self._set(fix_id, **made, choice=kept, title=title or fix.title, base=base or fix.base, members=became)

    def note(self, fix_id: FixId, reason: str) -> None:
        """Why what was made is not offered; empty when it is. A sentence for people."""
        self._set(fix_id, error=reason)

    def save_pull_request(self, fix_id: FixId, ref: PullRequestRef) -> None:
        """Keep where the patch was offered."""
        self._set(fix_id, pull_request=PULL_REQUEST.dump(ref))

    def live_of(self, repository: RepositoryId, pull_request: int) -> list[Fix]:
        """What is being made for a pull request, for whichever of its heads; oldest first."""
        joined = fixes.join(reviews, fixes.c.review_id == reviews.c.id)
        statement = select(fixes).select_from(joined).order_by(fixes.c.id)
        statement = statement.where(fixes.c.repository_id == repository, reviews.c.pull_request == pull_request, fixes.c.status.in_(LIVE))
        return [to_fix(row) for row in self._transaction.execute(statement)]

    def unopened(self, repository: RepositoryId, pull_request: int) -> list[Fix]:
        """The runs for a pull request whose own could not be opened; oldest first."""
        joined = fixes.join(reviews, fixes.c.review_id == reviews.c.id)
        mine = (fixes.c.repository_id == repository, reviews.c.pull_request == pull_request, fixes.c.pull_request.is_(None))
        failed = select(fixes).select_from(joined).where(*mine, fixes.c.status == FixStatus.PR_CREATION_FAILED)
        return [to_fix(row) for row in self._transaction.execute(failed.order_by(fixes.c.id))]

    def live_beside(self, fix: Fix) -> list[Fix]:
        """What is being made for the pull request that a run belongs to: called by the same finding of the same change or default branch,
        for whichever commit; itself included."""
        change = select(reviews.c.pull_request).where(reviews.c.id == fix.review)
        number = self._transaction.one(change, f"there is no review {fix.review}")[0]
        same = reviews.c.pull_request.is_(None) if number is None else reviews.c.pull_request == number
        mine = (fixes.c.repository_id == fix.repository, fixes.c.handle == fix.handle, same, fixes.c.status.in_(LIVE))
        joined = fixes.join(reviews, fixes.c.review_id == reviews.c.id)
        statement = select(fixes).select_from(joined).where(*mine).order_by(fixes.c.id.desc())
        found = [to_fix(row) for row in self._transaction.execute(statement)]
        return [one for one in found if number is None or one.place == fix.place]  # of the default branch a finding has one branch

    def open_count(self, repository: RepositoryId) -> int:
        """How many fix runs of a repository have not ended."""
        statement = select(func.count()).where(fixes.c.repository_id == repository, fixes.c.status.in_(LIVE))
        return int(self._transaction.execute(statement).scalar_one())

    def tell(self, fix_id: FixId, kind: FixEventKind, detail: str = "", actor: str = "") -> None:
        """Write into the history of each finding what became of its fix."""
        joined = fixes.join(reviews, fixes.c.review_id == reviews.c.id)
        statement = select(fixes, reviews.c.pull_request.label("number"), reviews.c.head_ref, reviews.c.head).select_from(joined)
        found = self._transaction.one(statement.where(fixes.c.id == fix_id), f"there is no fix {fix_id}")
        row = {
            "repository_id": found.repository_id,
            "review_id": found.review_id,
            "branch": found.head_ref if found.number is None else f"pull/{found.number}",
            "commit": found.head,
            "kind": kind,
            "actor": actor,
            "detail": f"{fix_id}: {detail}" if detail else fix_id,
            "at": database_now(),
        }
        members = members_in(found)
        for finding, left_out in _findings(members).items():
            told: dict[str, Any] = {}
            if left_out and kind in _OF_A_PATCH:
                if kind != "fix_completed":
                    continue
                why = next(one.why for one in members if one.finding == finding)
                told = {"kind": "fix_failed", "detail": f"{fix_id}: {why}"}
            self._transaction.execute(insert(finding_events).values({**row, "finding_id": finding, **told}))

    # --- inside ---

    def _member(self, repository: RepositoryId, fingerprint: str, handle: str, place: str) -> Member:
        finding = select(findings.c.id).where(findings.c.repository_id == repository, findings.c.fingerprint == fingerprint)
        found = self._transaction.one(finding, f"there is no finding {handle} in this repository")[0]
        return Member(FindingId(found), fingerprint, Handle(handle), place)

    def _begin(self, row: dict[str, Any], instructions: str, choice: str) -> tuple[FixId, bool]:
        moments = {"created_at": database_now(), "updated_at": database_now()}
        whole = {**row, "status": FixStatus.PENDING, "attempt": 1, **moments}
        created = self._transaction.add_missing(fixes, [whole], ["review_id", "fingerprint"]) == 1
        existing = select(fixes.c.id).where(fixes.c.review_id == row["review_id"], fixes.c.fingerprint == row["fingerprint"])
        fix_id = FixId(self._transaction.execute(existing).scalar_one())
        if created:
            self._attempt(fix_id, RepositoryId(row["repository_id"]), 1, row["asked_by"], instructions, choice)
            self.tell(fix_id, "fix_created", actor=row["asked_by"])
        return fix_id, created

    def _account(self, fix_id: FixId, new: FixStatus) -> None:
        """A unit that was reserved for the run is spent when there is a patch, and given back when there is none; who calls a run off that
        has begun has spent it."""
        begun = select(fix_attempts.c.started_at).where(fix_attempts.c.fix_id == fix_id, fix_attempts.c.number == 1)
        quotas = Quotas(self._transaction)
        if new is FixStatus.COMPLETED or (new is FixStatus.CANCELLED and self._transaction.execute(begun).scalar_one_or_none() is not None):
            quotas.settle(f"fix:{fix_id}")
        elif new in (FixStatus.FAILED, FixStatus.CANCELLED):
            quotas.refund(f"fix:{fix_id}")

    def _attempt(self, fix_id: FixId, repository: RepositoryId, number: int, asked_by: str, instructions: str, choice: str) -> None:
        row = {
            "fix_id": fix_id,
            "number": number,
            "repository_id": repository,
            "instructions": instructions,
            "asked_by": asked_by,
            "choice": choice,
            "status": FixStatus.PENDING,
            "created_at": database_now(),
        }
        self._transaction.execute(insert(fix_attempts).values(row))

    def _move_attempt(self, fix_id: FixId, new: FixStatus, error: str = "") -> bool:
        """The newest attempt goes where its run went; True when it was not there already."""
        newest = select(func.max(fix_attempts.c.number)).where(fix_attempts.c.fix_id == fix_id).scalar_subquery()
        own = (fix_attempts.c.fix_id == fix_id, fix_attempts.c.number == newest, fix_attempts.c.status.in_(LIVE))
        when = "started_at" if new is FixStatus.RUNNING else "ended_at"
        values = {"status": new, "error": error, when: database_now(), "active_at": database_now()}
        return self._transaction.changed(update(fix_attempts).where(*own, fix_attempts.c.status != new).values(values)) == 1

    def _set(self, fix_id: FixId, **values: str | bytes | None) -> None:
        statement = update(fixes).where(fixes.c.id == fix_id).values(**values, updated_at=database_now())
        if self._transaction.changed(statement) != 1:
            raise StaleWrite(f"there is no fix {fix_id}")

    def _get(self, fix_id: FixId, column: ColumnElement[Any]) -> object:
        found: object = self._transaction.one(select(column).where(fixes.c.id == fix_id), f"there is no fix {fix_id}")[0]
        return found


def to_fix(row: Row[Any]) -> Fix:
    """A row of the table."""
    return Fix(
        id=FixId(row.id),
        repository=RepositoryId(row.repository_id),
        review=ReviewId(row.review_id),
        finding=FindingId(row.finding_id),
        handle=Handle(row.handle),
        status=FixStatus(row.status),
        diff=row.diff,
        proof=None if row.proof is None else PROOF.load(row.proof),
        receipt=None if row.receipt is None else RECEIPT.load(row.receipt),
        pull_request=None if row.pull_request is None else PULL_REQUEST.load(row.pull_request),
        error=row.error,
        place=_key(row).partition(" ")[2],
        attempt=row.attempt,
        title=row.title,
        base=row.base,
        asked_by=row.asked_by,
        choice=row.choice,
        cancel_asked_by=row.cancel_asked_by,
        replaced_by=row.replaced_by,
        members=members_in(row),
        branch=row.branch,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _key(row: Row[Any]) -> str:
    return str(row.fingerprint.removesuffix(f" {row.id}") if row.replaced_by else row.fingerprint)


def members_in(row: Row[Any]) -> tuple[Member, ...]:
    """Every place that a row of `fixes` is about; of one that an earlier version wrote the one that it names."""
    if row.members is not None:
        return MEMBERS.load(row.members)
    fingerprint, _, place = _key(row).partition(" ")
    state = MemberState.WANTED if row.receipt is None else MemberState.MENDED
    return (Member(FindingId(row.finding_id), fingerprint, Handle(row.handle), place, state, row.choice),)


def _findings(members: Sequence[Member]) -> dict[FindingId, bool]:
    """Each finding once, and whether the patch is without all of its places."""
    return {one.finding: all(o.state is MemberState.LEFT_OUT for o in members if o.finding == one.finding) for one in members}


def to_attempt(row: Row[Any]) -> FixAttempt:
    """A row of the table."""
    return FixAttempt(
        fix=FixId(row.fix_id),
        number=row.number,
        status=FixStatus(row.status),
        instructions=row.instructions,
        asked_by=row.asked_by,
        choice=row.choice,
        diff=row.diff,
        proof=None if row.proof is None else PROOF.load(row.proof),
        receipt=None if row.receipt is None else RECEIPT.load(row.receipt),
        error=row.error,
        steps=row.steps,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        active_at=row.active_at,
    )
