"""Which stage does which message."""

from __future__ import annotations

import logging

from pipeline.errors import MirrorDamaged, Superseded
from pipeline.leaks import learn
from pipeline.messages import (
    AcceptEvent,
    CancelFix,
    EndCheck,
    FixAll,
    FollowHeads,
    FollowList,
    ProposeFix,
    PublishCheck,
    PurgeRepository,
    Reconcile,
    Reply,
    RequestFix,
    RunFix,
    RunScan,
    ScanRepository,
    SettleReview,
    ShowCheck,
    ShowFixes,
    Speak,
    StartReview,
    Tend,
    Waive,
    WithdrawReview,
)
from pipeline.model.scan import ScanStatus
from pipeline.stages.accept import accept_event, event_repository
from pipeline.stages.asked import give_up_asked, scan_asked
from pipeline.stages.cancel import cancel_fix
from pipeline.stages.context import Context
from pipeline.stages.endcheck import end_check
from pipeline.stages.fix import request_fix, run_fix
from pipeline.stages.fixall import fix_all
from pipeline.stages.followlist import follow_list
from pipeline.stages.heads import follow_heads
from pipeline.stages.plan import start_review
from pipeline.stages.propose import propose_fix
from pipeline.stages.publish import publish_check, reply, withdraw_review
from pipeline.stages.purge import purge_repository
from pipeline.stages.reach import out_of_reach, repository_of
from pipeline.stages.reconcile import reconcile
from pipeline.stages.scan import run_scan
from pipeline.stages.settle import settle_review
from pipeline.stages.showcheck import show_check_again
from pipeline.stages.showfixes import show_fixes
from pipeline.stages.speak import speak
from pipeline.stages.sweep import scan_repository
from pipeline.stages.tend import tend
from pipeline.stages.waive import waive

log = logging.getLogger(__name__)


def perform(context: Context) -> None:
    """Do the claimed message of a context. When it returns, the message is finished in the store.

    Raises:
        FixwrightError: the message could not be done; the caller decides between another try and giving up.
    """
    why = out_of_reach(context, context.claimed.message)
    if why:
        log.info("message.nothing_to_do", extra={"kind": context.claimed.message.kind, "why": why})
        with context.finish() as work:
            message = context.claimed.message
            if isinstance(message, RunFix) and work.fixes.wanted(message.fix, message.attempt):
                work.fixes.fail(message.fix, why)
            if isinstance(message, ScanRepository):
                give_up_asked(work, message, ScanStatus.CANCELLED, why, context.claimed.id)
            return
    _learn(context)
    try:
        _dispatch(context)
    except Superseded:
        if not context.finished:
            with context.finish():
                return
    except MirrorDamaged:
        context.drop_damaged()
        raise


def _learn(context: Context) -> None:
    """From here on nothing of this message leaves that tells what was found in its repository, wherever it goes."""
    message = context.claimed.message
    if isinstance(message, AcceptEvent):
        repository = event_repository(message.event)
    else:
        with context.database.read() as work:
            repository = repository_of(work, message)
    if repository is not None:
        learn(context.known(repository))


def _dispatch(context: Context) -> None:
    match context.claimed.message:
        case AcceptEvent() as message:
            accept_event(context, message)
        case StartReview() as message:
            start_review(context, message)
        case ScanRepository() as message if message.scan is not None:
            scan_asked(context, message, message.scan)
        case ScanRepository() as message:
            scan_repository(context, message)
        case RunScan() as message:
            run_scan(context, message)
        case SettleReview() as message:
            settle_review(context, message)
        case PublishCheck() as message:
            publish_check(context, message)
        case Speak() as message:
            speak(context, message)
        case WithdrawReview() as message:
            withdraw_review(context, message)
        case Reply() as message:
            reply(context, message)
        case RequestFix() as message:
            request_fix(context, message)
        case FixAll() as message:
            fix_all(context, message)
        case CancelFix() as message:
            cancel_fix(context, message)
        case RunFix() as message:
            run_fix(context, message)
        case PurgeRepository() as message:
            purge_repository(context, message)
        case ProposeFix() as message:
            propose_fix(context, message)
        case Waive() as message:
            waive(context, message)
        case ShowFixes() as message:
            show_fixes(context, message)
        case FollowList() as message:
            follow_list(context, message)
        case Reconcile() as message:
            reconcile(context, message)
        case FollowHeads() as message:
            follow_heads(context, message)
        case Tend() as message:
            tend(context, message)
        case EndCheck() as message:
            end_check(context, message)
        case ShowCheck() as message:
            show_check_again(context, message)
