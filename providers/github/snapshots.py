"""How a repository is now, for whoever has to look because nobody can tell him.

Sources: docs REST "List review comments in a repository", "List issue comments for a repository" (`since` is about the last change),
"Best practices" (an unchanged answer costs nothing of the primary limit: so `since` must stay what it is while nothing is new).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import Field

from pipeline.errors import HostNotFound
from pipeline.model.event import CommentRef, Posted, Snapshot
from pipeline.model.ids import CommitId
from pipeline.model.target import PullRequestRef, SourceRepository, UserRef
from providers.github.api import Api, repository_path
from providers.github.auth import SPEAK
from providers.github.markers import Comment, mark_of
from providers.github.repositories import describe, open_pull_requests, tip


class _Posted(Comment):
    created_at: datetime
    updated_at: datetime
    issue_url: str = ""
    pull_request_url: str = ""
    performed_via_github_app: object = Field(default=None)

    @property
    def number(self) -> int:
        """Of the issue or pull request that it stands on; 0 when the address is none."""
        last = (self.pull_request_url or self.issue_url).rpartition("/")[2]
        return int(last) if last.isdigit() else 0


def snapshot(api: Api, repository: SourceRepository, since: datetime) -> Snapshot:
    """Five requests, each of which costs nothing while it has nothing new."""
    now = describe(api, repository, repeats=True)
    try:
        newest: CommitId | None = tip(api, now, now.default_branch, repeats=True)
    except HostNotFound:
        newest = None
    pulls = tuple(open_pull_requests(api, now))
    refs = {pull.ref.number: pull.ref for pull in pulls}
    talk = [*_comments(api, now, "issues", since), *_comments(api, now, "pulls", since)]
    bot = api.bot_login()
    posted = (_posted(refs[comment.number], comment, bot) for comment in talk if comment.number in refs)
    return Snapshot(now, newest, pulls, _in_order(posted))


def _comments(api: Api, repository: SourceRepository, place: str, since: datetime) -> list[_Posted]:
    when = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    address = repository_path(repository, place, "comments", sort="updated", direction="asc", since=when, per_page=100)
    return api.pages(repository, SPEAK, address, _Posted, repeats=True)


def _posted(ref: PullRequestRef, comment: _Posted, bot: str) -> Posted:
    in_thread = bool(comment.pull_request_url)
    thread = str(comment.in_reply_to_id or comment.id) if in_thread else ""
    user = comment.user
    ours = any(mark_of(comment, kind, bot=bot) is not None for kind in ("thread", "comment", "reply"))
    machine = ours or user is None or user.type == "Bot" or user.login.endswith("[bot]")
    sender = UserRef(str(user.id), user.login, bot=machine) if user is not None else UserRef("0", "ghost", bot=True)
    return Posted(CommentRef(ref, str(comment.id), in_thread, thread), sender, comment.body or "", comment.created_at, comment.updated_at)


def _in_order(posted: Iterable[Posted]) -> tuple[Posted, ...]:
    return tuple(sorted(posted, key=lambda one: (one.at, int(one.comment.id))))
