"""The commit status `Fixwright`: what carries the verdict where no check run can be written, for a person's token.

Sources: docs REST "Commit statuses" (four states; the newest of a context counts, none is ever edited; description of at most 140
characters; 1,000 of a context on a commit).
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.model.ids import CommitId
from pipeline.model.report import Check, CheckRef
from pipeline.model.review import Conclusion
from pipeline.model.target import CommitRef, PullRequestRef
from providers.github.api import Api, repository_path
from providers.github.auth import READ, SPEAK, STATUS
from providers.github.client import Answer
from providers.github.markers import Author, Comment, is_about

CONTEXT = "Fixwright"
"""What people see and what branch protection asks for; never changes. The name of the check run too."""
DESCRIPTION = 140
"""Characters."""

STATES: Mapping[Conclusion | None, str] = {
    None: "pending",
    Conclusion.SUCCESS: "success",
    Conclusion.NEUTRAL: "success",
    Conclusion.FAILURE: "failure",
    Conclusion.ACTION_REQUIRED: "error",
    Conclusion.CANCELLED: "error",
}
"""A status knows no more: `neutral` lets merge, so that it is `success` and its description says what was not looked at."""


class StatusAnswer(Answer):
    """A status of a commit."""

    id: int
    state: str
    description: str | None = ""
    target_url: str | None = ""
    context: str = ""
    creator: Author | None = None


class _Linked(Comment):
    html_url: str = ""


class _Head(Answer):
    sha: str


class _Pull(Answer):
    head: _Head


def ensure_status(api: Api, commit: CommitRef, check: Check) -> CheckRef:
    """Say the state and the title of `check`, unless the newest status says it already. What it pointed to stays."""
    newest = _newest(api, commit)
    state, description = STATES[check.conclusion], shortened(check.title)
    target = check.details_url or (newest.target_url if newest is not None else "") or ""
    if newest is None or (newest.state, newest.description or "", newest.target_url or "") != (state, description, target):
        newest = _post(api, commit, state, description, target)
    return CheckRef(commit.commit, str(newest.id))


def point_to_comment(api: Api, ref: PullRequestRef, topic: str) -> None:
    """Let the status of a pull request's head lead to our comment about `topic`, where the table stands."""
    listing = repository_path(ref.repository, "issues", ref.number, "comments", per_page=100)
    bot = api.bot_login()
    ours = [c for c in api.pages(ref.repository, SPEAK, listing, _Linked) if is_about(c, "comment", topic, bot=bot)]
    if not ours:
        return
    head = api.get(ref.repository, READ, repository_path(ref.repository, "pulls", ref.number), _Pull).head.sha
    commit = CommitRef(ref.repository, CommitId(head))
    newest = _newest(api, commit)
    if newest is not None and newest.target_url != ours[0].html_url:
        _post(api, commit, newest.state, newest.description or "", ours[0].html_url)


def shortened(title: str) -> str:
    """A title in one line of at most `DESCRIPTION` characters."""
    line = " ".join(title.encode("utf-8", "replace").decode().split())
    return line if len(line) <= DESCRIPTION else line[: DESCRIPTION - 1] + "…"


def _newest(api: Api, commit: CommitRef) -> StatusAnswer | None:
    """The one of ours that counts. GitHub lists the newest first; somebody else's of the same context says nothing for us."""
    address = repository_path(commit.repository, "commits", commit.commit, "statuses", per_page=100)
    bot = api.bot_login().lower()
    for status in api.pages(commit.repository, STATUS, address, StatusAnswer):
        if status.context == CONTEXT and status.creator is not None and status.creator.login.lower() == bot:
            return status
    return None


def _post(api: Api, commit: CommitRef, state: str, description: str, target: str) -> StatusAnswer:
    body = {"state": state, "context": CONTEXT, "description": description, **({"target_url": target} if target else {})}
    return api.send(commit.repository, STATUS, "POST", repository_path(commit.repository, "statuses", commit.commit), body, StatusAnswer)
