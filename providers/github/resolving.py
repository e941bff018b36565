"""Resolving and reopening our threads, and what is done instead by an App that may only read code.

Source: docs GraphQL `resolveReviewThread`, `unresolveReviewThread` (both ask an App for write access to contents), `minimizeComment`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from pydantic import Field

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.model.report import Thread
from pipeline.model.target import PullRequestRef
from providers.github.api import Api
from providers.github.auth import RESOLVE, SPEAK
from providers.github.client import Answer, Json, Nothing
from providers.github.comments import MINIMIZE, UNMINIMIZE
from providers.github.markers import Author, Comment

log = logging.getLogger(__name__)

_STATES = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { id isResolved resolvedBy { login } comments(first: 1) { nodes { id fullDatabaseId isMinimized } } }
      }
    }
  }
}
"""
_RESOLVE = "mutation($id: ID!) { resolveReviewThread(input: {threadId: $id}) { thread { id isResolved } } }"
_UNRESOLVE = "mutation($id: ID!) { unresolveReviewThread(input: {threadId: $id}) { thread { id isResolved } } }"


class _FirstComment(Answer):
    id: str = ""
    full_database_id: int | str | None = Field(default=None, alias="fullDatabaseId")
    is_minimized: bool = Field(default=False, alias="isMinimized")


class _FirstComments(Answer):
    nodes: list[_FirstComment]


class _ThreadState(Answer):
    id: str
    is_resolved: bool = Field(alias="isResolved")
    resolved_by: Author | None = Field(default=None, alias="resolvedBy")
    comments: _FirstComments


class _PageInfo(Answer):
    has_next: bool = Field(default=False, alias="hasNextPage")
    end: str | None = Field(default=None, alias="endCursor")


class _Threads(Answer):
    page: _PageInfo = Field(alias="pageInfo")
    nodes: list[_ThreadState]


class _PullRequestNode(Answer):
    threads: _Threads = Field(alias="reviewThreads")


class _RepositoryNode(Answer):
    pull_request: _PullRequestNode = Field(alias="pullRequest")


class _StatesAnswer(Answer):
    repository: _RepositoryNode


def resolve(api: Api, ref: PullRequestRef, known: Sequence[Thread], existing: Mapping[str, Comment]) -> None:
    """Resolve threads of findings that are gone; open those again that are back.

    What a person resolved stays so, unless the finding was gone in between. An App that may not resolve folds its own comment away instead.

    Args:
        existing: first comments by fingerprint, one for each of `known`.
    """
    if not known:
        return
    bot = api.bot_login()
    try:
        states = _states(api, ref)
        for thread in known:
            comment = existing[thread.fingerprint]
            state = states.get(comment.node_id) or states.get(str(comment.id))
            if state is not None and _differs(thread, state, bot):
                _carry_out(api, ref, thread, state)
    except (HostForbidden, HostNotFound, HostRejected) as exc:
        log.warning("github.threads_not_resolved", extra={"number": ref.number, "code": exc.code})


def _differs(thread: Thread, state: _ThreadState, bot: str) -> bool:
    if thread.resolved:
        return not state.is_resolved
    by_person = state.resolved_by is not None and not _same_login(state.resolved_by.login, bot)  # an App may show there as nobody
    return (state.is_resolved and (thread.back or not by_person)) or (thread.back and any(c.is_minimized for c in state.comments.nodes))


def _carry_out(api: Api, ref: PullRequestRef, thread: Thread, state: _ThreadState) -> None:
    minimized = any(comment.is_minimized for comment in state.comments.nodes)
    if state.is_resolved != thread.resolved:
        moved = _moved(api, ref, _RESOLVE if thread.resolved else _UNRESOLVE, state)
        if not moved and thread.resolved and not minimized and state.comments.nodes:
            api.graphql(ref.repository, SPEAK, MINIMIZE, {"id": state.comments.nodes[0].id}, Nothing)
    if minimized and not thread.resolved:
        api.graphql(ref.repository, SPEAK, UNMINIMIZE, {"id": state.comments.nodes[0].id}, Nothing)


def _moved(api: Api, ref: PullRequestRef, mutation: str, state: _ThreadState) -> bool:
    """False when we may not. What was granted is known, so that a reader does not ask in vain for each thread; a token's owner is not."""
    if not api.sign_in.may(RESOLVE):
        return False
    try:
        api.graphql(ref.repository, RESOLVE, mutation, {"id": state.id}, Nothing)
    except HostForbidden as exc:
        log.info("github.only_minimized", extra={"number": ref.number, "code": exc.code})
        return False
    return True


def _same_login(one: str, other: str) -> bool:
    """GraphQL names a bot without the `[bot]` that REST appends."""
    return one.lower().removesuffix("[bot]") == other.lower().removesuffix("[bot]")


def _states(api: Api, ref: PullRequestRef) -> Mapping[str, _ThreadState]:
    """All threads of the pull request, by node id and by number of their first comment."""
    owner, _, name = ref.repository.full_name.partition("/")
    found: dict[str, _ThreadState] = {}
    after: str | None = None
    for _ in range(30):
        variables: Json = {"owner": owner, "name": name, "number": ref.number, "after": after}
        page = api.graphql(ref.repository, SPEAK, _STATES, variables, _StatesAnswer).repository.pull_request.threads
        for state in page.nodes:
            for first in state.comments.nodes[:1]:
                found[first.id] = state
                found[str(first.full_database_id)] = state
        after = page.page.end
        if not page.page.has_next or after is None:
            break
    return found
