"""Merge requests of ours: opened once, edited afterwards, closed with a reason.

Sources: docs REST "Merge requests" (create: 409 when there is one of the same branches; update: `add_labels`, `reviewer_ids`,
`state_event`), "Users" (by `username`). GitLab Free takes one reviewer; a group cannot be one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.errors import HostForbidden, HostNotFound, HostRejected
from pipeline.escaping import cut
from pipeline.markers import same_text
from pipeline.model.fix import PullRequestDraft
from pipeline.model.target import PullRequestRef, SourceRepository
from pipeline.ports import Capabilities
from providers.gitlab.api import Api
from providers.gitlab.client import Answer, Nothing
from providers.gitlab.notes import ensure_comment
from providers.gitlab.pulls import MergeRequestAnswer, read

if TYPE_CHECKING:
    from gitlab.v4.objects import Project

log = logging.getLogger(__name__)

MAX_TITLE = 255
"""Characters (docs REST "Merge requests")."""
OPEN = "opened"


class _User(Answer):
    id: int
    username: str = ""


def ensure_pull_request(api: Api, draft: PullRequestDraft, limits: Capabilities) -> PullRequestRef:
    """See `pipeline.ports.CodeHost.ensure_pull_request`."""
    repository = draft.change.repository
    title, body = draft.title[:MAX_TITLE], cut(draft.body, limits.max_body)
    found = _open_from(api, repository, draft.branch)
    if found is None:
        wanted: dict[str, object] = {
            "source_branch": draft.branch,
            "target_branch": draft.base_ref,
            "title": title,
            "description": body,
            "remove_source_branch": True,
            **({"labels": list(draft.labels)} if draft.labels else {}),
        }
        try:
            found = api.send(repository, lambda p: p.mergerequests.create(wanted), MergeRequestAnswer, what="a merge request")
        except HostRejected:  # 409: somebody, or our lost request, was faster
            found = _open_from(api, repository, draft.branch)
            if found is None:
                raise
    changed: dict[str, object] = {}
    if found.title != title:
        changed["title"] = title
    if not same_text(found.description, body):
        changed["description"] = body
    if found.target_branch != draft.base_ref:
        changed["target_branch"] = draft.base_ref
    labels = [label for label in draft.labels if label not in found.labels]
    if labels:
        changed["add_labels"] = ",".join(labels)
    if changed:
        _update(api, repository, found.iid, changed)
    if draft.reviewers and not found.reviewers:
        _ask(api, repository, found, draft.reviewers)
    return PullRequestRef(repository, found.iid)


def ensure_closed(api: Api, ref: PullRequestRef, reason: str, limits: Capabilities) -> None:
    """See `pipeline.ports.CodeHost.ensure_closed`. The reason stands there first: nobody should find it closed without one."""
    if read(api, ref).state != OPEN:
        return
    if reason:
        ensure_comment(api, ref, "closed", reason, limits)
    _update(api, ref.repository, ref.number, {"state_event": "close"})


def _update(api: Api, repository: SourceRepository, number: int, changed: dict[str, object]) -> None:
    def call(project: Project) -> None:
        project.mergerequests.update(number, changed)

    api.send(repository, call, Nothing, what=f"merge request {number}")


def _ask(api: Api, repository: SourceRepository, found: MergeRequestAnswer, reviewers: Sequence[str]) -> None:
    """Request reviews of a merge request that nobody was asked to review. Who is no account, as a group, is left out."""
    names = [name.removeprefix("@") for name in dict.fromkeys(reviewers)]
    asked = [user for name in names if "/" not in name for user in _accounts(api, name)]
    if not asked:
        return
    try:
        _update(api, repository, found.iid, {"reviewer_ids": asked})
    except (HostRejected, HostNotFound, HostForbidden) as refused:  # the merge request stands without them
        log.info("gitlab.reviewers_refused", extra={"number": found.iid, "asked": len(asked), "code": refused.code})


def _accounts(api: Api, name: str) -> Sequence[int]:
    """The number of the account of that name, if there is one."""
    listed = api.ask_all(lambda gl: gl.users.list(iterator=True, username=name), _User, what="an account", most=10)
    return [user.id for user in listed if user.username.lower() == name.lower()][:1]


def _open_from(api: Api, repository: SourceRepository, branch: str) -> MergeRequestAnswer | None:
    """The open merge request from that branch of this very project; forks have branches of the same name."""
    listed = api.pages(
        repository,
        lambda p: p.mergerequests.list(iterator=True, state=OPEN, source_branch=branch),
        MergeRequestAnswer,
        what=f"merge requests from {branch}",
        most=100,
    )
    own = [found for found in listed if found.source_branch == branch and str(found.source_project_id) == repository.external_id]
    return min(own, key=lambda found: found.iid, default=None)
