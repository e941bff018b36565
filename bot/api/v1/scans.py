"""/repositories/{repository_id}/scans: starting scan batches, following them, reading what they found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from bot.api.context import Api, Context, Reader, Scanning, maybe, when
from bot.api.errors import documented, no_engine, not_found, wrong_state
from bot.api.idempotency import Repeatable
from bot.api.links import link
from bot.api.paging import COUNTED, Cursor, Limit, PublicPaginatedResponse, Rest, Skip, page, wanted
from bot.api.quotas import reserve
from bot.api.schemas_findings import FindingSeverity
from bot.api.schemas_scans import (
    PublicScanBatchResponse,
    PublicScanCreate,
    PublicScanNotChecked,
    PublicScanProgressResponse,
    PublicScanRepositoryProgress,
    PublicScanResultFinding,
    PublicScanResultsResponse,
    ScanBatchStatus,
)
from bot.api.v1.repositories import RepositoryPath, repository_of
from pipeline.batchprogress import percent
from pipeline.errors import EngineError
from pipeline.escaping import exact
from pipeline.lifecycle import BATCH
from pipeline.messages import INTERACTIVE, Envelope, ScanRepository
from pipeline.model.account import Principal
from pipeline.model.scan import BatchStatus, ScanType
from pipeline.quota import counter_of
from pipeline.stages.examine import RunControl
from pipeline.store.batches import Part, PublicBatch
from pipeline.store.groups import Group
from pipeline.store.listing import Listed
from pipeline.store.work import Work
from pipeline.weaknesses import owasp

router = APIRouter(prefix="/repositories/{repository_id}/scans", tags=["Scans"])

ScanPath = Annotated[str, Path(description="The batch id.")]

_FOLLOWING: Final = ("get_scan", "get_scan_progress", "get_scan_results")
_STARTED: Final = link(202, _FOLLOWING, repository_id="$response.body#/repository_id", scan_id="$response.body#/batch_id")
_LISTED: Final = link(200, _FOLLOWING, repository_id="$request.path.repository_id", scan_id="$response.body#/items/0/batch_id")

WORDS: Final = {
    BatchStatus.QUEUED: ScanBatchStatus.QUEUED,
    BatchStatus.PREPARING: ScanBatchStatus.CREATING_SCANS,
    BatchStatus.RUNNING: ScanBatchStatus.SCANNING,
    BatchStatus.ASSESSING: ScanBatchStatus.ASSESSING,
    BatchStatus.DONE: ScanBatchStatus.COMPLETED,
    BatchStatus.PARTLY: ScanBatchStatus.PARTIAL_FAILURE,
    BatchStatus.FAILED: ScanBatchStatus.FAILED,
    BatchStatus.CANCELLED: ScanBatchStatus.FAILED,
}
"""Our states in the words of the specification."""

AT_ONCE: Final = 500
"""Findings of the results that are read, and held, at one time."""


# --- shapes ---------------------------------------------------------------------------------------------------------------------------


def _common(group: Group, batch: PublicBatch) -> dict[str, Any]:
    return {
        "batch_id": batch.id,
        "repository_id": group.id,
        "scan_type": batch.scan_type,
        "status": WORDS[batch.status],
        "total_repositories": batch.counts.total,
        "scans_created": batch.counts.created,
        "scans_failed": batch.counts.failed,
        "scans_completed": batch.counts.completed,
        "scans_assessed": batch.counts.assessed,
        "error_message": _trouble(batch),
        "started_at": maybe(batch.started_at),
        "completed_at": maybe(batch.completed_at),
        "cancelled": batch.status is BatchStatus.CANCELLED,
    }


def _trouble(batch: PublicBatch) -> str | None:
    counts, why = batch.counts, exact(batch.trouble)
    match batch.status:
        case BatchStatus.CANCELLED:
            return f"it was cancelled: {why}" if why else "it was cancelled: nobody wants it any more"
        case BatchStatus.FAILED if counts.total > 1:
            return "none of the source repositories could be scanned; the progress says why"
        case BatchStatus.FAILED:
            return why or "it could not be scanned"
        case BatchStatus.PARTLY:
            return f"{counts.failed} of {counts.total} source repositories could not be scanned; the progress says why"
        case _:
            return None


def shape(group: Group, batch: PublicBatch) -> PublicScanBatchResponse:
    """A batch as the API shows it."""
    return PublicScanBatchResponse(
        **_common(group, batch),
        created_at=when(batch.created_at),
        trigger=batch.trigger,
        asked_by=exact(batch.asked_by) or None,
        branch=exact(batch.branch) or None,
        commit_sha=batch.commit or None,
        pull_request=batch.pull_request,
    )


def _part(group: Group, part: Part) -> PublicScanRepositoryProgress:
    return PublicScanRepositoryProgress(
        repository=_name(group, part),
        branch=exact(part.branch),
        status=part.status,
        status_reason=exact(part.reason) or None,
        findings_count=part.findings,
        started_at=maybe(part.started_at),
        completed_at=maybe(part.ended_at),
        commit_sha=part.commit or None,
    )


def _name(group: Group, part: Part) -> str:
    """What it is called; nothing is told of one that may be another organization's by now."""
    return exact(part.full_name) if part.source in group.members else "(no longer part of this repository)"


# --- starting -------------------------------------------------------------------------------------------------------------------------


@router.post("", status_code=202, responses={**documented(404, 409), **_STARTED}, summary="Start a scan")
def create_scan(
    api: Context, principal: Scanning, repository_id: RepositoryPath, once: Repeatable, body: PublicScanCreate
) -> PublicScanBatchResponse:
    """Trigger a security scan for the repository: of the default branch of each of its source repositories."""
    with api.database.read() as work:
        repository_of(work, principal, repository_id)
    _needs_engine(api, body.scan_type)
    with api.database.work() as work:
        group = repository_of(work, principal, repository_id)
        sources = [source.id for source in group.sources if source.active]
        if group.archived:
            raise wrong_state("this repository is archived")
        if not sources:
            raise wrong_state("this repository has no source repository in which anything may be done")
        batch, scans = work.asked.ask(group.id, sources, body.scan_type, principal.name)
        reserve(api, work, principal, counter_of(body.scan_type), f"batch:{batch}")
        for source, scan in zip(sources, scans, strict=True):
            _, repository, installation = work.installations.by_id(source)
            message = ScanRepository(installation, repository, "asked", scan)
            work.outbox.send(Envelope(message, f"scan_repository:{scan}:0", priority=INTERACTIVE))
        return once.keep(work, 202, shape(*batch_of(work, principal, repository_id, batch)))


def _needs_engine(api: Api, scan_type: ScanType) -> None:
    """Raises ApiError (409) when what would look is not here."""
    scanner = api.app.plugins.scanners.get(scan_type)
    if scanner is None:
        raise no_engine(_ABSENT.get(scan_type, f"this installation has no engine for {scan_type}"))
    try:
        scanner.info(RunControl(api.app.places.engines, lambda: True, api.app.places.level))
    except EngineError as error:
        raise no_engine(f"{error.message}{f' ({error.hint})' if error.hint else ''}") from None


_ABSENT: Final = {
    ScanType.DEEP_AI: "deep_ai_scan needs a language model, and none is configured here",
    ScanType.SBOM: "this version of Fixwright has no engine for sbom_scan",
}


# --- following ------------------------------------------------------------------------------------------------------------------------


@router.get("", responses={**documented(404), **_LISTED}, summary="List scans")
def list_scans(
    api: Context,
    principal: Reader,
    repository_id: RepositoryPath,
    scan_type: Annotated[ScanType | None, Query(description="Filter by scan type")] = None,
    status: Annotated[ScanBatchStatus | None, Query(description="Filter by status")] = None,
    limit: Limit = 20,
    skip: Skip = 0,
    cursor: Cursor = None,
) -> PublicPaginatedResponse[PublicScanBatchResponse]:
    """List scan batches for the repository, newest first; those of pushes, pull requests and schedules are among them."""
    asked = wanted(limit, skip, cursor)
    statuses = [ours for ours, word in WORDS.items() if word is status]
    after = asked.after[0] if asked.after else ""
    with api.database.read() as work:
        group = repository_of(work, principal, repository_id)
        found, more, total = work.batches.page(
            group, scan_type=scan_type, statuses=statuses, limit=asked.limit, skip=asked.skip, after=after, at_most=COUNTED + 1
        )
    return page([shape(group, batch) for batch in found], Rest(more, total, (found[-1].id,) if found else ()), asked)


def batch_of(work: Work, principal: Principal, repository_id: str, scan_id: str) -> tuple[Group, PublicBatch]:
    """The batch that a path names, with its repository. Raises ApiError (404)."""
    group = repository_of(work, principal, repository_id)
    named = len(scan_id) <= 64 and scan_id.isascii() and scan_id.isalnum()
    batch = work.batches.get(group, scan_id) if named else None
    if batch is None:
        raise not_found("scan")
    return group, batch


@router.get("/{scan_id}", responses=documented(404), summary="Get a scan")
def get_scan(api: Context, principal: Reader, repository_id: RepositoryPath, scan_id: ScanPath) -> PublicScanBatchResponse:
    """Get the scan batch you created. scan_id is the batch id."""
    with api.database.read() as work:
        return shape(*batch_of(work, principal, repository_id, scan_id))


@router.get("/{scan_id}/progress", responses=documented(404), summary="Get the progress of a scan")
def get_scan_progress(api: Context, principal: Reader, repository_id: RepositoryPath, scan_id: ScanPath) -> PublicScanProgressResponse:
    """Fine-grained progress for a scan batch: its counters, and how each source repository stands."""
    with api.database.read() as work:
        group, batch = batch_of(work, principal, repository_id, scan_id)
        parts = work.batches.parts(batch)
    return PublicScanProgressResponse(
        **_common(group, batch),
        percent_complete=percent(batch.counts, over=BATCH.terminal(batch.status)),
        repositories=[_part(group, part) for part in parts],
    )


# --- results --------------------------------------------------------------------------------------------------------------------------


@router.get("/{scan_id}/results", responses=documented(404), response_model=PublicScanResultsResponse, summary="Get the results of a scan")
def get_scan_results(api: Context, principal: Reader, repository_id: RepositoryPath, scan_id: ScanPath) -> StreamingResponse:
    """Aggregate findings from every source repository in the batch, the worst first; and what was not looked at."""
    with api.database.read() as work:
        group, batch = batch_of(work, principal, repository_id, scan_id)
        parts = work.batches.parts(batch)
        missing = _not_checked(work, group, batch, parts)
    return StreamingResponse(_results(api, group, batch, parts, missing), media_type="application/json")


def _results(api: Api, group: Group, batch: PublicBatch, parts: list[Part], missing: list[PublicScanNotChecked]) -> Iterator[str]:
    """The document in pieces: there may be 100,000 findings. What is said of their number is what was sent."""
    head = {"batch_id": batch.id, "scan_type": batch.scan_type, "status": WORDS[batch.status]}
    complete = batch.status is BatchStatus.DONE and not missing
    foot = {"not_checked": [one.model_dump() for one in missing], "complete": complete}
    yield f'{json.dumps(head)[:-1]}, "findings": ['
    number = 0
    after: tuple[int, str] | None = None
    names = {part.source: _name(group, part) for part in parts}
    while True:
        with api.database.read() as work:
            seen, last = work.batches.findings(batch.id, group.members, after, AT_ONCE)
            found = work.listing.read(seen)
        if found:
            yield ("," if number else "") + ",".join(_finding(one, names.get(one.repository, "")).model_dump_json() for one in found)
        number += len(found)
        if last is None:
            break
        after = last
    yield f'], "findings_count": {number}, {json.dumps(foot)[1:]}'


def _finding(one: Listed, source: str) -> PublicScanResultFinding:
    rule, place = one.finding.rule, one.finding.location
    return PublicScanResultFinding(
        check_id=rule.id,
        file_path=exact(place.path),
        severity=FindingSeverity(rule.severity.word),
        message=exact(rule.message),
        cwe=[f"CWE-{rule.cwe}"] if rule.cwe else [],
        owasp=list(owasp(rule.cwe)),
        fingerprint=one.finding.fingerprint,
        id=one.id,
        line_start=place.line,
        line_end=max(place.line, place.end_line),
        branch=exact(one.branch),
        source_repo=source,
    )


def _not_checked(work: Work, group: Group, batch: PublicBatch, parts: list[Part]) -> list[PublicScanNotChecked]:
    found = []
    for part in parts:
        found += [
            PublicScanNotChecked(repository=_name(group, part), file_path=exact(path) or None, reason=exact(reason))
            for path, reason in work.batches.missed(batch, part)
        ]
    found += [
        PublicScanNotChecked(repository=_name(group, part), reason=f"its {part.findings} findings are no longer kept as those of this scan")
        for part in work.batches.forgotten(batch, parts)
    ]
    if batch.trigger == "api":
        looked = {part.source for part in parts}
        left = "it was not part of this scan: added since, archived, switched off, or its installation was suspended"
        found += [PublicScanNotChecked(repository=exact(s.full_name), reason=left) for s in group.sources if s.id not in looked]
    return found
