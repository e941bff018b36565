"""ScanRepository: look at everything on a default branch, without anybody having to wait for it.

Few repositories are scanned at one moment, over all workers (`pipeline.store.sweeps`), and each in slices of files: a message does
slices for some seconds and sends the next message at the lowest priority, so that everything that somebody waits for overtakes. What an
engine said of a file is in the cache at once: a slice that is repeated after a crash, and a whole scan that is repeated next week, cost
little. Nothing of it is shown on the host: `pipeline.stages.inventory` brings the repository's own list of findings up to date.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from pipeline.errors import EngineError, EngineMissing, EngineTimedOut, FixwrightError, HostForbidden, HostNotFound, Superseded
from pipeline.leaks import within
from pipeline.messages import BATCH, Envelope, RunScan, ScanRepository, SettleReview
from pipeline.model.ids import CommitId, RepositoryId, ReviewId
from pipeline.model.review import Change, Review, ReviewStatus
from pipeline.model.scan import Coverage, Gap, GapClass, Scan, ScanResult, ScanStatus, ScanType
from pipeline.model.target import SourceRepository
from pipeline.policy import Policy
from pipeline.ports import Control, Scanner
from pipeline.sandbox.git import Changed, Mirror
from pipeline.stages.context import Context
from pipeline.stages.examine import SideFile, examine_sides
from pipeline.stages.policies import policy_in_force
from pipeline.stages.remembered import StoredCache
from pipeline.store.work import Work

log = logging.getLogger(__name__)

MAX_FILES: Final = 50_000
"""Files of one repository that are looked at; the rest is a gap. Linux has 90,000, and is the largest that most people know."""

SLICE_FILES: Final = 200
"""Files that an engine is given at once: some seconds of its time."""

FEWEST_FILES: Final = 25
"""A slice on which an engine crashes is halved down to so few, which are then the gap."""

HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
REGULAR = ("100644", "100755")


def scan_repository(context: Context, message: ScanRepository) -> None:
    """Begin the scan of a repository when there is room, or put it into the queue. Running it again continues where a crash left it."""
    with context.database.work() as work:
        number = work.installations.identify(message.repository)
        wanted = work.installations.state_of(number) == "active"
        room = wanted and work.installations.take_slot(number)
        under_way = work.reviews.live_whole(number)
        begun_by_us = under_way is not None and under_way.status is ReviewStatus.PLANNED and context.claimed.attempts > 1
        begun_by_us = begun_by_us and under_way is not None and work.asked.of_review(under_way.id) is None
        begins = room and (under_way is None or begun_by_us)
        if begins:
            work.installations.begun(number)
        elif wanted:
            # Also while it is being scanned: what that scan has read already may be what this one is asked for.
            work.installations.want_scan(number)
    if not begins:
        with context.finish():
            return
    now = newest(context, message)
    if now.trouble:
        _nothing(context, number, now.trouble)
        return
    if now.head is not None:
        begin(context, message, number, now.repository, now.head)
        return
    with context.finish() as work:
        work.installations.upsert_repository(now.repository, asked=True)
        work.installations.empty(number)
        begin_next(work, context.claimed.id)


@dataclass(frozen=True, slots=True)
class Newest:
    """How a repository is now, as its host says."""

    repository: SourceRepository
    head: CommitId | None = None
    """The tip of its default branch; None when it has no commit yet."""
    trouble: str = ""
    """Why nothing can be looked at, as a clause for people; else empty."""


def newest(context: Context, message: ScanRepository) -> Newest:
    """Ask the host."""
    host = context.host(message.installation)
    try:
        now = host.describe(message.repository)
    except (HostForbidden, HostNotFound):
        return Newest(message.repository, trouble="the host does not show it to us")
    try:
        return Newest(now, host.tip(now, now.default_branch) if now.default_branch else None)
    except HostForbidden:
        return Newest(now, trouble="the host does not show us its code")
    except HostNotFound:
        return Newest(now)


def _nothing(context: Context, number: RepositoryId, trouble: str) -> None:
    log.info("scan.nothing", extra={"repository_id": number, "reason": trouble})
    with context.finish() as work:
        work.installations.nothing_to_scan(number, trouble, spread(DAY))
        begin_next(work, context.claimed.id)


def begin(context: Context, message: ScanRepository, number: RepositoryId, repository: SourceRepository, head: CommitId) -> None:
    """Make the review of everything at a commit, and send its first scan; with a slot in hand."""
    branch = repository.default_branch
    change = Change(repository, base=head, head=head, policy_commit=head, base_ref=branch, head_ref=branch, whole=True)
    with context.database.work() as work:
        # Also a lock: of two that begin at once the second sees the first here.
        work.installations.upsert_repository(repository, asked=True)
        others = work.reviews.live_whole(number)
        asked = None if message.scan is None else work.asked.scan(message.scan)
        key = f"whole:{number}:{context.claimed.id}" if message.scan is None else f"asked:{message.scan}"
        review_id, made = work.reviews.create(
            key, message.installation, change, status=ReviewStatus.PLANNED, asked=message.scan is not None
        )
        if made and others is not None:
            raise Superseded(f"review {others.id} looks at everything already")
        if asked is not None:
            work.asked.begin(asked, review_id)
        review = work.reviews.get(review_id)
    if review.status is not ReviewStatus.PLANNED:
        raise Superseded(f"review {review.id} is {review.status}")
    mirror = context.mirror_of(review)
    in_force = policy_in_force(context, review, mirror)
    policy = in_force.effective.policy
    with context.finish() as work:
        in_force.save(work, review)
        work.installations.began(number, head)
        if asked is None:
            available = [scan_type for scan_type in context.plugins.scanners if scan_type not in policy.engines.scans]
            for scan_type in (*policy.engines.scans, *available):
                work.reviews.add_batch(review.id, scan_type, head, required=scan_type in policy.engines.scans)
        work.reviews.move(review.id, ReviewStatus.PLANNED, ReviewStatus.SCANNING)
        _go_on(work, review.id)
    log.info("scan.begun", extra={"review_id": review.id, "why": message.why})


def begin_next(work: Work, token: str) -> int:
    """Let the repositories begin whose turn it is, as far as there is room; how many that are.

    Args:
        token: makes the messages unique: the id of the message in whose transaction this is, or of the moment.
    """
    due = work.installations.take_due()
    for one in due:
        why: Literal["added", "schedule"] = "added" if one.first else "schedule"
        scan = ScanRepository(one.installation, one.repository, why)
        work.outbox.send(Envelope(scan, f"scan_repository:{one.id}:{token}", priority=BATCH))
    return len(due)


def spread(seconds: float) -> float:
    """A tenth more or less, so that what began together does not stay together for ever."""
    return seconds * (0.9 + random.random() / 5)  # noqa: S311  needs no secrecy


def next_in(policy: Policy) -> float | None:
    """Seconds until everything is looked at again; None for never."""
    return {"never": None, "daily": spread(DAY), "weekly": spread(WEEK)}[policy.schedule]


def engines_digest(scanners: Mapping[ScanType, Scanner], control: Control) -> str:
    """Digest of all engines and rules as they would run now; two that differ find different things.

    Raises:
        EngineMissing: one of them is not installed.
    """
    infos = [scanner.info(control) for scanner in scanners.values()]
    lines = sorted(f"{info.name} {info.version} {info.rules_digest}" for info in infos)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


# --- slices ---------------------------------------------------------------------------------------------------------------------------


def run_slices(context: Context, review: Review, message: RunScan) -> None:
    """Look at some slices of a scan of everything, and send the message for the next; the last one goes on with the next engine."""
    with context.database.work() as work:
        scan = work.reviews.scan(message.scan)
        if scan.status is ScanStatus.QUEUED:
            work.reviews.move_scan(scan.id, ScanStatus.QUEUED, ScanStatus.RUNNING)
        elif scan.status is not ScanStatus.RUNNING:
            raise Superseded(f"scan {scan.id} is {scan.status}")
        policy = Policy.stored(work.reviews.policy(review.id))
        number = work.installations.identify(review.change.repository)
        asked = work.asked.of_review(review.id) is not None
        work.installations.take_slot(number, asked=asked)
    slices, part, error = 1, message.part, ""
    results: dict[int, ScanResult] = {}
    started = time.monotonic()
    try:
        scanner = context.plugins.scanners.get(scan.scan_type)
        if scanner is None:
            raise EngineMissing(f"there is no engine for {scan.scan_type} in this version", engine=str(scan.scan_type))
        mirror = context.mirror_of(review)
        files = concerned(scanner, policy, listing(mirror, review.change.head)[0])
        slices = max(1, -(-len(files) // SLICE_FILES))
        while part < slices and (part == message.part or _may_go_on(context, started)):
            some = files[part * SLICE_FILES : (part + 1) * SLICE_FILES]
            results[part] = _look(context, review, scanner, mirror, policy, some)
            part += 1
    except EngineError as failure:
        log.warning("engine.failed", extra={"engine": failure.engine, "code": failure.code, "review_id": review.id})
        gap = Gap(failure.engine, "", failure.message, GapClass.ERROR, failure.blame)
        results[part] = ScanResult((), Coverage(gaps=(gap,)))
        part, error = slices, failure.code
    known = context.found(review.change.repository, (finding for result in results.values() for finding in result.findings))
    with within(known), context.finish() as work:
        work.installations.take_slot(number, asked=asked)
        for where, result in results.items():
            work.reviews.save_part(scan.id, where, result)
        if part < slices:
            _send(work, scan, review.id, part)
            return
        work.reviews.move_scan(scan.id, ScanStatus.RUNNING, ScanStatus.FAILED if error else ScanStatus.DONE, error=error)
        _go_on(work, review.id)


def _may_go_on(context: Context, started: float) -> bool:
    """Whether this message may do one more slice: its time is not over, and nobody waits for the worker that it holds."""
    if time.monotonic() - started >= context.places.slice_seconds:
        return False
    with context.database.read() as work:
        return not work.publishing.is_overtaken(BATCH)


def _go_on(work: Work, review: ReviewId) -> None:
    """With the next engine, one at a time; after the last one with the list of findings."""
    waiting = [scan for scan in work.reviews.scans(review) if scan.status is ScanStatus.QUEUED]
    if waiting:
        _send(work, waiting[0], review, 0)
        return
    work.reviews.move(review, ReviewStatus.SCANNING, ReviewStatus.SETTLING)
    work.outbox.send(Envelope(SettleReview(review), f"settle:{review}", priority=BATCH))


def _send(work: Work, scan: Scan, review: ReviewId, part: int) -> None:
    # In no group: a worker that goes on with a group by itself would do all slices while others wait.
    work.outbox.send(Envelope(RunScan(scan.id, review, part), f"run_scan:{scan.id}:{part}", priority=BATCH))


def listing(mirror: Mirror, head: CommitId) -> tuple[list[Changed], bool]:
    """Every regular file at a commit in git's order of paths, and whether there are more than MAX_FILES."""
    entries, more = mirror.entries(head, limit=MAX_FILES)
    return [entry for entry in entries if entry.new_mode in REGULAR], more


def concerned(scanner: Scanner, policy: Policy, entries: Sequence[Changed]) -> list[SideFile]:
    """The files that an engine has something to say about and that the policy does not leave out."""
    wanted = (entry for entry in entries if scanner.concerns(entry.path) and not policy.excluded(entry.path))
    return [SideFile(entry.path, entry.new_blob, entry.new_mode) for entry in wanted]


def _look(context: Context, review: Review, scanner: Scanner, mirror: Mirror, policy: Policy, files: Sequence[SideFile]) -> ScanResult:
    """One slice. An engine that crashes on it is given halves, so that one file that it cannot bear does not hide 199 others."""
    try:
        return examine_sides(
            scanner,
            {"": files},
            mirror,
            policy,
            context.control(review.id),
            cache=StoredCache(context, review.change.repository),
            secret_key=context.places.hash_key,
            seconds=context.places.engine_seconds,
            fetch=mirror.ensure_blobs,
        )[""]
    except EngineError as failure:
        if failure.blame == "us":
            raise
        if len(files) > FEWEST_FILES and not isinstance(failure, EngineTimedOut):
            middle = len(files) // 2
            halves = [_look(context, review, scanner, mirror, policy, half) for half in (files[:middle], files[middle:])]
            return _together(*halves)
        gaps = tuple(Gap(scanner.name, file.path, failure.message, GapClass.ERROR, failure.blame) for file in files)
        return ScanResult((), Coverage(gaps=gaps, files_changed=len(files)))


def _together(one: ScanResult, other: ScanResult) -> ScanResult:
    first, second = one.coverage, other.coverage
    coverage = replace(
        first,
        runs=(*first.runs, *second.runs),
        gaps=(*first.gaps, *second.gaps),
        files_changed=first.files_changed + second.files_changed,
        files_checked=first.files_checked + second.files_checked,
    )
    return ScanResult((*one.findings, *other.findings), coverage)


# --- giving up ------------------------------------------------------------------------------------------------------------------------


def abandon(work: Work, number: RepositoryId, error: FixwrightError, token: str) -> None:
    """A whole scan could not be done at all: said in the list, tried again tomorrow, and the next repository has its turn."""
    work.installations.nothing_to_scan(number, error.message, spread(DAY))
    begin_next(work, token)


def make_room(work: Work, number: RepositoryId, token: str) -> None:
    """What was asked for through the API is over, however it ended: whoever else wants to look at everything there has his turn."""
    work.installations.free_slot(number)
    begin_next(work, token)
