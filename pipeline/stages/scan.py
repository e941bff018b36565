"""RunScan: one scan type on both sides of one change, and for secrets on every commit between."""

from __future__ import annotations

import logging

from pipeline.errors import EngineError, EngineMissing, StaleWrite
from pipeline.leaks import within
from pipeline.messages import HOLD, Envelope, RunScan, SettleReview
from pipeline.model.ids import ReviewId
from pipeline.model.review import Review, ReviewStatus
from pipeline.model.scan import Coverage, Gap, GapClass, Scan, ScanResult, ScanStatus, ScanType
from pipeline.policy import Policy
from pipeline.sandbox.git import Changed
from pipeline.stages.context import HISTORY, Context
from pipeline.stages.examine import SideFile, examine_sides
from pipeline.stages.history import attribute, read_history
from pipeline.stages.remembered import StoredCache
from pipeline.stages.sweep import run_slices
from pipeline.store.scans import Side
from pipeline.store.work import Work

log = logging.getLogger(__name__)

CHANGED_FILES = 5_000
"""Files of one change that are looked at; the rest is a gap."""


def run_scan(context: Context, message: RunScan) -> None:
    """Run the scan and record it; the one that ends last sends the review to be settled."""
    review = context.wanted(message.review, ReviewStatus.SCANNING)
    if review.change.whole:
        run_slices(context, review, message)
        return
    with context.database.work() as work:
        scan = work.reviews.scan(message.scan)
        if scan.status is ScanStatus.QUEUED:
            work.reviews.move_scan(scan.id, ScanStatus.QUEUED, ScanStatus.RUNNING)
        elif scan.status is not ScanStatus.RUNNING:
            raise StaleWrite(f"scan {scan.id} is {scan.status}")
        policy = Policy.stored(work.reviews.policy(review.id))
    try:
        sides = _sides(context, review, scan, policy)
        error = ""
    except EngineError as failure:
        log.warning("engine.failed", extra={"engine": failure.engine, "code": failure.code, "review_id": review.id})
        gap = Gap(failure.engine, "", failure.message, GapClass.ERROR, failure.blame)
        sides = {"head": ScanResult((), Coverage(gaps=(gap,)))}
        error = failure.code
    known = context.found(review.change.repository, (finding for result in sides.values() for finding in result.findings))
    with within(known), context.finish() as work:
        for side, result in sides.items():
            work.reviews.save_scan_result(scan.id, side, result)
        end_scan(work, review.id, scan, error)


def end_scan(work: Work, review: ReviewId, scan: Scan, error: str) -> None:
    """Move a running scan to its end; the last one of the review sends SettleReview in the same transaction."""
    work.reviews.move_scan(scan.id, ScanStatus.RUNNING, ScanStatus.FAILED if error else ScanStatus.DONE, error=error)
    live = work.reviews.get(review).status is ReviewStatus.SCANNING
    if live and work.reviews.pending_scans(review) == 0:
        work.reviews.move(review, ReviewStatus.SCANNING, ReviewStatus.SETTLING)
        work.outbox.send(Envelope(SettleReview(review), f"settle:{review}", group=review, hold=HOLD))


def _sides(context: Context, review: Review, scan: Scan, policy: Policy) -> dict[Side, ScanResult]:
    change = review.change
    scanner = context.plugins.scanners.get(scan.scan_type)
    if scanner is None:
        raise EngineMissing(f"there is no engine for {scan.scan_type} in this version", engine=str(scan.scan_type))
    mirror = context.mirror_of(review)
    changed, truncated = mirror.changes(change.base, change.head, limit=CHANGED_FILES)
    control = context.control(review.id)
    cache = StoredCache(context, change.repository)
    key = context.places.hash_key

    states: dict[str, list[SideFile]] = {"head": new_side(changed), "base": old_side(changed)}
    searched = scan.scan_type is ScanType.SECRETS and (change.pull_request is not None or change.queued)
    history = read_history(mirror, change.base, change.head, HISTORY) if searched else None
    states |= {f"layer {n}": layer for n, layer in enumerate(history.layers if history else ())}
    results = examine_sides(
        scanner,
        states,
        mirror,
        policy,
        control,
        cache=cache,
        secret_key=key,
        seconds=context.places.engine_seconds,
        fetch=mirror.ensure_blobs,
    )
    sides: dict[Side, ScanResult] = {"base": results["base"], "head": results["head"]}
    if truncated:
        gap = Gap(scanner.name, "", f"more than {CHANGED_FILES} files changed", GapClass.LIMIT)
        sides["head"] = _with_gap(sides["head"], gap)
    if history is not None:
        layers = [results[name] for name in states if name.startswith("layer ")]
        sides["history"] = attribute(history, layers, 0 if change.queued else change.commits)
    return sides


def old_side(changed: list[Changed]) -> list[SideFile]:
    """What the changed files were before."""
    return [SideFile(c.path, c.old_blob, c.old_mode) for c in changed if c.old_blob.strip("0")]


def new_side(changed: list[Changed]) -> list[SideFile]:
    """What the changed files are now."""
    return [SideFile(c.path, c.new_blob, c.new_mode) for c in changed if c.new_blob.strip("0")]


def _with_gap(result: ScanResult, gap: Gap) -> ScanResult:
    coverage = result.coverage
    return ScanResult(result.findings, Coverage(coverage.runs, (*coverage.gaps, gap), coverage.files_changed, coverage.files_checked))
