"""RequestFix and RunFix: from "somebody wants this mended" to a patch that has proven itself, or the reasons why there is none."""

from __future__ import annotations

import logging
from dataclasses import replace

from pipeline.answers import render_answer
from pipeline.errors import Superseded
from pipeline.fixanswers import render_fix_answer
from pipeline.messages import COMMAND, HOLD, INTERACTIVE, Envelope, ProposeFix, Reply, RequestFix, RunFix, ShowFixes
from pipeline.model.event import CommentRef
from pipeline.model.fix import Fix, FixStatus
from pipeline.model.ids import FixId
from pipeline.model.review import Review
from pipeline.stages.context import Context
from pipeline.stages.disclosure import UNTOLD, tells_why
from pipeline.stages.heartbeat import Heartbeat
from pipeline.stages.policies import policy_of
from pipeline.stages.room import is_open
from pipeline.stages.together import Made, is_meant, is_undecided, make_together, why_not
from pipeline.statements import Base, describe
from pipeline.store.work import Work
from pipeline.wishes import Wish, understand

log = logging.getLogger(__name__)

STILL_RUNNING = 15.0
"""Seconds after which somebody who asked for a fix that was being made is answered."""

SHARED_SECONDS = 60.0
"""Whoever asks for the same once more so soon reads the answer that stands there already, or is about to."""

REFINABLE = (FixStatus.COMPLETED, FixStatus.PR_CREATION_FAILED, FixStatus.PR_UPDATE_FAILED)


def request_fix(context: Context, message: RequestFix) -> None:
    """Make the fix run of a finding, once: who asks again gets the same answer again. All who ask in one place while it is being made, or
    within one minute, get one answer. Who wishes for something else than what stands begins a new attempt of the same run."""
    ended = _has_ended(context, message)
    with context.finish() as work:
        review = work.reviews.get(message.review)
        fix = work.fixes.of_finding(review.id, message.fingerprint, message.place)
        said = ended or _why_not(work, review, fix, message)
        if said:
            _say(work, review, message, said, context.claimed.group)
            return
        fix_id, attempt = _begin(work, review, fix, message)
        if attempt:
            # Its pull request is open: that everybody reads it is said yes to already.
            how = "openly" if message.offered and review.change.whole else message.how
            run = RunFix(fix_id, message.comment, message.sender, how, attempt)
            key = f"run_fix:{fix_id}" if attempt == 1 else f"run_fix:{fix_id}:{attempt}"
            work.outbox.send(Envelope(run, key, priority=INTERACTIVE, group=f"fix:{fix_id}", hold=HOLD))
        else:
            _answer_again(work, fix_id, message)
    context.follow = f"fix:{fix_id}"


def _has_ended(context: Context, message: RequestFix) -> str:
    """The answer when the pull request on which it is said cannot be merged any more."""
    if not message.offered or message.comment is None:
        return ""
    with context.database.read() as work:
        review = work.reviews.get(message.review)
    if is_open(context, review, message.comment.pull_request):
        return ""
    return render_answer("closed", pull_request_word=context.capabilities(review.installation).pull_request_word)


def _why_not(work: Work, review: Review, fix: Fix | None, message: RequestFix) -> str:
    """The answer when nothing can be begun for what is asked; empty when something can, or stands already."""
    before = Wish() if fix is None else Wish.read(fix.choice)
    understood = understand(message.instructions, before)
    live = fix is not None and fix.status in (FixStatus.PENDING, FixStatus.RUNNING)
    if understood.unknown:
        return render_fix_answer("not-understood", asked=understood.unknown)
    if live and (message.refine or message.instructions):
        return render_fix_answer("being-made", handle=message.handle)
    if message.refine and (fix is None or (fix.status not in REFINABLE and not message.offered)):
        refused = fix.error if fix is not None and fix.status is FixStatus.FAILED and not is_undecided(fix) else ""
        return render_fix_answer("no-patch-yet", handle=message.place or message.handle, error=refused)
    if fix is None and not any(is_meant(one.finding, message.handle, message.place) for one in work.reviews.verdict(review.id).judged):
        return render_fix_answer("gone-meanwhile", handle=message.place or message.handle)
    return ""


def _begin(work: Work, review: Review, fix: Fix | None, message: RequestFix) -> tuple[FixId, int]:
    """The run that was asked for, and the number of the attempt that is to be made; 0 when nothing new is."""
    who, wanted = message.sender.login, message.instructions
    repository = work.installations.identify(review.change.repository)
    if fix is None:
        choice = understand(wanted).wish.text()
        made, created = work.fixes.create(
            repository, review.id, message.fingerprint, message.handle, message.place, asked_by=who, instructions=wanted, choice=choice
        )
        return made, int(created)
    before = Wish.read(fix.choice)
    wish = understand(wanted, before).wish
    if message.refine and not wanted:
        wish = replace(before, alternative=before.alternative + 1)
    again = message.offered or bool(wanted) or is_undecided(fix)
    over = fix.status is FixStatus.CANCELLED or (fix.status is FixStatus.FAILED and again)
    if over:
        begun = wish if message.offered else understand(wanted).wish
        return work.fixes.again(fix.id, asked_by=who, instructions=wanted, choice=begun.text()), 1
    if fix.status in REFINABLE and (message.refine or wish != before):
        if fix.status is FixStatus.PR_CREATION_FAILED:
            work.fixes.move(fix.id, FixStatus.PR_CREATION_FAILED, FixStatus.COMPLETED)
        return fix.id, work.fixes.refine(fix.id, instructions=wanted, choice=wish.text(), asked_by=who)
    return fix.id, 0


def _answer_again(work: Work, fix: FixId, message: RequestFix) -> None:
    running = work.fixes.get(fix).status in (FixStatus.PENDING, FixStatus.RUNNING)
    key = f"propose_fix:{fix}:{_asked_in(message.comment)}{message.how}"
    key += "" if running else f":{int(work.outbox.now() // SHARED_SECONDS)}"
    answer = ProposeFix(fix, message.comment, message.sender, message.how)
    delay = STILL_RUNNING if running else 0.0
    work.outbox.send(Envelope(answer, key, priority=INTERACTIVE, delay=delay, group=f"fix:{fix}", hold=HOLD))


def _say(work: Work, review: Review, message: RequestFix, body: str, group: str) -> None:
    log.info("fix.not_begun", extra={"review": review.id, "refine": message.refine})
    if message.comment is not None:
        reply = Reply(review.installation, message.comment, "refine" if message.refine else "fix", body)
        key = f"reply:fix:{message.comment.pull_request.number}:{message.comment.id}:{review.id}:{message.handle}:{message.place}"
        work.outbox.send(Envelope(reply, key, priority=COMMAND, group=group))


def _asked_in(comment: CommentRef | None) -> str:
    """Where people see the answer: a thread, or the conversation of a pull request."""
    if comment is None:
        return ""
    return f"thread:{comment.thread}" if comment.thread else f"conversation:{comment.pull_request.number}"


def run_fix(context: Context, message: RunFix) -> None:
    """Make the patch and let the whole gate judge it, the repository's tests included: for each place the first of the fixers' patches that
    passes on top of those before it.

    Raises:
        Superseded: it was called off; nothing of it is kept.
    """
    with context.database.read() as work:
        fix = work.fixes.get(message.fix)
        wanted = work.fixes.wanted(fix.id, message.attempt)
    if not wanted:
        with context.finish() as work:
            _called_off(work, context, message, fix)
        return
    with context.database.work() as work:
        work.fixes.start(fix.id, message.attempt)
        wish = Wish.read(next(one.choice for one in work.fixes.attempts(fix.id) if one.number == message.attempt))
        review = work.reviews.get(fix.review)
        judged = work.reviews.verdict(review.id).judged
    policy = policy_of(context, review)
    heart = Heartbeat(context.database, fix.id, message.attempt)
    try:
        made = make_together(context, review, fix, judged, policy, wish, heart)
    except Superseded:
        with context.database.work() as work:
            _called_off(work, context, message, fix)
        raise
    if made.proven and made.patch is not None and made.proof is not None:
        statement = describe(
            finding=made.mended[0].finding,
            patch=made.patch,
            base=Base("commit", review.change.head),
            proof=made.proof,
            tool=f"fixwright {context.places.version}",
            mended=made.mended,
            left_out=[one.handle for one in made.members if not one.mended] if tells_why(review.change) else (),
        )
        made.receipt = context.places.signer().sign(statement)
    made.base = review.change.head
    try:
        _record(context, message, fix, made)
    except Superseded:
        with context.database.work() as work:
            _called_off(work, context, message, fix)
        raise


def _called_off(work: Work, context: Context, message: RunFix, fix: Fix) -> None:
    """Who called it off has his answer. What a button asked for is told of in the comment that lists it."""
    log.info("fix.called_off", extra={"fix_id": fix.id})
    if message.comment is None and message.how != "held":
        shown = ShowFixes(fix.review)
        work.outbox.send(Envelope(shown, f"show_fixes:{context.claimed.id}", priority=INTERACTIVE))


def _record(context: Context, message: RunFix, fix: Fix, made: Made) -> None:
    """Write down what an attempt came to, and send on who offers it. Raises Superseded when it was called off meanwhile."""
    proof, error = made.proof, made.error
    if not error and made.receipt is None and proof is not None:
        error = why_not(proof, "")
    with context.finish() as work:
        if not work.fixes.wanted(fix.id, message.attempt):
            raise Superseded(f"attempt {message.attempt} of fix {fix.id} was called off")
        title = "" if made.patch is None else made.patch.title
        choice = None if made.wish is None else made.wish.text()
        work.fixes.record(
            fix.id, diff=made.diff, proof=proof, receipt=made.receipt, title=title, base=made.base, choice=choice, members=made.members
        )
        if made.receipt is not None:
            work.fixes.move(fix.id, FixStatus.RUNNING, FixStatus.COMPLETED)
        else:
            work.fixes.fail(fix.id, error)
        status = work.fixes.get(fix.id).status
        if message.how == "held" and fix.pull_request is None:
            pass  # whoever asked looks when he likes, and says himself when it is offered
        elif made.receipt is None and status is FixStatus.COMPLETED:
            nothing_better(work, message, fix, error)
        else:
            how = "openly" if message.how == "held" else message.how
            propose = ProposeFix(fix.id, message.comment, message.sender, how, refined=message.attempt > 1)
            key = f"propose_fix:{fix.id}" if message.attempt == 1 else f"propose_fix:{fix.id}:attempt:{message.attempt}"
            work.outbox.send(Envelope(propose, key, priority=INTERACTIVE, group=f"fix:{fix.id}", hold=HOLD))
    log.info("fix.ended", extra={"fix_id": fix.id, "status": str(status), "word": str(proof.word) if proof else ""})


def nothing_better(work: Work, message: RunFix, fix: Fix, error: str) -> None:
    """A refinement came to nothing: what was proven before stands, and whoever asked for it is told so."""
    if message.comment is not None:
        review = work.reviews.get(fix.review)
        why = error if tells_why(review.change) else UNTOLD
        body = render_fix_answer("nothing-better", handle=fix.place or fix.handle, error=why)
        reply = Reply(review.installation, message.comment, f"fix:{fix.id}", body)
        work.outbox.send(Envelope(reply, f"reply:fix:{fix.id}:{message.attempt}", priority=INTERACTIVE, group=f"fix:{fix.id}"))
