"""/repositories/{repository_id}/findings: what is wrong there, and what people decide about it."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query

from bot.api.context import Api, Context, Finding, Reader, maybe, when
from bot.api.errors import documented, not_found, unfit, wrong_state
from bot.api.links import link
from bot.api.paging import COUNTED, Cursor, Limit, PublicPaginatedResponse, Rest, Skip, page, wanted
from bot.api.schemas_findings import FindingSeverity, PublicFindingResponse, PublicFindingUpdate, SecurityFindingStatus
from bot.api.v1.repositories import RepositoryPath, repository_of
from pipeline.errors import StaleWrite, UsageError
from pipeline.escaping import exact
from pipeline.model.account import Scope
from pipeline.model.finding import Severity
from pipeline.model.scan import ScanType
from pipeline.model.target import UserRef
from pipeline.model.waiver import OF_A_KEY
from pipeline.stages.decide import BY_KEY, lift, lifted, take_back
from pipeline.store.decisions import Decision
from pipeline.store.groups import Group, Source
from pipeline.store.identifiers import new_id
from pipeline.store.listing import Listed, Place, PublicStatus, Wish
from pipeline.store.seen import PULL
from pipeline.weaknesses import owasp, page_of

router = APIRouter(prefix="/repositories/{repository_id}/findings", tags=["Findings"])

_LISTED = link(200, ("get_finding", "update_finding"), repository_id="$request.path.repository_id", finding_id="$response.body#/items/0/id")

LETS_STAND = (SecurityFindingStatus.IGNORED, SecurityFindingStatus.FALSE_POSITIVE)

FindingPath = Annotated[str, Path(description="`id` of a finding.")]
Branch = Annotated[
    str | None,
    Query(max_length=1_000, description="Not in the original contract: another branch than the default one; `pull/7` for pull request 7."),
]


def shape(api: Api, group: Group, one: Listed) -> PublicFindingResponse:
    """A finding as the API shows it."""
    finding, rule, place = one.finding, one.finding.rule, one.finding.location
    source = next(source for source in group.sources if source.id == one.repository)
    moments = [one.since, one.last_seen, *([one.decided_at] if one.decided_at is not None else [])]
    return PublicFindingResponse(
        id=one.id,
        repository_id=group.id,
        check_id=rule.id,
        severity=FindingSeverity(rule.severity.word),
        status=SecurityFindingStatus(one.status),
        file_path=exact(place.path),
        message=exact(rule.message),
        title=exact(rule.title),
        category="secrets" if finding.secret is not None else rule.id.partition(".")[0],
        scan_type=one.scan_type,
        cwe=[f"CWE-{rule.cwe}"] if rule.cwe else [],
        owasp=list(owasp(rule.cwe)),
        references=[page_of(rule.cwe)] if rule.cwe else [],
        source_url=_page(api, source, one),
        first_detected_at=when(one.first_seen),
        last_detected_at=when(one.last_seen),
        resolved_at=maybe(one.since if one.status == "resolved" else None),
        created_at=when(one.first_seen),
        updated_at=when(max(moments)),
        line_start=place.line,
        line_end=max(place.line, place.end_line),
        branch=exact(one.branch),
        commit_sha=one.commit,
        is_pr_finding=one.branch.startswith(PULL),
        handle=finding.handle or "",
        source_repo=exact(source.full_name),
        source_repo_provider=source.provider,
        reason=exact(one.reason) or None,
        until=one.until,
        fix_ids=list(one.fixes),
    )


def _page(api: Api, source: Source, one: Listed) -> str | None:
    """The lines on the code host; None where it has no pages."""
    provider = api.app.plugins.providers.get(source.provider)
    form = provider.capabilities.file_page if provider is not None else ""
    if not form or not source.clone_url.startswith(("https://", "http://")):
        return None
    place = one.finding.location
    if not place.path:  # that is no longer kept
        return None
    path = quote(place.path.encode("utf-8", "surrogateescape"))
    lines = form.format(commit=one.finding.commit or one.commit, path=path, line=place.line, end=max(place.line, place.end_line))
    return f"{source.clone_url.removesuffix('.git')}/{lines}"


def places_of(group: Group, branch: str | None = None) -> list[Place]:
    """Where to look: on that branch of each source repository, or on the default one."""
    return [(source.id, branch or source.default_branch) for source in group.sources]


@router.get("", responses={**documented(404), **_LISTED}, summary="List findings")
def list_findings(
    api: Context,
    principal: Reader,
    repository_id: RepositoryPath,
    scan_batch_id: Annotated[str | None, Query(max_length=64, description="Filter by scan batch id")] = None,
    severity: Annotated[FindingSeverity | None, Query(description="Filter by severity")] = None,
    status: Annotated[SecurityFindingStatus | None, Query(description="Filter by status")] = None,
    scan_type: Annotated[ScanType | None, Query(description="Filter by scan type")] = None,
    branch: Branch = None,
    limit: Limit = 50,
    skip: Skip = 0,
    cursor: Cursor = None,
) -> PublicPaginatedResponse[PublicFindingResponse]:
    """List findings for the repository, newest first: those of the default branch, unless `branch` or `scan_batch_id` says otherwise."""
    asked = wanted(limit, skip, cursor)
    wish = Wish(Severity.parse(severity) if severity else None, status.value if status else None, scan_type)
    span = {"limit": asked.limit, "skip": asked.skip}
    after = asked.after[0] if asked.after else ""
    with api.database.read() as work:
        group = repository_of(work, principal, repository_id)
        if scan_batch_id is None:
            places = places_of(group, branch)
            keys, more = work.listing.page(places, wish, **span, after=after)
            total = work.listing.total(places, wish, COUNTED + 1, api.totals)
        else:
            keys, more, total = [], False, 0
            if work.listing.batch_of(scan_batch_id, group.id, group.members):
                keys, more, total = work.listing.page_of_batch(
                    scan_batch_id, group.members, wish, api.totals, **span, after=after, at_most=COUNTED + 1
                )
        found = work.listing.read(keys)
    rest = Rest(more, total, (keys[-1].finding,) if keys else ())
    return page([shape(api, group, one) for one in found], rest, asked)


@router.get("/{finding_id}", responses=documented(404), summary="Get a finding")
def get_finding(api: Context, principal: Reader, repository_id: RepositoryPath, finding_id: FindingPath) -> PublicFindingResponse:
    """Get a single finding by id."""
    with api.database.read() as work:
        group = repository_of(work, principal, repository_id)
        key = work.listing.key_of(finding_id, places_of(group)) if finding_id.isalnum() and finding_id.isascii() else None
        found = work.listing.read([key] if key is not None else [])
    if not found:
        raise not_found("finding")
    return shape(api, group, found[0])


@router.patch("/{finding_id}", responses=documented(404, 409), summary="Update finding status")
def update_finding(
    api: Context, principal: Finding, repository_id: RepositoryPath, finding_id: FindingPath, body: PublicFindingUpdate
) -> PublicFindingResponse:
    """Update the status of a finding. `ignored` and `false_positive` let pull requests with it pass only when the key has the scope
    `admin`: as a waiver in the key's name, for as long as the policy allows. What is `resolved` and found again by a scan is open again.
    With the status that it has, another `reason` or `until` takes the place of the old one, and what is left out stays. Of a finding that
    is gone from the branch nothing but `resolved` can be said."""
    today = api.app.places.today()
    if body.until is not None and body.until < today:
        raise unfit("body", "until", f"the last day is {today.isoformat()} or later")
    status: PublicStatus = body.status.value
    said, person = (None if body.reason is None else body.reason.strip()), UserRef(f"{BY_KEY}{principal.id}", f"{principal.name}{OF_A_KEY}")
    with api.database.work() as work:
        group = repository_of(work, principal, repository_id)
        key = work.listing.key_of(finding_id, places_of(group)) if finding_id.isalnum() and finding_id.isascii() else None
        before = work.listing.read([key] if key is not None else [])
        if key is None or not before:
            raise not_found("finding")
        decision = Decision(status, principal.name, said, body.until, moves_end="until" in body.model_fields_set)
        try:
            changed = work.decisions.decide(key, before[0].commit, decision)
        except StaleWrite as error:
            raise wrong_state(error.message) from None
        (now,) = work.listing.read([key])
        if principal.may(Scope.ADMIN) and (changed or (status in LETS_STAND and not lifted(work, now, today))):
            token = new_id()
            try:
                if status in LETS_STAND:
                    until = None if now.until is None else date.fromisoformat(now.until)
                    lift(work, now, person, now.reason, until, today, token)
                else:
                    take_back(work, now, person, token)
            except UsageError as error:
                raise unfit("body", "until" if "last day" in error.message else "reason", error.message) from None
        stands = lifted(work, now, today) if status in LETS_STAND else None
    if changed:
        with api.database.work() as work:
            work.events.number()
    return shape(api, group, now).model_copy(update={"gate_lifted": stands})
