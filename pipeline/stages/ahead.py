"""What the fixers and the quick gate have ready before anything is said of a change, and what is worth a thread then.

One place for a review, which speaks on a host, and for the replay of old changes, which says what would have been said. Nothing of the
repository is executed here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import EngineError, SandboxBusy, SandboxUnavailable
from pipeline.model.finding import Confidence, Judged, Standing
from pipeline.model.fix import Patch, Proof, ProofWord
from pipeline.model.report import Report, Thread
from pipeline.model.review import Verdict
from pipeline.policy import Policy
from pipeline.policy import Speak as SpeakingRule
from pipeline.ports import Capabilities, Fixer
from pipeline.reports.markdown import render_thread
from pipeline.rulebook import measured
from pipeline.stages.ladder import make_patch
from pipeline.stages.outbound import leak_in
from pipeline.stages.prove import Engines, RepositoryFiles, prove
from pipeline.triage.diff import Added, Suggestion, suggestion_of, thread_lines
from pipeline.triage.precision import Outcomes, Voice, shipped_of, voice_of

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


def voices_of(verdict: Verdict, here: Mapping[str, Outcomes]) -> dict[str, Voice]:
    """How the rules of what is listed may be heard, by rule.

    Args:
        here: what became of their findings in the organization, by rule.
    """
    shipped = measured()
    rules = {j.finding.rule.id for j in listed_of(verdict)}
    return {rule: voice_of(shipped_of(shipped, rule), here.get(rule, Outcomes())) for rule in rules}


def listed_of(verdict: Verdict) -> list[Judged]:
    """What is open, the worst first."""
    return [*verdict.standing(Standing.BLOCKS), *verdict.standing(Standing.WARNS)]


def may_speak(fixers: Sequence[Fixer], verdict: Verdict, rule: SpeakingRule, voices: Mapping[str, Voice]) -> list[Judged]:
    """New findings on added lines that may get a thread: the worst first, as the verdict has them.

    A secret always may; one of a rule that is measured well enough; and one that some fixer answers, should its patch pass the gate. Of a
    rule that people here made quiet, none, and none of what is a guess: a password in a test, a request that only a developer sends. Of
    what would have been said on the last 900 changes of nine well-kept repositories, 16 of 17 threads were such guesses.

    Args:
        rule: of the base's policy: whether any at all.
        voices: of `voices_of`.
    """
    if rule.threads == 0:
        return []
    listed = [j for j in listed_of(verdict) if j.in_diff and j.finding.rule.confidence > Confidence.LOW]
    return [j for j in listed if _is_sure(j, voices) or _may_with_a_fix(fixers, j, voices)]


def _is_sure(judged: Judged, voices: Mapping[str, Voice]) -> bool:
    return judged.finding.secret is not None or voices[judged.finding.rule.id] is Voice.SPEAKS


def _may_with_a_fix(fixers: Sequence[Fixer], judged: Judged, voices: Mapping[str, Voice]) -> bool:
    rule = judged.finding.rule.id
    return voices[rule] is Voice.WITH_A_FIX and any(fixer.answers(rule) for fixer in fixers)


def worth_a_thread(speakable: Sequence[Judged], offers: Mapping[str, Offer], voices: Mapping[str, Voice]) -> list[Judged]:
    """Of those that may speak, what is sure, or has a fix that passed the gate (by fingerprint)."""
    return [j for j in speakable if _is_sure(j, voices) or j.finding.fingerprint in offers]


def threads_ahead(
    speakable: Sequence[Judged],
    report: Report,
    offers: Mapping[str, Offer],
    voices: Mapping[str, Voice],
    added: Added,
    capabilities: Capabilities,
) -> list[Thread]:
    """What would be said on lines, the worst first: see `worth_a_thread`."""
    wanted = {
        judged.finding.fingerprint: _thread(judged, report, offers.get(judged.finding.fingerprint), added, capabilities)
        for judged in reversed(worth_a_thread(speakable, offers, voices))
    }
    return list(reversed(wanted.values()))


def offers_ahead(
    speakable: Sequence[Judged],
    *,
    fixers: Sequence[Fixer],
    files: RepositoryFiles,
    policy: Policy,
    engines: Engines,
    added: Added,
    clean: Callable[[str], str],
    seconds: float = AHEAD_SECONDS,
    wait_for_room: bool = True,
) -> dict[str, Offer]:
    """Patches that passed the gate ahead of speaking, by fingerprint.

    Args:
        files: the head of the change.
        clean: takes out what must not be shown: a patch that has some of it is no offer.
        seconds: after so long no other patch is begun.
        wait_for_room: raise SandboxBusy when no program can be started just now; False: go on without what could not be checked.

    Raises:
        SandboxBusy, GitError, Superseded.
    """
    deadline = time.monotonic() + seconds
    offers: dict[str, Offer] = {}
    for judged in speakable[:AHEAD_FINDINGS]:
        if time.monotonic() > deadline:
            break
        patch = make_patch(fixers, judged.finding, files)
        suggestion = _suggestion(judged, patch, added) if patch else None
        if patch is None or leak_in(clean, patch, suggestion.text if suggestion else ""):
            continue
        try:
            proof = prove(
                finding=judged.finding, patch=patch, files=files, policy=policy, control=engines.control, run_tests=False, engines=engines
            )
        except (EngineError, SandboxUnavailable) as failure:
            if isinstance(failure, SandboxBusy) and wait_for_room:
                raise
            log.warning("fix.not_checked_ahead", extra={"code": failure.code})
            break
        if proof.word in (ProofWord.RESCANNED, ProofWord.VERIFIED):
            offers[judged.finding.fingerprint] = Offer(patch, proof, suggestion)
    return offers


def _suggestion(judged: Judged, patch: Patch, added: Added) -> Suggestion | None:
    path = judged.finding.location.path
    return suggestion_of(patch, path, added.get(path, []))


def _thread(judged: Judged, report: Report, offer: Offer | None, added: Added, capabilities: Capabilities) -> Thread:
    location = judged.finding.location
    suggestion = offer.suggestion if offer else None
    # A finding may be longer than what the change added of it: a host refuses such a range, and with it all others.
    line, end_line = thread_lines(location, added) or (location.line, location.line)
    if suggestion:
        line, end_line = suggestion.line, suggestion.end_line
    body = render_thread(
        judged,
        report,
        suggestion=suggestion.text if suggestion else None,
        fence=capabilities.suggestion_on(line, end_line),
        fix_note=offer.patch.explanation if offer else "",
        word=offer.proof.word if offer else None,
        pull_request_word=capabilities.pull_request_word,
    )
    return Thread(judged.finding.fingerprint, location.path, line, end_line, body)
