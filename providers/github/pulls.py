"""Pull requests: read one with its merge base, propose one, close one.

Sources: docs REST "Pull requests", "Compare two commits" (`base_commit` is the tip of the base, `merge_base_commit` where they part).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pydantic import Field

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.markers import same_text
from pipeline.model.fix import PullRequestDraft
from pipeline.model.ids import CommitId
from pipeline.model.target import Permission, PullRequest, PullRequestRef, PullRequestState, SourceRepository, UserRef
from pipeline.payloads import Sha
from pipeline.ports import Capabilities
from providers.github.api import Api, cut, repository_path
from providers.github.auth import PROPOSE, READ, SPEAK
from providers.github.client import Answer, Nothing
from providers.github.comments import ensure_comment
from providers.github.markers import Author

log = logging.getLogger(__name__)

MAX_TITLE = 256
"""Characters in the title of a pull request; GitHub refuses longer ones."""
_PERMISSIONS = {"admin": Permission.ADMIN, "write": Permission.WRITE, "read": Permission.READ}
"""`permission` of the collaborator endpoint: it counts maintain as write and triage as read."""


class _Repository(Answer):
    id: int
    full_name: str


class _Side(Answer):
    ref: str
    sha: Sha
    repo: _Repository | None = None


class _Label(Answer):
    name: str = ""


class _Team(Answer):
    slug: str = ""


class _Review(Answer):
    id: int


class PullRequestAnswer(Answer):
    """A pull request; in lists some counts are missing."""

    number: int
    state: str
    title: str
    body: str | None = None
    html_url: str = ""
    user: Author | None = None
    head: _Side
    base: _Side
    draft: bool = False
    merged: bool = False
    merged_at: str | None = None
    commits: int = 1
    labels: list[_Label] = Field(default_factory=list)
    requested_reviewers: list[Author] = Field(default_factory=list)
    requested_teams: list[_Team] = Field(default_factory=list)


class _Commit(Answer):
    sha: Sha


class _ListedCommit(Answer):
    """`author` and `committer` are null for an address without an account, or an empty object."""

    author: Author | None = None
    committer: Author | None = None


class _Comparison(Answer):
    base_commit: _Commit
    merge_base_commit: _Commit


class _PermissionAnswer(Answer):
    permission: str
    user: Author | None = None


def permission(api: Api, repository: SourceRepository, user: UserRef) -> Permission:
    """What that very account may do. A login that meanwhile belongs to somebody else gives NONE."""
    if not user.login:
        return Permission.NONE
    try:
        answer = api.get(repository, READ, repository_path(repository, "collaborators", user.login, "permission"), _PermissionAnswer)
    except HostNotFound:
        return Permission.NONE
    if answer.user is None or str(answer.user.id) != user.id:
        return Permission.NONE
    return _PERMISSIONS.get(answer.permission, Permission.NONE)


def pull_request(api: Api, ref: PullRequestRef) -> PullRequest:
    """Its newest state. Raises HostNotFound."""
    answer = _get(api, ref)
    base, merge_base = _compare(api, ref, answer)
    author = answer.user or Author()
    merged = answer.merged or answer.merged_at is not None
    closed = PullRequestState.MERGED if merged else PullRequestState.CLOSED
    return PullRequest(
        ref=ref,
        head=CommitId(answer.head.sha),
        base_ref=answer.base.ref,
        base=base,
        merge_base=merge_base,
        head_ref=answer.head.ref,
        # By number: while a rename is under way the two sides may carry different names of one repository.
        head_repository=_head_repository(ref, answer),
        author=UserRef(str(author.id), author.login, bot=author.type == "Bot"),
        state=PullRequestState.OPEN if answer.state == "open" else closed,
        draft=answer.draft,
        title=answer.title,
        commits=answer.commits,
        url=answer.html_url,
    )


def authors(api: Api, ref: PullRequestRef) -> Sequence[UserRef]:
    """Authors and committers of at most 250 commits, which is all that GitHub lists (REST "List commits on a pull request")."""
    address = repository_path(ref.repository, "pulls", ref.number, "commits", per_page=100)
    found: dict[int, UserRef] = {}
    for commit in api.pages(ref.repository, READ, address, _ListedCommit):
        for account in (commit.author, commit.committer):
            if account is not None and account.id:
                found.setdefault(account.id, UserRef(str(account.id), account.login, bot=account.type == "Bot"))
    return tuple(found.values())


def ensure_pull_request(api: Api, draft: PullRequestDraft, limits: Capabilities) -> PullRequestRef:
    """See `pipeline.ports.CodeHost.ensure_pull_request`."""
    repository = draft.change.repository
    title, body = draft.title[:MAX_TITLE], cut(draft.body, limits.max_body)
    found = _open_from(api, repository, draft.branch)
    if found is None:
        wanted = {"title": title, "head": draft.branch, "base": draft.base_ref, "body": body, "maintainer_can_modify": True}
        try:
            found = api.send(repository, PROPOSE, "POST", repository_path(repository, "pulls"), wanted, PullRequestAnswer)
        except HostRejected:  # 422 "A pull request already exists": somebody, or our lost request, was faster
            found = _open_from(api, repository, draft.branch)
            if found is None:
                raise
    changed: dict[str, object] = {}
    if found.title != title:
        changed["title"] = title
    if not same_text(found.body, body):
        changed["body"] = body
    if found.base.ref != draft.base_ref:
        changed["base"] = draft.base_ref
    if changed:
        api.send(repository, PROPOSE, "PATCH", repository_path(repository, "pulls", found.number), changed, PullRequestAnswer)
    labels = [label for label in draft.labels if label not in {there.name for there in found.labels}]
    if labels:
        address = repository_path(repository, "issues", found.number, "labels")
        try:
            api.send(repository, SPEAK, "POST", address, {"labels": labels}, Nothing)
        except (HostRejected, HostNotFound, HostForbidden) as refused:  # the pull request stands without them
            log.info("github.labels_refused", extra={"number": found.number, "code": refused.code})
    if draft.reviewers:
        _ask(api, repository, found, draft.reviewers)
    return PullRequestRef(repository, found.number)


def _ask(api: Api, repository: SourceRepository, found: PullRequestAnswer, reviewers: Sequence[str]) -> None:
    """Request reviews while nobody has reviewed: GitHub takes who has reviewed off its list, and asking again would notify him again.

    GitHub refuses the whole request for one name that it does not take (nobody of that name, no access, the author), so then each is
    asked alone (docs REST "Request reviewers for a pull request").
    """
    asked = {user.login.lower() for user in found.requested_reviewers} | {team.slug.lower() for team in found.requested_teams}
    names = [name.removeprefix("@") for name in reviewers]
    names = [name for name in dict.fromkeys(names) if name.rpartition("/")[2].lower() not in asked]
    address = repository_path(repository, "pulls", found.number, "reviews", per_page=1)
    if not names or next(iter(api.pages(repository, PROPOSE, address, _Review)), None) is not None:
        return
    if not _request(api, repository, found.number, names) and len(names) > 1:
        for name in names:
            _request(api, repository, found.number, [name])


def _request(api: Api, repository: SourceRepository, number: int, names: Sequence[str]) -> bool:
    body = {
        "reviewers": [name for name in names if "/" not in name],
        "team_reviewers": [name.rpartition("/")[2] for name in names if "/" in name],
    }
    try:
        api.send(repository, PROPOSE, "POST", repository_path(repository, "pulls", number, "requested_reviewers"), body, Nothing)
    except (HostRejected, HostNotFound, HostForbidden) as refused:
        log.info("github.reviewers_refused", extra={"number": number, "asked": len(names), "code": refused.code})
        return False
    return True


def ensure_closed(api: Api, ref: PullRequestRef, reason: str, limits: Capabilities) -> None:
    """See `pipeline.ports.CodeHost.ensure_closed`. The reason stands there first: nobody should find it closed without one."""
    if _get(api, ref).state != "open":
        return
    if reason:
        ensure_comment(api, ref, "closed", reason, limits)
    api.send(ref.repository, PROPOSE, "PATCH", repository_path(ref.repository, "pulls", ref.number), {"state": "closed"}, Nothing)


def _get(api: Api, ref: PullRequestRef) -> PullRequestAnswer:
    return api.get(ref.repository, READ, repository_path(ref.repository, "pulls", ref.number), PullRequestAnswer)


def _head_repository(ref: PullRequestRef, answer: PullRequestAnswer) -> str:
    """Full name of the head's repository, `""` when it was deleted."""
    if answer.head.repo is None:
        return ""
    return ref.repository.full_name if str(answer.head.repo.id) == ref.repository.external_id else answer.head.repo.full_name


def _compare(api: Api, ref: PullRequestRef, answer: PullRequestAnswer) -> tuple[CommitId, CommitId]:
    """Tip of the base branch and merge base. The payload's own `base.sha` is where the branch was at the last push to the pull request.

    A base branch that was deleted has no tip but that one; histories without a common commit (404) have no merge base, and everything
    that differs from the base is the change.
    """
    for base in (answer.base.ref, answer.base.sha):
        address = repository_path(ref.repository, "compare", f"{base}...{answer.head.sha}", per_page=1)
        try:
            compared = api.get(ref.repository, READ, address, _Comparison)
        except HostNotFound:
            continue
        return CommitId(compared.base_commit.sha), CommitId(compared.merge_base_commit.sha)
    return CommitId(answer.base.sha), CommitId(answer.base.sha)


def _open_from(api: Api, repository: SourceRepository, branch: str) -> PullRequestAnswer | None:
    """The open pull request whose head is that branch of this repository. GitHub ignores a filter that it does not understand."""
    owner = repository.full_name.partition("/")[0]
    address = repository_path(repository, "pulls", state="open", head=f"{owner}:{branch}", per_page=100)
    for found in api.pages(repository, PROPOSE, address, PullRequestAnswer):
        if found.head.ref == branch and found.head.repo is not None and str(found.head.repo.id) == repository.external_id:
            return found
    return None
