"""Whole scans of repositories: which are due, which are under way, and how the last one ended.

The rows of the repositories are the queue. A whole scan begins only with a slot in hand, and there are few: an installation of 500
repositories sends two messages, not 500, and every scan that ends makes room for the next.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, Text, and_, case, delete, func, null, or_, select, type_coerce, update

from pipeline.model.ids import CommitId, RepositoryId, ReviewId
from pipeline.model.target import Installation, SourceRepository
from pipeline.store.columns import database_now, escape_text
from pipeline.store.identity import to_installation, to_repository
from pipeline.store.tables import installations, repositories, scan_slots
from pipeline.store.transaction import Transaction, chunks

AT_ONCE: Final = 2
"""Whole scans under way at one moment, over all workers. Each is worked in short slices, between which everything else overtakes."""

ASKED_AT_ONCE: Final = 2
"""Likewise, of those that were asked for through the API: somebody waits, and they do not wait for 500 repositories that were added."""

SLOT_SECONDS: Final = 1800.0
"""How long a slot is held without a sign of life. A slice renews it; one that waits behind interactive work for so long has lost it."""


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How many repositories stand where with their whole scans. One that is looked at again is counted as waiting or running."""

    waiting: int
    running: int
    scanned: int
    failed: int
    """The last one came to nothing; it is tried again by itself."""


@dataclass(frozen=True, slots=True)
class DueScan:
    """A repository whose whole scan may begin now: its slot is taken."""

    id: RepositoryId
    repository: SourceRepository
    installation: Installation
    first: bool
    """True when it was never scanned before."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Of what the list of a repository's findings speaks. Moments are seconds since 1970 by the clock of the database."""

    state: str
    """`active`, `disabled`, `archived`, `gone`."""
    commit: CommitId | None
    """None: there is no list yet."""
    listed_at: float | None
    scanned_at: float | None
    """When everything was looked at last."""
    scanned_with: str
    review: ReviewId | None
    """Of the last whole scan."""
    trouble: str
    """Why the last whole scan came to nothing, as a clause for people; else empty."""
    due_at: float | None
    running: bool
    waiting: bool

    @property
    def made(self) -> bool:
        """True when all of the default branch was looked at: until then the list has only what pushes brought."""
        return self.commit is not None and self.scanned_with != ""


class Sweeps:
    """Whole scans; the part of `work.installations` that is about them."""

    _transaction: Transaction

    # --- asking ---

    def want_scan(self, identifier: RepositoryId, delay: float = 0.0) -> None:
        """A repository is to be scanned as a whole, `delay` seconds from now or earlier when that was so already."""
        self.want_scans([identifier], delay)

    def want_scans(self, identifiers: Collection[RepositoryId], delay: float = 0.0) -> None:
        """`want_scan` for many, with few statements."""
        due = database_now() + delay
        sooner = case((repositories.c.scan_due_at < due, repositories.c.scan_due_at), else_=due)
        for chunk in chunks(identifiers):
            self._transaction.execute(update(repositories).where(repositories.c.id.in_(chunk)).values(scan_due_at=sooner))

    def never_scanned(self, identifiers: Collection[RepositoryId]) -> list[RepositoryId]:
        """Those of which everything was never looked at, and never asked for."""
        slotted = select(scan_slots.c.repository_id)
        untouched = and_(
            _active, repositories.c.scanned_at.is_(None), repositories.c.scan_due_at.is_(None), repositories.c.scan_trouble == ""
        )
        found: list[RepositoryId] = []
        for chunk in chunks(identifiers):
            mine = select(repositories.c.id).where(repositories.c.id.in_(chunk), untouched, repositories.c.id.not_in(slotted))
            found += [RepositoryId(identifier) for identifier in self._transaction.execute(mine).scalars()]
        return found

    def want_all_but(self, digest: str, spread: float) -> int:
        """Rules or engines changed: whatever was scanned with others is due within `spread` seconds. How many that are now."""
        outdated = and_(_active, repositories.c.scanned_at.is_not(None), repositories.c.scanned_with.not_in([digest, ""]))
        found = self._transaction.execute(
            select(repositories.c.id).where(
                outdated, or_(repositories.c.scan_due_at.is_(None), repositories.c.scan_due_at > database_now() + spread)
            )
        ).scalars()
        rows = list(found)
        for number, identifier in enumerate(sorted(rows, key=lambda text: text[::-1])):
            due = database_now() + spread * number / len(rows)
            self._transaction.execute(update(repositories).where(repositories.c.id == identifier).values(scan_due_at=due))
        return len(rows)

    # --- beginning ---

    def take_slot(self, identifier: RepositoryId, *, asked: bool = False) -> bool:
        """Hold, or go on holding, one of the few slots; False when all are taken.

        Args:
            asked: one of those for what was asked for through the API.
        """
        until = database_now() + SLOT_SECONDS
        if self._transaction.changed(update(scan_slots).where(scan_slots.c.repository_id == identifier).values(until=until)):
            return True
        self._free_silent()
        slots = range(AT_ONCE, AT_ONCE + ASKED_AT_ONCE) if asked else range(AT_ONCE)
        rows = ({"slot": slot, "repository_id": identifier, "until": until} for slot in slots)
        return any(self._transaction.add_missing(scan_slots, [row], ["slot"]) for row in rows)

    def take_due(self) -> list[DueScan]:
        """Repositories whose scan is due, as many as there are free slots, each with its slot; the longest due first.

        Of several who ask at once each repository goes to one: its moment is taken away by compare-and-set. When what they send is lost,
        it is due again with the end of its slot.
        """
        self._free_silent()
        slotted = select(scan_slots.c.repository_id)
        due = _joined().where(_active, installations.c.state == "active", repositories.c.scan_due_at <= database_now())
        due = due.where(repositories.c.id.not_in(slotted)).order_by(repositories.c.scan_due_at, repositories.c.id).limit(AT_ONCE)
        taken = []
        for row in self._transaction.execute(due).all():
            identifier = RepositoryId(row.repository_id)
            if not self.take_slot(identifier):
                break
            mine = and_(repositories.c.id == identifier, repositories.c.scan_due_at == row.repository_scan_due_at)
            if self._transaction.changed(update(repositories).where(mine).values(scan_due_at=None)):
                taken.append(_to_due(row))
        return taken

    def begun(self, identifier: RepositoryId) -> None:
        """A scan begins: whoever asks from now on wants another one."""
        self._transaction.execute(update(repositories).where(repositories.c.id == identifier).values(scan_due_at=None))

    def _free_silent(self) -> None:
        """Slots of which nothing was heard: whatever was lost there, their repositories are due again."""
        silent = scan_slots.c.until < database_now()
        lost = repositories.c.id.in_(select(scan_slots.c.repository_id).where(silent, scan_slots.c.slot < AT_ONCE))
        again = update(repositories).where(lost, repositories.c.scan_due_at.is_(None)).values(scan_due_at=database_now())
        self._transaction.execute(again)
        self._transaction.execute(delete(scan_slots).where(silent))

    def began(self, identifier: RepositoryId, commit: CommitId) -> None:
        """A first scan looks at `commit`: pushes from there on belong to the list that it will make."""
        first = and_(repositories.c.id == identifier, repositories.c.listed_commit == "")
        self._transaction.execute(update(repositories).where(first).values(listed_commit=commit))

    # --- ending ---

    def scanned(
        self, identifier: RepositoryId, review: ReviewId, commit: CommitId, digest: str, again_in: float | None, *, moved: bool = False
    ) -> None:
        """Everything at `commit` was looked at.

        Args:
            again_in: seconds until the next time, None for never. A moment that somebody asked for meanwhile stands.
            moved: pushes have brought the list further meanwhile: it speaks of their commit.
        """
        now = database_now()
        values: dict[str, Any] = {
            "scanned_at": now,
            "scanned_with": digest,
            "scan_review": review,
            "scan_trouble": "",
            "scan_due_at": _unless_asked(again_in),
        }
        if not moved:
            values |= {"listed_commit": commit, "listed_at": now}
        self._end(identifier, values)

    def empty(self, identifier: RepositoryId) -> None:
        """It has no commit yet. Its first push is looked at as a whole."""
        now = database_now()
        self._end(
            identifier, {"scanned_at": now, "listed_at": now, "scan_trouble": "", "listed_commit": "", "scan_due_at": _unless_asked(None)}
        )

    def nothing_to_scan(self, identifier: RepositoryId, trouble: str, again_in: float) -> None:
        """The scan came to nothing, and why: `the host does not show it to us`."""
        self._end(identifier, {"scan_trouble": trouble, "scan_due_at": _unless_asked(again_in)})

    def incomplete(self, identifier: RepositoryId, review: ReviewId, trouble: str, again_in: float) -> None:
        """Engines failed as a whole: what is listed stays as it is."""
        values = {"scan_review": review, "scan_trouble": trouble, "scan_due_at": _unless_asked(again_in)}
        self._end(identifier, values)

    def listed(self, identifier: RepositoryId, before: CommitId, after: CommitId) -> bool:
        """A push brought the list from `before` to `after`. False when the list speaks of another commit: a push is missing between."""
        values = {"listed_commit": after, "listed_at": database_now()}
        here = and_(repositories.c.id == identifier, repositories.c.listed_commit == before)
        return self._transaction.changed(update(repositories).where(here).values(values)) == 1

    def free_slot(self, identifier: RepositoryId) -> None:
        """Its whole scan was cancelled."""
        self._transaction.execute(delete(scan_slots).where(scan_slots.c.repository_id == identifier))

    def _end(self, identifier: RepositoryId, values: dict[str, Any]) -> None:
        self._transaction.execute(update(repositories).where(repositories.c.id == identifier).values(values))
        self.free_slot(identifier)

    # --- people ---

    def scan_progress(self) -> ScanProgress:
        """How many repositories wait, run, are done, and failed. Disabled, archived and gone ones are in no count."""
        running = repositories.c.id.in_(select(scan_slots.c.repository_id).where(scan_slots.c.until >= database_now()))
        waiting = and_(~running, _waits)
        rest = and_(~running, ~waiting)
        fine = repositories.c.scan_trouble == ""
        kinds = (waiting, running, and_(rest, fine, repositories.c.scanned_at.is_not(None)), and_(rest, ~fine))
        counted = select(*(func.coalesce(func.sum(case((kind, 1), else_=0)), 0) for kind in kinds)).where(_active)
        numbers = self._transaction.execute(counted).one()
        return ScanProgress(*(int(number) for number in numbers))

    def listing(self, identifier: RepositoryId) -> Listing:
        """Of what the list of its findings speaks. Raises StaleWrite when there is no such repository."""
        running = repositories.c.id.in_(select(scan_slots.c.repository_id).where(scan_slots.c.until >= database_now()))
        statement = select(repositories, running.label("runs"), func.coalesce(_waits, False).label("waits"))
        row = self._transaction.one(statement.where(repositories.c.id == identifier), f"there is no repository {identifier}")
        return Listing(
            state=row.state,
            commit=CommitId(row.listed_commit) if row.listed_commit else None,
            listed_at=row.listed_at,
            scanned_at=row.scanned_at,
            scanned_with=row.scanned_with,
            review=ReviewId(row.scan_review) if row.scan_review else None,
            trouble=row.scan_trouble,
            due_at=row.scan_due_at,
            running=bool(row.runs),
            waiting=bool(row.waits) and not row.runs,
        )

    def named(self, name: str) -> Sequence[tuple[RepositoryId, SourceRepository, Installation | None]]:
        """The repositories that people mean with `owner/name`, `instance/owner/name` or `provider/owner/name`, in any case; with the
        installation of each."""
        wanted = escape_text(name.lower())  # the words of a person may hold what a database refuses, too
        full_name, instance, provider = (type_coerce(repositories.c[name], Text) for name in ("full_name", "instance", "provider"))
        is_meant = or_(*(func.lower(called) == wanted for called in (full_name, instance + "/" + full_name, provider + "/" + full_name)))
        statement = _joined(outer=True).where(is_meant)
        rows = self._transaction.execute(statement.order_by(repositories.c.provider, repositories.c.instance, repositories.c.id)).all()
        return [(RepositoryId(row.repository_id), to_repository(row._mapping, "repository_"), _home(row)) for row in rows]

    def by_id(self, identifier: RepositoryId) -> tuple[RepositoryId, SourceRepository, Installation]:
        """A repository with its installation. Raises StaleWrite when it is not installed."""
        statement = _joined().where(repositories.c.id == identifier)
        row = self._transaction.one(statement, f"there is no repository {identifier} that is installed")
        return identifier, to_repository(row._mapping, "repository_"), to_installation(row._mapping, "installation_")

    def state_of(self, identifier: RepositoryId) -> str:
        """`active`, `disabled`, `archived` or `gone`; of a repository whose installation is not active, what that is."""
        statement = _joined(outer=True).where(repositories.c.id == identifier)
        row = self._transaction.one(statement, f"there is no repository {identifier}")
        home = row.installation_state
        return str(home if home not in (None, "active") else row.repository_state)


_active: ColumnElement[bool] = repositories.c.state == "active"
_waits: ColumnElement[bool] = or_(
    repositories.c.scan_due_at <= database_now(),
    and_(repositories.c.scanned_at.is_(None), repositories.c.scan_due_at.is_not(None), repositories.c.scan_trouble == ""),
)
"""Also one whose first scan is spread out, and one whose message is on its way."""


def _unless_asked(again_in: float | None) -> ColumnElement[float]:
    """The next moment: what somebody asked for meanwhile, else so many seconds from now."""
    then = null() if again_in is None else database_now() + again_in
    return func.coalesce(repositories.c.scan_due_at, then)


def _joined(*, outer: bool = False) -> Select[Any]:
    home = and_(
        installations.c.provider == repositories.c.provider,
        installations.c.instance == repositories.c.instance,
        installations.c.external_id == repositories.c.installation,
    )
    columns = [c.label(f"repository_{c.name}") for c in repositories.c] + [c.label(f"installation_{c.name}") for c in installations.c]
    return select(*columns).select_from(repositories.join(installations, home, isouter=outer))


def _home(row: Row[Any]) -> Installation | None:
    return None if row.installation_id is None else to_installation(row._mapping, "installation_")


def _to_due(row: Row[Any]) -> DueScan:
    return DueScan(
        id=RepositoryId(row.repository_id),
        repository=to_repository(row._mapping, "repository_"),
        installation=to_installation(row._mapping, "installation_"),
        first=row.repository_scanned_at is None,
    )
