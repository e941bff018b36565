"""The handles of a repository as its findings have them: read as far as they are asked for, however many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from sqlalchemy import ColumnElement, func, select

from pipeline.model.ids import Handle, RepositoryId
from pipeline.store.tables import findings
from pipeline.store.transaction import Transaction, chunks
from pipeline.triage.handles import Handles, candidates

LIKELY = 3
"""So many of the handles that a fingerprint may get are looked up at once; a repository in which all are taken has many findings."""


class GivenHandles(Handles):
    """What a settle asks of the handles: those of its own findings, and whether some others are free. True within its transaction, in
    which the repository is locked."""

    def __init__(self, transaction: Transaction, repository: RepositoryId) -> None:
        self._transaction, self._repository = transaction, repository
        self._known: dict[Handle, str | None] = {}
        """What was asked for; None: nobody has it."""

    def of(self, fingerprints: Collection[str]) -> Mapping[Handle, str]:
        """See `Handles.of`."""
        found: dict[Handle, str] = {}
        for chunk in chunks(sorted(fingerprints)):
            found |= self._read(findings.c.fingerprint.in_(chunk))
        unnamed = set(fingerprints) - set(found.values())
        likely = {handle for fingerprint in unnamed for handle in islice(candidates(fingerprint), LIKELY)}
        for some in chunks(sorted(likely)):
            found |= self._read(findings.c.handle.in_(some))
        self._known |= dict.fromkeys(likely - set(found)) | found
        return found

    def __getitem__(self, handle: Handle) -> str:
        if handle not in self._known:
            self._known[handle] = self._read(findings.c.handle == handle).get(handle)
        owner = self._known[handle]
        if owner is None:
            raise KeyError(handle)
        return owner

    def __iter__(self) -> Iterator[Handle]:
        return iter(self._read(findings.c.repository_id == self._repository))

    def __len__(self) -> int:
        counted = select(func.count()).select_from(findings).where(findings.c.repository_id == self._repository)
        return int(self._transaction.execute(counted).scalar_one())

    def _read(self, which: ColumnElement[bool]) -> dict[Handle, str]:
        mine = select(findings.c.handle, findings.c.fingerprint).where(findings.c.repository_id == self._repository, which)
        return {Handle(row.handle): row.fingerprint for row in self._transaction.execute(mine)}
