"""What a merge queue's commit changes, and by whose policy it is judged."""

from __future__ import annotations

import logging

from pipeline.errors import CommitMissing, HostNotFound
from pipeline.messages import StartReview
from pipeline.model.ids import CommitId
from pipeline.model.review import Change
from pipeline.stages.context import Context

log = logging.getLogger(__name__)


def queued_change(context: Context, message: StartReview) -> Change | None:
    """The commit against its parent in the queue, with the policy of the branch that it would be merged into.

    The parent may be another group of the queue, whose own change of the policy is not in force before it is merged. None when the queue
    has dropped the commit, or made another one of it: whatever order its deliveries came in, the host knows.
    """
    if message.after is None:
        return None
    host = context.host(message.installation)
    try:
        # First, as it may only be a guess that there is a queue (`MergeGroupEvent`): then nothing else is asked.
        there = host.tip(message.repository, message.ref) == message.after
        policy_commit = host.tip(message.repository, message.base_ref) if there else None
    except HostNotFound:
        policy_commit = None
    if policy_commit is None:
        log.info("merge_queue.commit_dropped", extra={"commit": message.after})
        return None
    return Change(
        repository=message.repository,
        base=message.before or _parent(context, message, message.after),
        head=message.after,
        policy_commit=policy_commit,
        base_ref=message.base_ref,
        head_ref=message.ref,
        queued=True,
    )


def _parent(context: Context, message: StartReview, commit: CommitId) -> CommitId:
    """What a queue's commit was made upon, where the host does not say it: its first parent, as git says. Raises CommitMissing."""
    mirror = context.mirror(message.installation, message.repository)
    mirror.fetch([(commit, 2)])
    parent = mirror.first_parent(commit)
    if parent is None:
        raise CommitMissing(f"commit {commit} of the queue has no parent")
    return parent
