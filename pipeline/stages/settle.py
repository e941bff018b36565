"""SettleReview: what is new, what stands in the way, and what may be said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pipeline.messages import HOLD, Envelope, PublishCheck, SettleReview
from pipeline.model.finding import BaselineState, Finding
from pipeline.model.ids import Handle
from pipeline.model.review import Review, ReviewStatus, Verdict
from pipeline.model.scan import Coverage, Gap, ScanResult
from pipeline.policy import PLACES, Policy
from pipeline.sandbox.git import Changed
from pipeline.stages.context import Context
from pipeline.stages.examine import merge
from pipeline.stages.scan import CHANGED_FILES
from pipeline.triage.baseline import Compared, compare
from pipeline.triage.gate import decide_verdict
from pipeline.triage.handles import assign


def settle_review(context: Context, message: SettleReview) -> None:
    """Decide the verdict of a review whose scans have ended, and give each finding its handle."""
    review = context.wanted(message.review, ReviewStatus.SETTLING)
    change = review.change
    with context.database.work() as work:
        results = work.reviews.scan_results(review.id)
        policy = Policy.model_validate_json(work.reviews.policy(review.id))
        gaps = work.reviews.policy_gaps(review.id)
    mirror = context.mirror_of(review)
    changed, _ = mirror.changes(change.base, change.head, limit=CHANGED_FILES)
    sides = {side: [result for name, result in results if name == side] for side in ("base", "head", "history")}
    compared = compare_sides(sides["base"], sides["head"], sides["history"], changed)
    paths = sorted({finding.location.path for finding in compared.new})
    added = mirror.added_lines(change.base, change.head, paths) if paths else {}
    coverage = ledger(sides["head"], sides["history"], changed, gaps)
    notes = policy_notes(review, changed)
    verdict = decide_verdict(policy=policy, compared=compared, coverage=coverage, added=added, notes=notes)
    with context.finish() as work:
        repository = work.installations.upsert_repository(change.repository)
        verdict = with_handles(verdict, work.findings.handles(repository))
        # A fork's branch may have any name, also that of our default branch.
        branch = f"pull/{change.pull_request.number}" if change.pull_request else change.head_ref
        new = [judged.finding for judged in verdict.judged if judged.baseline is BaselineState.NEW]
        fixed = [judged.finding for judged in verdict.fixed]
        work.findings.remember(repository, new, review.id, branch, change.head, fixed=fixed)
        work.reviews.save_verdict(review.id, verdict)
        work.reviews.move(review.id, ReviewStatus.SETTLING, ReviewStatus.PUBLISHING)
        work.outbox.send(Envelope(PublishCheck(review.id), f"publish:{review.id}", group=review.id, hold=HOLD))


def compare_sides(
    base: Sequence[ScanResult], head: Sequence[ScanResult], history: Sequence[ScanResult], changed: Sequence[Changed]
) -> Compared:
    """What is new against the base: in the head, or in a commit on the way there."""
    old = [finding for result in base for finding in result.findings]
    new = [finding for result in head for finding in result.findings]
    passed = [finding for result in history for finding in result.findings]
    commits = {(f.fingerprint, f.location.path): f.commit for f in reversed(passed)}
    new = [replace(f, commit=commits.get((f.fingerprint, f.location.path), f.commit)) for f in new]
    present = {_value(finding) for finding in new}
    once: dict[tuple[str, str], Finding] = {}
    for finding in passed:
        if _value(finding) not in present:
            once.setdefault(_value(finding), finding)
    return compare(old, [*new, *once.values()], covered=covered_in(head, changed))


def _value(finding: Finding) -> tuple[str, str]:
    """Two secrets on the same line with other values are two secrets."""
    return finding.fingerprint, finding.secret.keyed_hash if finding.secret else ""


def covered_in(head: Sequence[ScanResult], changed: Sequence[Changed]) -> Callable[[Finding], bool]:
    """Whether the engine of a base finding has looked at its file again, or the file is gone."""
    gone = {c.path for c in changed if not c.new_blob.strip("0")}
    missed: set[tuple[str, str]] = {(gap.engine, gap.path) for result in head for gap in result.coverage.gaps}

    def covered(finding: Finding) -> bool:
        engine, path = finding.engine, finding.location.path
        return path in gone or not ({(engine, path), (engine, "")} & missed)

    return covered


def ledger(head: Sequence[ScanResult], history: Sequence[ScanResult], changed: Sequence[Changed], gaps: Sequence[Gap]) -> Coverage:
    """The coverage ledger of a review."""
    merged = merge([*head, *history])
    present = {c.path for c in changed if c.new_blob.strip("0")}
    skipped: dict[str, set[str]] = {}
    for result in head:
        for gap in result.coverage.gaps:
            skipped.setdefault(gap.path, set()).add(gap.engine)
    engines = {run.engine for result in head for run in result.coverage.runs}
    unchecked = {path for path in present if engines and engines <= skipped.get(path, set())}
    checked = len(present - unchecked) if engines else 0
    return Coverage(
        runs=merged.runs,
        gaps=(*gaps, *merged.gaps),
        # A deleted file needs no look; when there is nothing else, the title names it.
        files_changed=len(present) or len(changed),
        files_checked=checked,
        commits=max((r.coverage.commits for r in history), default=0),
        commits_checked=max((r.coverage.commits_checked for r in history), default=0),
    )


def policy_notes(review: Review, changed: Sequence[Changed]) -> tuple[str, ...]:
    """A change to the policy is said aloud: it counts only once it is in the base."""
    places = PLACES.get(review.installation.provider, PLACES["local"])
    touched = [c.path for c in changed if c.path in places]
    return tuple(f"This change edits {path}; the policy of the base is in force here." for path in touched)


def with_handles(verdict: Verdict, taken: Mapping[Handle, str]) -> Verdict:
    """The verdict with a handle for every finding; known identities keep theirs."""
    handles = assign([judged.finding.fingerprint for judged in verdict.judged], taken)
    judged = tuple(replace(j, finding=replace(j.finding, handle=handles[j.finding.fingerprint])) for j in verdict.judged)
    return replace(verdict, judged=judged)
