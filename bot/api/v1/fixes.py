"""/fixes: a fix is made, watched, refined, called off, and offered as a pull request. A worker does all of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Annotated, Final, get_args

from fastapi import APIRouter, Path, Query

from bot.api.context import Api, Context, Fixing, Proposing, Reader, maybe, when
from bot.api.errors import ApiError, documented, no_engine, not_found, unfit, wrong_state
from bot.api.idempotency import Once, Repeatable
from bot.api.links import link
from bot.api.paging import Cursor, Limit, PublicPaginatedResponse, Rest, Skip, page, wanted
from bot.api.quotas import reserve
from bot.api.schemas_fixes import (
    Host,
    MergeStatus,
    PublicFixCreate,
    PublicFixDiffResponse,
    PublicFixProgressResponse,
    PublicFixPullRequestResponse,
    PublicFixRefine,
    PublicFixResponse,
    PublicPullRequestsCreate,
    PublicPullRequestsCreatedResponse,
)
from bot.api.v1.repositories import RepositoryPath, repository_of
from pipeline.branches import OURS, check_ours
from pipeline.errors import HostRejected, StaleWrite, UsageError
from pipeline.fixprogress import LIVE
from pipeline.messages import INTERACTIVE, Envelope, ProposeFix
from pipeline.model.account import Principal
from pipeline.model.fix import Fix, FixAttempt, FixStatus
from pipeline.model.ids import FindingId, FixId
from pipeline.quota import Counter
from pipeline.stages.askedfix import Asked, NotUnderstood, begin_asked, refine_asked
from pipeline.store.groups import Group, Source
from pipeline.store.offers import Offer
from pipeline.store.work import Work

router = APIRouter(prefix="/repositories/{repository_id}/fixes", tags=["Fixes"])

FixPath = Annotated[str, Path(description="`id` of a fix.")]

_FOLLOWING: Final = ("get_fix", "get_diff", "get_progress", "refine_fix", "cancel_fix", "create_pull_requests")
_MADE: Final = link(201, _FOLLOWING, repository_id="$response.body#/repository_id", fix_id="$response.body#/id")
_LISTED: Final = link(200, _FOLLOWING, repository_id="$request.path.repository_id", fix_id="$response.body#/items/0/id")

WAIT_SECONDS: Final = 25.0
"""How long who opens a pull request waits for the worker that does it."""
LOOK_SECONDS: Final = 0.2


def _fix_of(work: Work, group: Group, identifier: str) -> Fix:
    found = work.fix_lists.get(group.members, identifier)
    if found is None:
        raise not_found("fix")
    return found


# --- shapes ---------------------------------------------------------------------------------------------------------------------------


def shapes(api: Api, work: Work, group: Group, fixes: list[Fix]) -> list[PublicFixResponse]:
    """Fix runs as the API shows them."""
    attempts = work.fix_lists.attempts([fix.id for fix in fixes])
    offers = work.offers.of([fix.id for fix in fixes])
    sources = {source.id: source for source in group.sources}
    return [_shape(api, group, fix, attempts.get(fix.id, []), offers.get(fix.id, Offer()), sources.get(fix.repository)) for fix in fixes]


def _shape(api: Api, group: Group, fix: Fix, attempts: list[FixAttempt], offer: Offer, source: Source | None) -> PublicFixResponse:
    return PublicFixResponse(
        id=fix.id,
        repository_id=group.id,
        finding_ids=list(dict.fromkeys(one.finding for one in fix.members)) or [fix.finding],
        title=offer.called or fix.title or f"Mend {fix.place or fix.handle}",
        status=fix.status,
        source_repo=source.full_name if source else None,
        source_repo_provider=source.provider if source else None,
        source_scan_branch=offer.scan_branch or None,
        source_base_commit_sha=fix.base or None,
        error_message=fix.error or None,
        pull_requests=_pull_requests(api, fix, offer),
        created_at=when(fix.created_at),
        started_at=maybe(attempts[0].started_at if attempts else None),
        completed_at=maybe(_ended(fix, attempts)),
        attempt=fix.attempt,
        proof=str(fix.proof.word) if fix.proof else None,
        receipt_digest=fix.receipt.digest if fix.receipt else None,
    )


def _ended(fix: Fix, attempts: list[FixAttempt]) -> float | None:
    return None if fix.status in LIVE or not attempts else attempts[-1].ended_at


def _pull_requests(api: Api, fix: Fix, offer: Offer) -> list[PublicFixPullRequestResponse]:
    if fix.pull_request is None:
        return []
    ref = fix.pull_request
    provider = api.app.plugins.providers.get(ref.repository.provider)
    pages = ref.repository.clone_url.removesuffix(".git")
    path = provider.capabilities.pull_request_path.format(number=ref.number) if provider else ""
    state: MergeStatus = "merged" if offer.state == "merged" else "closed" if offer.state == "closed" else "open"
    return [
        PublicFixPullRequestResponse(
            repo_full_name=ref.repository.full_name,
            branch_name=offer.branch or fix.branch,
            pr_number=ref.number,
            pr_url=f"{pages}{path}" if pages.startswith(("https://", "http://")) and path else "",
            merge_status=state,
            created_at=when(offer.opened_at if offer.opened_at is not None else fix.updated_at),
            merged_at=maybe(offer.merged_at),
        )
    ]


# --- reading --------------------------------------------------------------------------------------------------------------------------


@router.get("", responses={**documented(404), **_LISTED}, summary="List fixes for the repository")
def list_fixes(
    api: Context,
    principal: Reader,
    repository_id: RepositoryPath,
    finding_id: Annotated[str | None, Query(max_length=100, description="Filter by finding id")] = None,
    limit: Limit = 50,
    skip: Skip = 0,
    cursor: Cursor = None,
) -> PublicPaginatedResponse[PublicFixResponse]:
    """Fix runs of the repository, the newest first, whoever asked for them."""
    asked = wanted(limit, skip, cursor)
    with api.database.read() as work:
        group = repository_of(work, principal, repository_id)
        after = asked.after[0] if asked.after else ""
        found, more, total = work.fix_lists.page(group.members, limit=limit, skip=asked.skip, after=after, finding=finding_id or "")
        items = shapes(api, work, group, found)
    return page(items, Rest(more, total, (found[-1].id,) if found else ()), asked)


@router.get("/{fix_id}", responses=documented(404), summary="Get a fix")
def get_fix(api: Context, principal: Reader, repository_id: RepositoryPath, fix_id: FixPath) -> PublicFixResponse:
    """Get a single fix by id."""
    with api.database.read() as work:
        group = repository_of(work, principal, repository_id)
        return shapes(api, work, group, [_fix_of(work, group, fix_id)])[0]


@router.get("/{fix_id}/diff", responses=documented(404), summary="Get the diff for a fix")
def get_diff(api: Context, principal: Reader, repository_id: RepositoryPath, fix_id: FixPath) -> PublicFixDiffResponse:
    """The patch; `diff` is null while the fix is made: poll until its status is completed."""
    with api.database.read() as work:
        fix = _fix_of(work, repository_of(work, principal, repository_id), fix_id)
    return PublicFixDiffResponse(fix_id=fix.id, status=fix.status, diff=None if fix.status in LIVE else fix.diff or None)


@router.get("/{fix_id}/progress", responses=documented(404), summary="Minimal heartbeat for a running fix")
def get_progress(api: Context, principal: Reader, repository_id: RepositoryPath, fix_id: FixPath) -> PublicFixProgressResponse:
    """Status, times, how many steps were done, and when the last one was. What is read or run is not told."""
    with api.database.read() as work:
        group = repository_of(work, principal, repository_id)
        fix = _fix_of(work, group, fix_id)
        attempts = work.fix_lists.attempts([fix.id]).get(fix.id, [])
        now = work.outbox.now()
    newest = attempts[-1] if attempts else None
    started, ended = (attempts[0].started_at if attempts else None), _ended(fix, attempts)
    return PublicFixProgressResponse(
        fix_id=fix.id,
        repository_id=group.id,
        status=fix.status,
        started_at=maybe(started),
        completed_at=maybe(ended),
        duration_seconds=None if started is None else round(max(0.0, (ended if ended is not None else now) - started), 3),
        agent_steps_completed=newest.steps if newest else 0,
        latest_activity_at=maybe(newest.active_at if newest else None),
        error_message=fix.error or None,
    )


# --- making ---------------------------------------------------------------------------------------------------------------------------


@router.post("", status_code=201, responses={**documented(404, 409), **_MADE}, summary="Trigger an autofix run")
def create_fix(
    api: Context, principal: Fixing, repository_id: RepositoryPath, once: Repeatable, body: PublicFixCreate
) -> PublicFixResponse:
    """Begin a fix of one or more findings; without any, of the worst that a fixer knows. What stands already for them is given again.

    Without a model the instructions choose among the patches that can be made (`another way`, `only FILE`); other words are kept and shown.
    """
    with api.database.work() as work:
        group = repository_of(work, principal, repository_id)
        if body.source_repo_provider == "azure_devops":
            raise unfit("body", "source_repo_provider", "this host is not supported")
        if group.archived:
            raise wrong_state("the repository is archived: nothing is mended there")
        source = _source(group, body)
        (number, repository, installation) = work.installations.by_id(source.id)
        branch = body.source_scan_branch or repository.default_branch
        findings = [FindingId(one) for one in body.finding_ids]
        known = work.findings.known(source.id, findings)
        if any(one not in known for one in findings):
            raise not_found("finding")
        asked = Asked(number, repository, installation, branch, findings, body.instructions, principal.name)
        try:
            fix_id, made = begin_asked(work, api.app.plugins.fixers, asked)
        except UsageError as error:
            raise wrong_state(error.message) from None
        if made:
            reserve(api, work, principal, Counter.PRS, f"fix:{fix_id}")
            work.offers.call(fix_id, number, body.title, branch)
        return once.keep(work, 201, shapes(api, work, group, [work.fixes.get(fix_id)])[0])


def _source(group: Group, body: PublicFixCreate) -> Source:
    named = [one for one in group.sources if one.full_name.lower() == body.source_repo.lower()]
    of_host = [one for one in named if one.provider == body.source_repo_provider] or [
        one for one in named if one.provider not in get_args(Host)
    ]
    if not of_host:
        raise not_found("source repository")
    if len(of_host) > 1:
        raise unfit("body", "source_repo", "several source repositories of this repository have this name")
    if not of_host[0].active:
        raise wrong_state("the source repository is archived, switched off or suspended: nothing is mended there")
    return of_host[0]


@router.post("/{fix_id}/refine", responses=documented(404, 409), summary="Refine a completed autofix run")
def refine_fix(
    api: Context, principal: Fixing, repository_id: RepositoryPath, fix_id: FixPath, once: Repeatable, body: PublicFixRefine
) -> PublicFixResponse:
    """Begin another attempt with follow-up instructions. An open pull request is brought up to date with what comes of it."""
    with api.database.work() as work:
        group = repository_of(work, principal, repository_id)
        fix = _fix_of(work, group, fix_id)
        try:
            refine_asked(work, fix, body.instructions, principal.name)
        except NotUnderstood as error:
            raise no_engine(f"{error.message}: {error.hint}") from None
        except (UsageError, StaleWrite) as error:
            raise wrong_state(error.message) from None
        return once.keep(work, 200, shapes(api, work, group, [work.fixes.get(fix.id)])[0])


@router.post("/{fix_id}/cancel", responses=documented(404, 409), summary="Cancel a pending or running autofix run")
def cancel_fix(api: Context, principal: Fixing, repository_id: RepositoryPath, fix_id: FixPath, once: Repeatable) -> PublicFixResponse:
    """Call a run off. Whoever makes it notices within two seconds."""
    with api.database.work() as work:
        group = repository_of(work, principal, repository_id)
        fix = _fix_of(work, group, fix_id)
        if not work.fixes.cancel(fix.id, principal.name):
            raise wrong_state(f"the fix is {fix.status}: only a pending or running one can be cancelled")
        return once.keep(work, 200, shapes(api, work, group, [work.fixes.get(fix.id)])[0])


# --- offering -------------------------------------------------------------------------------------------------------------------------


@router.post("/{fix_id}/pull-requests", status_code=201, responses=documented(404, 409, 502), summary="Open pull requests for a fix")
async def create_pull_requests(
    api: Context,
    principal: Proposing,
    repository_id: RepositoryPath,
    fix_id: FixPath,
    once: Repeatable,
    body: PublicPullRequestsCreate | None = None,
) -> PublicPullRequestsCreatedResponse:
    """Open the pull request of a completed fix. Asked again, the one that is open is given again. In a public repository this is the yes to
    telling everybody there."""
    wish = body or PublicPullRequestsCreate()
    key = await asyncio.to_thread(_offer, api, principal, repository_id, fix_id, wish)
    until = time.monotonic() + WAIT_SECONDS
    while not await asyncio.to_thread(_is_done, api, key):
        if time.monotonic() >= until:
            message = "the pull request is still being opened: ask again, or look at the fix"
            raise ApiError(503, "STILL_OPENING", message, headers={"Retry-After": "5"})
        await asyncio.sleep(LOOK_SECONDS)
    return await asyncio.to_thread(_offered, api, principal, repository_id, fix_id, once)


def _offer(api: Api, principal: Principal, repository_id: str, fix_id: str, wish: PublicPullRequestsCreate) -> str:
    branch = _branch(wish.branch_name)
    with api.database.work() as work:
        group = repository_of(work, principal, repository_id)
        fix = _fix_of(work, group, fix_id)
        if fix.status not in (FixStatus.COMPLETED, FixStatus.PR_CREATION_FAILED, FixStatus.PR_UPDATE_FAILED):
            raise wrong_state(f"the fix is {fix.status}: only a completed one has a patch to offer")
        if branch and work.offers.taken(fix.repository, branch, fix.id):
            raise wrong_state("another fix has chosen this branch")
        if branch:
            work.offers.choose_branch(fix.id, branch)
        work.offers.wish(fix.id, fix.repository, wish.title or "", wish.body or "")
        if fix.status is FixStatus.PR_CREATION_FAILED:
            work.fixes.move(fix.id, FixStatus.PR_CREATION_FAILED, FixStatus.COMPLETED)
        key = f"propose_fix:{fix.id}:{uuid.uuid4().hex}"
        work.outbox.send(Envelope(ProposeFix(fix.id, how="openly"), key, priority=INTERACTIVE, group=f"fix:{fix.id}"))
    return key


def _branch(name: str | None) -> str:
    if name is None:
        return ""
    whole = name if name.startswith(OURS) else f"{OURS}{name}"
    try:
        check_ours(whole)
    except HostRejected:
        raise unfit("body", "branch_name", "letters, digits, '.', '_', '-' and '/' alone, as git takes them") from None
    return whole


def _is_done(api: Api, key: str) -> bool:
    with api.database.read() as work:
        return work.outbox.ended(key)


def _offered(api: Api, principal: Principal, repository_id: str, fix_id: str, once: Once) -> PublicPullRequestsCreatedResponse:
    with api.database.work() as work:
        group = repository_of(work, principal, repository_id)
        fix = _fix_of(work, group, fix_id)
        found = _pull_requests(api, fix, work.offers.get(fix.id))
        if not found or fix.status in (FixStatus.PR_CREATION_FAILED, FixStatus.PR_UPDATE_FAILED):
            if fix.status in (FixStatus.PR_CREATION_FAILED, FixStatus.PR_UPDATE_FAILED):
                raise ApiError(502, "PROVIDER_ERROR", f"the host did not take it: {fix.error or 'it did not say why'}")
            raise wrong_state(fix.error or "the patch that was proved cannot be made again: ask for the fix anew")
        return once.keep(work, 201, PublicPullRequestsCreatedResponse(fix_id=FixId(fix.id), pull_requests=found))
