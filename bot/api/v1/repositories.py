"""/repositories: what there is to scan, and putting source repositories together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Query

from bot.api.context import Administrator, Context, Reader, when
from bot.api.errors import documented, not_found, wrong_state
from bot.api.idempotency import Repeatable
from bot.api.links import OF_REPOSITORIES, link
from bot.api.paging import Cursor, Limit, PublicPaginatedResponse, Rest, Skip, page, wanted
from bot.api.quotas import needs_room
from bot.api.schemas import PublicRepositoryCreate, PublicRepositoryResponse, PublicRepositoryUpdate, PublicSourceRepositoryResponse
from pipeline.errors import StaleWrite
from pipeline.model.account import Principal
from pipeline.model.ids import RepositoryId
from pipeline.store.groups import Group, Source
from pipeline.store.work import Work

router = APIRouter(prefix="/repositories", tags=["Repositories"])

_LISTED = link(200, OF_REPOSITORIES, repository_id="$response.body#/items/0/id")

RepositoryPath = Annotated[str, Path(description="`id` of a repository.")]


def repository_of(work: Work, principal: Principal, identifier: str) -> Group:
    """The repository that a path names. Raises ApiError (404)."""
    found = work.groups.get(principal.organization.id, identifier)
    if found is None:
        raise not_found("repository")
    return found


def shape(group: Group) -> PublicRepositoryResponse:
    """A repository as the API shows it."""
    return PublicRepositoryResponse(
        id=group.id,
        name=group.name,
        description=group.description or None,
        repositories=[_source(one) for one in group.sources],
        archived=group.archived,
        created_at=when(group.created_at),
        updated_at=when(group.updated_at),
    )


@contextmanager
def _told() -> Iterator[None]:
    """Source repositories that cannot be put together, as an answer."""
    try:
        yield
    except StaleWrite as error:
        if "another repository" in error.message:
            raise wrong_state(error.message) from None
        raise not_found("source repository") from None


def _source(source: Source) -> PublicSourceRepositoryResponse:
    shown = source.clone_url.removesuffix(".git") if source.clone_url.startswith(("https://", "http://")) else None
    return PublicSourceRepositoryResponse(
        full_name=source.full_name, default_branch=source.default_branch, html_url=shown, provider=source.provider, id=source.id
    )


@router.get("", responses={**documented(), **_LISTED}, summary="List repositories")
def list_repositories(
    api: Context,
    principal: Reader,
    include_archived: Annotated[bool, Query(description="Include archived repositories")] = False,
    limit: Limit = 50,
    skip: Skip = 0,
    cursor: Cursor = None,
) -> PublicPaginatedResponse[PublicRepositoryResponse]:
    """List repositories for the calling organization."""
    asked = wanted(limit, skip, cursor)
    after = asked.after[0] if asked.after else ""
    with api.database.read() as work:
        groups, more, total = work.groups.page(
            principal.organization.id, archived=include_archived, limit=asked.limit, skip=asked.skip, after=after
        )
    rest = Rest(more, total, (groups[-1].id,) if groups else ())
    return page([shape(group) for group in groups], rest, asked)


@router.get("/{repository_id}", responses=documented(404), summary="Get a repository")
def get_repository(api: Context, principal: Reader, repository_id: RepositoryPath) -> PublicRepositoryResponse:
    """Get a single repository by id."""
    with api.database.read() as work:
        return shape(repository_of(work, principal, repository_id))


@router.post("", status_code=201, responses=documented(404, 409), summary="Put source repositories together")
def create_repository(api: Context, principal: Administrator, once: Repeatable, body: PublicRepositoryCreate) -> PublicRepositoryResponse:
    """Make one repository of several source repositories, of either host. Needs the scope `admin`. Not in the original contract."""
    members = [RepositoryId(one) for one in body.source_repository_ids]
    with _told(), api.database.work() as work:
        made = work.groups.create(principal.organization.id, body.name, body.description or "", members)
        needs_room(api, work, principal)
        return once.keep(work, 201, shape(repository_of(work, principal, made)))


@router.patch("/{repository_id}", responses=documented(404, 409), summary="Change a repository that was put together")
def update_repository(
    api: Context, principal: Administrator, repository_id: RepositoryPath, body: PublicRepositoryUpdate
) -> PublicRepositoryResponse:
    """Change its name, description or source repositories. Needs the scope `admin`. Not in the original contract."""
    members = None if body.source_repository_ids is None else [RepositoryId(one) for one in body.source_repository_ids]
    with _told(), api.database.work() as work:
        group = repository_of(work, principal, repository_id)
        before = work.quotas.repositories(principal.organization.id)
        if group.single:
            raise wrong_state("this is a source repository by itself; put it together with others by POST /api/v1/repositories")
        work.groups.change(
            principal.organization.id, group.id, name=body.name, description=body.description, archived=body.archived, members=members
        )
        needs_room(api, work, principal, before)
        return shape(repository_of(work, principal, group.id))
