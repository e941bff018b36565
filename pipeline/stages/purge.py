"""PurgeRepository: what we know of a repository that is gone is forgotten."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.messages import PurgeRepository
from pipeline.model.ids import MessageId, RepositoryId
from pipeline.sandbox.upkeep import drop_mirror
from pipeline.stages.context import Context, mirror_name
from pipeline.store.engine import Database

COMPACTED_BYTES = 250_000_000
"""An SQLite file up to this size is written anew in the middle of a day's work: about 2 s."""

log = logging.getLogger(__name__)


def purge_repository(context: Context, message: PurgeRepository) -> None:
    """Purge, unless the repository was added back since the message was sent."""
    with context.database.read() as work:
        wanted = work.purge.wanted(message.repository)
    if wanted:
        purge(context.database, context.places.mirrors, message.repository, keep=context.claimed.id, max_bytes=COMPACTED_BYTES)
    else:
        log.info("purge.not_wanted", extra={"repository_id": message.repository})
    with context.finish():
        return


def purge(
    database: Database, mirrors: Path, repository: RepositoryId, *, keep: MessageId | None = None, max_bytes: int | None = None
) -> int:
    """Delete everything that belongs to a repository: rows, cached results, mirror. May be repeated after a crash; the repository's own
    row is the last but one to go.

    Args:
        keep: the message that is worked right now.
        max_bytes: a larger SQLite file is not written anew, for which everybody else would have to wait.

    Returns:
        How many rows were deleted.

    Raises:
        GitUnavailable: something is being fetched into the mirror; try again. StoreUnavailable.
    """
    with database.read() as work:
        source = work.purge.source(repository)
        if source is None:
            return 0
        steps = list(work.purge.steps(source, repository, keep))
    drop_mirror(mirrors / mirror_name(source))
    rows = 0
    for step in steps:
        while True:
            with database.work() as work:
                deleted = step(work.purge)
            rows += deleted
            if not deleted:
                break
    whole = database.compact(max_bytes)
    # Without its name: this log outlives it.
    log.info("purge.done", extra={"repository_id": repository, "rows": rows, "compacted": whole})
    return rows
