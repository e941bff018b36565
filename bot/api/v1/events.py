"""/finding-events: what happens to findings, in an order that never changes any more."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from bot.api.context import Context, Reader, when
from bot.api.errors import documented, unfit
from bot.api.paging import COUNTED, Cursor, Limit, PublicPaginatedResponse, Rest, Skip, page, wanted
from bot.api.schemas_findings import FindingEventType, FindingSeverity, PublicFindingEventResponse, SecurityFindingStatus
from pipeline.escaping import exact
from pipeline.model.finding import Severity
from pipeline.model.scan import ScanType
from pipeline.store.eventlog import Logged, Sought

router = APIRouter(prefix="/finding-events", tags=["Finding events"])

OURS: Final = ("merged", "waived", "rotated", "waiver_ended", "waiver_expired")
"""Kinds of ours that the contract has no word for. What a person let stand, and that a pull request's finding is another branch's now,
belong into a trail for audits: they are shown as `status_changed`, with our word in `metadata.kind`."""

_BEGINS: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:")

_WIDTH: Final = 16
"""Digits of an id, so that ids sort as texts, too."""


def shape(one: Logged) -> PublicFindingEventResponse:
    """An event as the API shows it."""
    metadata: dict[str, Any] = {"branch": exact(one.branch), "commit_sha": one.commit, "detail": exact(one.detail)}
    ours = {"kind": one.kind} if one.kind in OURS else {}
    return PublicFindingEventResponse(
        id=f"{one.sequence:0{_WIDTH}d}",
        organization_id=one.organization,
        repository_id=one.group,
        finding_id=one.finding,
        scan_id=one.scan,
        scan_type=one.scan_type,
        event_type=FindingEventType.STATUS_CHANGED if ours else FindingEventType(one.kind),
        previous_status=SecurityFindingStatus(one.previous) if one.previous else None,
        new_status=SecurityFindingStatus(one.now) if one.now else None,
        severity=FindingSeverity(one.severity.word),
        check_id=one.rule,
        file_path=exact(one.path) or None,
        actor_user_id=exact(one.actor) or None,
        metadata={**metadata, **ours},
        event_timestamp=when(one.logged_at),
        created_at=when(one.at),
    )


def _as_text(given: object) -> object:
    """What is no date and time as RFC 3339 writes them is not taken for seconds."""
    if isinstance(given, str) and not _BEGINS.match(given):
        raise ValueError("not a date and time")
    return given


Moment = Annotated[datetime, BeforeValidator(_as_text)]


@router.get("", responses=documented(), summary="List finding lifecycle events")
def list_finding_events(
    api: Context,
    principal: Reader,
    repository_id: Annotated[str | None, Query(max_length=64, description="Filter by repository id")] = None,
    finding_id: Annotated[str | None, Query(max_length=64, description="Filter by finding id")] = None,
    scan_type: Annotated[ScanType | None, Query(description="Filter by scan type")] = None,
    severity: Annotated[FindingSeverity | None, Query(description="Filter by severity")] = None,
    event_type: Annotated[FindingEventType | None, Query(description="Filter by event type")] = None,
    start: Annotated[Moment | None, Query(description="Start time filter, of `event_timestamp`; UTC where no zone is named")] = None,
    end: Annotated[Moment | None, Query(description="End time filter, likewise; both ends belong to it")] = None,
    limit: Limit = 100,
    skip: Skip = 0,
    cursor: Cursor = None,
) -> PublicPaginatedResponse[PublicFindingEventResponse]:
    """List finding lifecycle events for the calling organization, newest first. Events never change their order: who reads until an id that
    is known has seen everything."""
    asked = wanted(limit, skip, cursor)
    with api.database.read() as work:
        organization, members = principal.organization.id, None
        if repository_id is not None:
            group = work.groups.get(organization, repository_id)
            members = group.members if group is not None else ()
        sought = Sought(
            repositories=members,
            finding=finding_id if finding_id is None or (finding_id.isascii() and finding_id.isalnum()) else "",
            scan_type=scan_type,
            severity=Severity.parse(severity) if severity else None,
            kinds=_kinds(event_type),
            start=_moment(start),
            end=_moment(end),
        )
        events, more, total = work.events.page(
            organization, sought, limit=asked.limit, skip=asked.skip, before=_before(asked.after), at_most=COUNTED + 1
        )
    rest = Rest(more, total, (f"{events[-1].sequence:0{_WIDTH}d}",) if events else ())
    return page([shape(one) for one in events], rest, asked)


def _kinds(asked: FindingEventType | None) -> tuple[str, ...] | None:
    if asked is None:
        return None
    return (asked.value, *OURS) if asked is FindingEventType.STATUS_CHANGED else (asked.value,)


def _moment(asked: datetime | None) -> float | None:
    return None if asked is None else (asked if asked.tzinfo else asked.replace(tzinfo=UTC)).timestamp()


def _before(after: tuple[str, ...] | None) -> int | None:
    if not after:
        return None
    if not after[0].isdecimal() or len(after[0]) > _WIDTH:
        raise unfit("query", "cursor", "this is no cursor of this list; begin without one")
    return int(after[0])
