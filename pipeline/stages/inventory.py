"""The list of a repository's findings: what a review saw becomes the list's own, with the events that follow from it.

Three kinds of reviews know something of it: a scan of everything, a push to the default branch, and a pull request, whose findings are
its own (`pull/7`) until it is merged. Something is resolved only when the same engine, with the same or newer rules, looked at that file
again and did not find it, or when the file is gone. What could not be looked at stays as it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pipeline.errors import StaleWrite
from pipeline.messages import BATCH, Envelope, SettleReview
from pipeline.model.finding import BaselineState, Finding
from pipeline.model.ids import Handle, RepositoryId, ReviewId
from pipeline.model.review import Review, ReviewStatus, Verdict
from pipeline.model.scan import Coverage, Gap, GapClass, ScanResult, ScanType
from pipeline.policy import Policy, PolicyRecord
from pipeline.sandbox.git import Changed, Mirror
from pipeline.stages.context import Context
from pipeline.stages.disclosure import needs_list
from pipeline.stages.examine import merge
from pipeline.stages.followlist import send_follow
from pipeline.stages.listedfix import PACKAGES
from pipeline.stages.merged import mended_by
from pipeline.stages.ruling import let_stand, read_ruling
from pipeline.stages.scan import CHANGED_FILES
from pipeline.stages.sweep import DAY, HOUR, MAX_FILES, begin_next, concerned, engines_digest, listing, make_room, next_in, spread
from pipeline.store.places import Looked
from pipeline.store.seen import PULL
from pipeline.store.sweeps import Listing
from pipeline.store.work import Work
from pipeline.triage.baseline import Compared
from pipeline.triage.bundles import listed
from pipeline.triage.gate import decide_verdict
from pipeline.triage.grouped import packages_in
from pipeline.triage.handles import AndThese, assign
from pipeline.triage.waivers import waived

log = logging.getLogger(__name__)

KEPT_GAPS: Final = 500
"""Files that were not checked, as the ledger of a whole scan names them; the others are counted."""


# --- a change -------------------------------------------------------------------------------------------------------------------------


def note_change(
    context: Context,
    work: Work,
    review: Review,
    repository: RepositoryId,
    verdict: Verdict,
    compared: Compared,
    results: Mapping[str, Sequence[ScanResult]],
    changed: Sequence[Changed],
    taken: Mapping[Handle, str],
    mended: Mapping[str, str],
) -> None:
    """What a change brought and took away becomes part of the list: its pull request's, or the pushed branch's.

    Args:
        verdict: with handles.
        results: of the engines by side: `base`, `head`, `history`.
        taken: handles that were given before this review.
        mended: see `pipeline.stages.merged.mended_by`.
    """
    change = review.change
    new = [judged.finding for judged in verdict.judged if judged.baseline is BaselineState.NEW]
    fixed = [judged.finding for judged in verdict.fixed]
    ran = seen_with([*results["head"], *results["history"]], context.places.version)
    looked = _not_missed([*results["head"], *results["history"]])
    if change.pull_request is not None:
        # A fork's branch may have any name, also that of our default branch.
        branch = f"{PULL}{change.pull_request.number}"
        looked_at = Looked(looked, ran)
        ids = work.findings.remember(repository, new, review.id, branch, change.head, fixed=fixed, looked=looked_at, mended=mended)
        work.attributed.seen(review.id, branch, new, ids)
    elif change.queued:
        # Identities and handles only: it is made of pull requests, and what it brings will be pushed.
        ids = work.findings.remember(repository, new, review.id, change.head_ref, change.head, stands=False)
        work.attributed.seen(review.id, change.head_ref, new, ids)
    else:
        looked_at = Looked(looked, ran, {c.path for c in changed})
        _note_push(context, work, review, repository, compared, verdict, looked_at, taken, mended)


def _note_push(
    context: Context,
    work: Work,
    review: Review,
    repository: RepositoryId,
    compared: Compared,
    verdict: Verdict,
    looked: Looked,
    taken: Mapping[Handle, str],
    mended: Mapping[str, str],
) -> None:
    """The changed files have exactly the findings that were found there. A push that leaves doubt makes the whole scan due."""
    change = review.change
    named = AndThese(taken, {j.finding.handle: j.finding.fingerprint for j in verdict.judged if j.finding.handle is not None})
    seen = with_own_handles(listed(f for f in (*compared.new, *compared.unchanged) if not f.rule.shadow), named)
    ids = work.findings.remember(repository, seen, review.id, change.head_ref, change.head, looked=looked, mended=mended)
    work.attributed.seen(review.id, change.head_ref, seen, ids)
    known = work.installations.listing(repository)
    if verdict.coverage.breaking:
        work.installations.want_scan(repository, spread(HOUR))
    # The list moves on with what could be looked at: else a file that never can be makes the next push look as if one were missing.
    if known.commit is not None and known.commit != change.head and not work.installations.listed(repository, change.base, change.head):
        log.info("list.push_missing", extra={"review_id": review.id})
        work.installations.want_scan(repository)
        begin_next(work, context.claimed.id)


def seen_with(results: Sequence[ScanResult], version: str) -> dict[str, str]:
    """By engine that ran: with which version of ours and which rules (`pipeline.store.places.no_older`)."""
    return {run.engine: f"{version} {run.rules_digest}" for result in results for run in result.coverage.runs}


def _not_missed(results: Sequence[ScanResult]) -> Callable[[str, str], bool]:
    missed = {(gap.engine, gap.path) for result in results for gap in result.coverage.gaps}
    return lambda engine, path: not ({(engine, path), (engine, "")} & missed)


def with_own_handles(seen: Sequence[Finding], taken: Mapping[Handle, str]) -> list[Finding]:
    """The findings with their handles; known identities keep theirs."""
    handles = assign([finding.fingerprint for finding in seen], taken)
    return [replace(finding, handle=handles[finding.fingerprint]) for finding in seen]


# --- everything -----------------------------------------------------------------------------------------------------------------------


def whole(context: Context, review: ReviewId) -> bool:
    """True for a review of everything."""
    with context.database.read() as work:
        return work.reviews.get(review).change.whole


def settle_whole(context: Context, message: SettleReview) -> None:
    """All slices of a scan of everything ended: bring the list up to date, and let the next repository begin."""
    review = context.wanted(message.review, ReviewStatus.SETTLING)
    change = review.change
    with context.database.read() as work:
        parts = work.reviews.parts(review.id)
        policy = Policy.stored(work.reviews.policy(review.id))
        record = PolicyRecord.model_validate_json(work.reviews.policy_record(review.id))
        gaps = work.reviews.policy_gaps(review.id)
        asked = work.asked.of_review(review.id)
    mirror = context.mirror_of(review)
    entries, more = listing(mirror, change.head)
    known = _listed_now(context, review)
    newer, moved = _moved_meanwhile(context, review, mirror, known)
    verdict = _ledger(policy if asked is None else _only(policy, asked.scan_type), parts, entries, more, gaps)
    findings = listed(f for part in parts for f in part.findings if not f.rule.shadow and f.location.path not in moved)
    present = {finding.fingerprint for part in parts for finding in part.findings}
    mended = mended_by(context, review, lambda fingerprint: fingerprint not in present)
    looked = Looked(_looked_at(context, policy, parts, entries, more, moved), seen_with(parts, context.places.version))
    places = context.provider(review.installation).capabilities.policies
    ruling = read_ruling(review, places, policy, record, mirror, (), findings)
    failed = next((gap for gap in verdict.coverage.gaps if not gap.path and gap.gap_class is GapClass.ERROR), None)
    digest = "" if failed or asked is not None else engines_digest(context.plugins.scanners, context.control())
    with context.finish() as work:
        repository = work.installations.identify(change.repository)
        taken = work.findings.handles(repository)
        if known is None or work.installations.listing(repository).commit != known.commit:
            # A push brought the list further between our look and the lock: what it says of its files is newer than what we hold.
            raise StaleWrite(f"the list of {repository} has moved meanwhile")
        seen = with_own_handles(findings, taken)
        work.findings.remember(repository, seen, review.id, change.head_ref, change.head, looked=looked, whole=True, mended=mended)
        work.attributed.branch(review.id, repository, change.head_ref)
        if asked is None:
            today = context.places.today()
            suppressed = ruling.suppressed(waived(work.waivers.of_repository(repository), findings, today, ""), taken, today)
            verdict = replace(verdict, judged=let_stand(policy, seen, suppressed))
        elif verdict.incomplete:
            work.asked.explain(asked, verdict.incomplete.lstrip(": "))
        work.reviews.save_verdict(review.id, verdict, {PACKAGES: json.dumps(packages_in(entry.path for entry in entries))})
        work.reviews.move(review.id, ReviewStatus.SETTLING, ReviewStatus.PUBLISHING)
        work.reviews.move(review.id, ReviewStatus.PUBLISHING, ReviewStatus.DONE)
        work.reviews.drop_parts(review.id)
        if asked is not None:
            # One engine looked: the list speaks of no other commit for that, and whoever waits to look at everything still does.
            make_room(work, repository, context.claimed.id)
            if change.head == known.commit:
                # What this engine found gone is gone from the commit of the list: what mends it is of no use any more.
                send_follow(work, review, policy, "asked")
        elif failed is not None:
            work.installations.incomplete(repository, review.id, verdict.incomplete.lstrip(": "), spread(DAY))
        else:
            work.installations.scanned(repository, review.id, change.head, digest, next_in(policy), moved=newer)
            if not known.made:
                _judge_what_waited(work, repository, review.id)
            send_follow(work, review, policy, "scanned")
        if asked is None:
            begin_next(work, context.claimed.id)
    log.info("scan.ended", extra={"review_id": review.id, "findings": len(findings), "complete": not verdict.incomplete})


def _only(policy: Policy, scan_type: ScanType) -> Policy:
    """The policy of a scan of everything that was asked of one engine: no other one is missing."""
    return policy.model_copy(update={"engines": policy.engines.model_copy(update={"required": (scan_type,)})})


def _judge_what_waited(work: Work, repository: RepositoryId, whole_review: ReviewId) -> None:
    """There is a list now: changes into other branches are told what the default branch does not have."""
    for number in work.waivers.judged_subjects(repository):
        if needs_list(work.reviews.get(number).change):
            key = f"settle_again:{number}:{whole_review}"
            work.outbox.send(Envelope(SettleReview(number, again=True), key, priority=BATCH, group=number))


def _listed_now(context: Context, review: Review) -> Listing | None:
    """Of what the list speaks before we write to it."""
    with context.database.read() as work:
        number = work.installations.find_repository(review.change.repository)
        return None if number is None else work.installations.listing(number)


def _moved_meanwhile(context: Context, review: Review, mirror: Mirror, known: Listing | None) -> tuple[bool, frozenset[str]]:
    """Whether pushes have brought the list further since this scan began, and the paths that they changed: what it says of those is newer
    than what was seen here."""
    with context.database.read() as work:
        began = work.reviews.times(review.id).created
    newer = known is not None and known.commit is not None and known.listed_at is not None and known.listed_at > began
    if known is None or known.commit is None or not newer or known.commit == review.change.head:
        return False, frozenset()
    mirror.fetch([(known.commit, 1)])
    changed, _ = mirror.changes(review.change.head, known.commit, limit=CHANGED_FILES)
    return True, frozenset(entry.path for entry in changed)


def _looked_at(
    context: Context, policy: Policy, parts: Sequence[ScanResult], entries: Sequence[Changed], more: bool, moved: frozenset[str]
) -> Callable[[str, str], bool]:
    """Whether an engine looked at a path, or there is no such file any more."""
    there = {entry.path for entry in entries}
    by_engine = {s.name: {file.path for file in concerned(s, policy, entries)} for s in context.plugins.scanners.values()}
    not_missed = _not_missed(parts)

    def at(engine: str, path: str) -> bool:
        if path in moved:
            return False
        if path not in there:
            return not more
        return path in by_engine.get(engine, ()) and not_missed(engine, path)

    return at


def _ledger(policy: Policy, parts: Sequence[ScanResult], entries: Sequence[Changed], more: bool, policy_gaps: Sequence[Gap]) -> Verdict:
    """Who looked at what. Findings stand in the list; the verdict of a whole scan has only those that somebody lets stand."""
    merged = merge(parts)
    gaps = [gap for gap in merged.gaps if gap.gap_class is not GapClass.NOT_APPLICABLE]
    whole, single = [gap for gap in gaps if not gap.path], [gap for gap in gaps if gap.path]
    if more:
        whole.append(Gap("git", "", f"more than {MAX_FILES:,} files; the rest is not looked at", GapClass.LIMIT))
    if len(single) > KEPT_GAPS:
        whole.append(Gap(single[0].engine, "", f"{len(single) - KEPT_GAPS:,} more files could not be checked", GapClass.LIMIT))
    unchecked = {gap.path for gap in single}
    coverage = Coverage(
        runs=merged.runs,
        gaps=(*policy_gaps, *whole, *single[:KEPT_GAPS]),
        files_changed=len(entries),
        files_checked=len(entries) - len(unchecked),
    )
    return decide_verdict(policy=policy, compared=Compared(), coverage=coverage, added={})
