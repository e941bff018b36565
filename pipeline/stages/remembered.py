"""What engines said before of the same content, kept in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.leaks import clean_document
from pipeline.model.target import SourceRepository
from pipeline.stages.context import Context


class StoredCache:
    """`pipeline.stages.examine.Cache` over the store: each call is a transaction of its own."""

    def __init__(self, context: Context, repository: SourceRepository) -> None:
        self._context = context
        self._repository = repository

    def get_many(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The known entries."""
        with self._context.database.work() as work:
            return work.cache.get_many(keys)

    def put_many(self, entries: Mapping[bytes, bytes]) -> None:
        """Remember the entries, JSON texts each."""
        if entries:
            cleaned = {key: clean_document(value.decode("ascii")).encode("ascii") for key, value in entries.items()}
            with self._context.database.work() as work:
                work.cache.put_many(cleaned, work.installations.find_repository(self._repository) or "")
