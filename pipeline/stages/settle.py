"""SettleReview: what is new, what stands in the way, and what may be said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from pipeline.messages import HOLD, Envelope, PublishCheck, SettleReview, Speak
from pipeline.model.finding import Finding
from pipeline.model.ids import Handle, RepositoryId
from pipeline.model.review import Change, Review, ReviewStatus, Verdict
from pipeline.model.scan import Coverage, Gap, ScanResult
from pipeline.policy import Policy, PolicyRecord
from pipeline.sandbox.git import Changed
from pipeline.stages.again import start_again
from pipeline.stages.context import Context
from pipeline.stages.disclosure import mark_listed, mark_unlisted, needs_list
from pipeline.stages.examine import merge
from pipeline.stages.followlist import send_follow
from pipeline.stages.inventory import note_change, settle_whole, whole
from pipeline.stages.merged import mended_by
from pipeline.stages.ruling import Ruling, read_ruling
from pipeline.stages.scan import CHANGED_FILES
from pipeline.stages.sweep import HOUR, spread
from pipeline.store.work import Work
from pipeline.tally import TALLY
from pipeline.triage.baseline import Compared, compare
from pipeline.triage.diff import Added
from pipeline.triage.gate import decide_verdict
from pipeline.triage.handles import assign
from pipeline.triage.suppression import Suppressor
from pipeline.triage.waivers import of_others, waived


def settle_review(context: Context, message: SettleReview) -> None:
    """Decide the verdict of a review whose scans have ended, and give each finding its handle; or decide it anew from the same scans."""
    if whole(context, message.review):
        settle_whole(context, message)
        return
    expected = (ReviewStatus.PUBLISHING, ReviewStatus.DONE) if message.again else (ReviewStatus.SETTLING,)
    review = context.wanted(message.review, *expected)
    change = review.change
    with context.database.work() as work:
        results = work.reviews.scan_results(review.id)
        policy = Policy.stored(work.reviews.policy(review.id))
        gaps = work.reviews.policy_gaps(review.id)
        record = PolicyRecord.model_validate_json(work.reviews.policy_record(review.id))
    if message.again and not results:
        _look_again(context, review)
        return
    seen = _look(context, review, results, gaps, policy, record)
    mended = {} if message.again else mended_by(context, review, _gone(change, seen))
    with context.finish() as work:
        repository = work.installations.identify(change.repository)
        # Also a lock: a waiver that is written down meanwhile either is seen here, or sees what is remembered here.
        taken = work.findings.handles(repository)
        verdict = _decide(work, repository, change, seen, taken, context.places.today())
        if message.again:
            _save_again(context, work, review, verdict)
            return
        note_change(context, work, review, repository, verdict, seen.compared, seen.sides, seen.changed, taken, mended)
        work.reviews.save_verdict(review.id, verdict)
        if change.pull_request is None and not change.queued and change.head_ref == change.repository.default_branch:
            send_follow(work, review, policy, "pushed")
        work.on_commit(lambda: TALLY.add("fixwright_reviews_total", conclusion=str(verdict.conclusion)))
        work.reviews.move(review.id, ReviewStatus.SETTLING, ReviewStatus.PUBLISHING)
        work.outbox.send(Envelope(PublishCheck(review.id), f"publish:{review.id}", group=review.id, hold=HOLD))


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything that the decision needs and that is read before its transaction."""

    compared: Compared
    sides: Mapping[str, Sequence[ScanResult]]
    changed: Sequence[Changed]
    added: Added
    coverage: Coverage
    ruling: Ruling


def _gone(change: Change, seen: _Seen) -> Callable[[str], bool]:
    """What may be gone from the list that a change brings up to date: of a pull request everything that its head does not have; of a push,
    which says nothing of the files that it leaves alone, what it took out."""
    if change.pull_request is None:
        fixed = {finding.fingerprint for finding in seen.compared.fixed}
        return lambda fingerprint: fingerprint in fixed
    present = {finding.fingerprint for result in seen.sides["head"] for finding in result.findings}
    return lambda fingerprint: fingerprint not in present


def _look(
    context: Context,
    review: Review,
    results: Sequence[tuple[str, ScanResult]],
    gaps: Sequence[Gap],
    policy: Policy,
    record: PolicyRecord,
) -> _Seen:
    change = review.change
    mirror = context.mirror_of(review)
    changed, _ = mirror.changes(change.base, change.head, limit=CHANGED_FILES)
    sides = {side: [result for name, result in results if name == side] for side in ("base", "head", "history")}
    compared = compare_sides(sides["base"], sides["head"], sides["history"], changed)
    paths = sorted({finding.location.path for finding in compared.new})
    added = mirror.added_lines(change.base, change.head, paths) if paths else {}
    coverage = ledger(sides["head"], sides["history"], changed, gaps)
    places = context.provider(review.installation).capabilities.policies
    ruling = read_ruling(review, places, policy, record, mirror, changed, compared.new)
    return _Seen(compared, sides, changed, added, coverage, ruling)


def _decide(work: Work, repository: RepositoryId, change: Change, seen: _Seen, taken: Mapping[Handle, str], today: date) -> Verdict:
    """The verdict as things are now, with handles."""
    ruling, compared = seen.ruling, seen.compared
    waivers = _waived(work, repository, change, ruling.policy, compared.new, today)
    suppressed = ruling.suppressed(waivers, taken, today)
    verdict = decide_verdict(policy=ruling.policy, compared=compared, coverage=seen.coverage, added=seen.added, suppressed=suppressed)
    if change.pull_request is not None or change.queued:
        verdict = _mark(work, repository, change, verdict, compared)
    return with_handles(ruling.explain(verdict, waivers, taken, today), taken)


def _waived(work: Work, repository: RepositoryId, change: Change, policy: Policy, new: Sequence[Finding], today: date) -> Suppressor:
    """People's words that count for this change: not those of its own authors, unless the policy lets them."""
    known = work.waivers.of_repository(repository)
    if policy.waivers.by_author or not known:
        return waived(known, new, today)
    if change.pull_request is not None:
        known = of_others(known, change.pull_request.number, work.waivers.pushers(repository, change.pull_request.number))
    return waived(known, new, today, "" if change.author is None else change.author.id)


def _mark(work: Work, repository: RepositoryId, change: Change, verdict: Verdict, compared: Compared) -> Verdict:
    """The verdict with a mark at what the default branch has too, as far as its list says."""
    if needs_list(change) and not work.installations.listing(repository).made:
        work.installations.want_scan(repository, spread(HOUR))  # what it waits for must come, also when nobody told us of the repository
        return mark_unlisted(verdict)
    new = {finding.fingerprint for finding in compared.new}
    return mark_listed(verdict, compared.unchanged, work.findings.places_of(repository, change.repository.default_branch, new))


def _save_again(context: Context, work: Work, review: Review, verdict: Verdict) -> None:
    """The new verdict in the place of the old one, to be shown and spoken of where it differs."""
    if verdict == work.reviews.verdict(review.id):
        return
    work.reviews.save_verdict(review.id, verdict, settled_before=True)
    token = context.claimed.id
    work.outbox.send(Envelope(PublishCheck(review.id), f"publish:{review.id}:{token}", group=review.id, hold=HOLD))
    if review.change.pull_request is not None and not review.change.draft:
        work.outbox.send(Envelope(Speak(review.id), f"speak:{review.id}:{token}", group=review.id, hold=HOLD))


def _look_again(context: Context, review: Review) -> None:
    """What the scans found is no longer kept: the head is judged afresh."""
    start = start_again(review.installation, review.change, f"after {review.id}")
    with context.finish() as work:
        work.outbox.send(Envelope(start, f"start:again:{review.id}"))


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


def with_handles(verdict: Verdict, taken: Mapping[Handle, str]) -> Verdict:
    """The verdict with a handle for every finding; known identities keep theirs."""
    handles = assign([judged.finding.fingerprint for judged in verdict.judged], taken)
    judged = tuple(replace(j, finding=replace(j.finding, handle=handles[j.finding.fingerprint])) for j in verdict.judged)
    return replace(verdict, judged=judged)
