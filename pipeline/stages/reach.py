"""What we may not touch any more: a suspended or removed installation, a repository that is gone or archived.

A message for one of these ends quietly. Nothing would come of trying for three days, and nothing waits: its review was cancelled when
the host told us, and is begun anew when we are let in again.
"""

from __future__ import annotations

from pipeline.errors import HostForbidden, HostNotFound
from pipeline.messages import (
    BATCH,
    AcceptEvent,
    CancelFix,
    EndCheck,
    Envelope,
    FollowHeads,
    Message,
    ProposeFix,
    PurgeRepository,
    Reconcile,
    Reply,
    RunFix,
    ScanRepository,
    StartReview,
    Tend,
    WithdrawReview,
)
from pipeline.model.ids import ReviewId
from pipeline.model.target import Installation, SourceRepository
from pipeline.stages.context import Context
from pipeline.stages.heads import group_of
from pipeline.store.work import Work


def out_of_reach(context: Context, message: Message) -> str:
    """Why nothing is done for a message: a phrase for the log; empty when it is to be done."""
    with context.database.read() as work:
        home = _home(work, message)
        if home is None:
            return ""
        installation, repository = work.installations.reach(*home)
    if installation != "active":
        return f"the installation is {installation}"
    if repository == "disabled":
        # A check that is in progress is still taken back.
        return "" if isinstance(message, WithdrawReview | EndCheck) else "the operator disabled the repository"
    return f"the repository is {repository}" if repository in ("gone", "archived") else ""


def switched_off(context: Context, installation: Installation, repository: SourceRepository) -> bool:
    """True when the operator disabled a repository (`fixwright repositories disable`): its events are acknowledged and ignored."""
    with context.database.read() as work:
        return work.installations.reach(installation, repository)[1] == "disabled"


def let_in(context: Context, installation: Installation, repository: SourceRepository) -> bool:
    """True when something may be done for an installation that told us of an event.

    Of one that is said to be suspended, and of a repository that is said to be gone, the host is asked: the delivery that says otherwise
    may have been lost. A removed installation never comes back: another one gets another number.
    """
    with context.database.work() as work:
        known = work.installations.known(installation)
        identifier = work.installations.upsert(installation)
        state, there = work.installations.reach(installation, repository)
        if known is None and not context.provider(installation).capabilities.tells_installations:
            # Nobody told us of it before: what else is there, and what is open there, we look for ourselves.
            walk = FollowHeads(work.installations.get(identifier))
            work.outbox.send(Envelope(walk, f"heads:{identifier}:first", priority=BATCH, group=group_of(walk.installation)))
    if state == "deleted" or (state == "active" and there != "gone"):
        return state == "active"
    try:
        context.host(installation).describe(repository)
    except (HostForbidden, HostNotFound):
        return False
    with context.database.work() as work:
        work.installations.set_state(identifier, "active")
        number = work.installations.find_repository(repository)
        if there == "gone" and number is not None:
            work.installations.tell_repository_state(number, "active")
            work.reviews.move_home(number, identifier)
    return True


def repository_of(work: Work, message: Message) -> SourceRepository | None:
    """The repository that a message is about, as far as the message itself says it; None for an event and for what concerns several."""
    home = _home(work, message)
    return None if home is None else home[1]


def _home(work: Work, message: Message) -> tuple[Installation, SourceRepository] | None:
    match message:
        case AcceptEvent() | PurgeRepository() | Reconcile() | FollowHeads() | Tend():
            return None
        case StartReview() | ScanRepository():
            return message.installation, message.repository
        case Reply() | CancelFix():
            return message.installation, message.comment.pull_request.repository
        case RunFix() | ProposeFix():
            return _home_of(work, work.fixes.get(message.fix).review)
        case _:
            return _home_of(work, message.review)


def _home_of(work: Work, identifier: ReviewId) -> tuple[Installation, SourceRepository]:
    review = work.reviews.get(identifier)
    return review.installation, review.change.repository
