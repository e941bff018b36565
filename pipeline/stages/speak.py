"""Speak: open threads for what may be said on its line, resolve those whose finding is gone, keep the sticky comment true.

A reader's attention is the dearest thing we spend. A thread is opened only for a secret, or for a finding whose fix has passed the gate.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import EngineError, SandboxUnavailable
from pipeline.messages import Speak as SpeakMessage
from pipeline.model.finding import BaselineState, Judged, Standing
from pipeline.model.fix import Patch, Proof, ProofWord
from pipeline.model.report import Report, Thread
from pipeline.model.review import Review, ReviewStatus
from pipeline.policy import Policy
from pipeline.reports.markdown import render_comment, render_thread
from pipeline.sandbox.git import Mirror
from pipeline.stages.attention import candidates, speakable_of
from pipeline.stages.context import Context
from pipeline.stages.disclosure import tellable
from pipeline.stages.ladder import make_patch
from pipeline.stages.prove import CommitFiles, prove
from pipeline.stages.publish import publish_head
from pipeline.triage.diff import Suggestion, suggestion_of

log = logging.getLogger(__name__)

AHEAD_FINDINGS = 5
AHEAD_SECONDS = 20.0
"""The fixers run ahead for so many new findings and so long, before anything is said (ARCHITECTURE, "The one path", 9)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A patch that passed the gate without the repository's tests."""

    patch: Patch
    proof: Proof
    suggestion: Suggestion | None


def speak(context: Context, message: SpeakMessage) -> None:
    """Bring the threads and the sticky comment of a pull request to what its newest review says."""
    review = context.wanted(message.review, ReviewStatus.DONE)
    ref = review.change.pull_request
    if ref is None:
        with context.finish():
            return
    host = context.teller(review)
    capabilities = context.capabilities(review.installation)
    if host.pull_request(ref).head != review.change.head:
        with context.finish():
            return
    with context.database.work() as work:
        verdict = work.reviews.verdict(review.id)
        policy = Policy.model_validate_json(work.reviews.policy(review.id))
        known = work.effects.threads(ref)
    speakable = speakable_of(context, verdict)
    offers = _offers(context, review, policy, speakable) if speakable else {}
    report = Report(tellable(review.change, verdict), head=review.change.head, base=review.change.base)
    threads = [_thread(judged, report, offers.get(judged.finding.fingerprint)) for judged in _worth_a_thread(speakable, offers)]
    threads = threads[: capabilities.threads]
    live = {j.finding.fingerprint for j in verdict.judged if j.baseline is not BaselineState.FIXED}
    gone = [] if verdict.incomplete else [f for f in known if f not in live]
    resolved = [Thread(fingerprint, "", 1, 1, "", resolved=True) for fingerprint in gone]
    summary = render_comment(report, capabilities)
    placed = host.ensure_threads(ref, review.change.head, [*threads, *resolved], summary) if threads or resolved else ()
    opened = frozenset(t.fingerprint for t in placed if not t.outside and t.fingerprint in live)
    is_open = bool(verdict.standing(Standing.BLOCKS) or verdict.standing(Standing.WARNS))
    wanted = is_open and (not opened or not capabilities.check_pages)
    host.ensure_comment(ref, "summary", summary if wanted else "")
    if opened != candidates(context, review, verdict):
        publish_head(context, review.installation, review.change.repository, review.change.head, opened)
    with context.finish() as work:
        work.effects.remember_threads(ref, {t.fingerprint: t.id for t in placed if not t.outside})


def _worth_a_thread(speakable: Sequence[Judged], offers: Mapping[str, Offer]) -> list[Judged]:
    return [j for j in speakable if j.finding.secret is not None or j.finding.fingerprint in offers]


def _offers(context: Context, review: Review, policy: Policy, speakable: Sequence[Judged]) -> dict[str, Offer]:
    """Patches that passed the gate ahead of speaking; nothing of the repository is executed for them."""
    change = review.change
    mirror = context.mirror_of(review)
    files = CommitFiles(mirror, change.head)
    control = context.control(review.id)
    engines = context.engines(control)
    deadline = time.monotonic() + AHEAD_SECONDS
    offers: dict[str, Offer] = {}
    for judged in speakable[:AHEAD_FINDINGS]:
        if time.monotonic() > deadline:
            break
        patch = make_patch(context.plugins.fixers, judged.finding, files)
        if patch is None:
            continue
        try:
            proof = prove(
                finding=judged.finding, patch=patch, files=files, policy=policy, control=control, run_tests=False, engines=engines
            )
        except (EngineError, SandboxUnavailable) as failure:
            log.warning("no fix could be checked ahead", extra={"review_id": review.id, "code": failure.code})
            break
        if proof.word in (ProofWord.RESCANNED, ProofWord.VERIFIED):
            offers[judged.finding.fingerprint] = Offer(patch, proof, _suggestion(mirror, review, judged, patch))
    return offers


def _suggestion(mirror: Mirror, review: Review, judged: Judged, patch: Patch) -> Suggestion | None:
    path = judged.finding.location.path
    added = mirror.added_lines(review.change.base, review.change.head, [path])
    return suggestion_of(patch, path, added.get(path, []))


def _thread(judged: Judged, report: Report, offer: Offer | None) -> Thread:
    location = judged.finding.location
    suggestion = offer.suggestion if offer else None
    line, end_line = (suggestion.line, suggestion.end_line) if suggestion else (location.line, location.end_line)
    body = render_thread(
        judged,
        report,
        suggestion=suggestion.text if suggestion else None,
        fix_note=offer.patch.explanation if offer else "",
        word=offer.proof.word if offer else None,
    )
    return Thread(judged.finding.fingerprint, location.path, line, end_line, body)
