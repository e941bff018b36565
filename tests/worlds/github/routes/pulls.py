"""Pull requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from tests.worlds.github.call import Answer, Call, Refused, invalid, listed, operation
from tests.worlds.github.model import IssueComment, PullRequest, Repository, ReviewComment
from tests.worlds.github.routes.code import as_diff, wants_diff
from tests.worlds.github.shapes.accounts import when
from tests.worlds.github.shapes.pulls import diff_of, merge_base

Said = TypeVar("Said", IssueComment, ReviewComment)

LONGEST_BODY = 65_536
"""Characters of a pull request's or comment's body."""
LONGEST_TITLE = 256
MOST_FILES = 3000
"""Files that the list gives at most (REST, "List pull requests files")."""
MOST_COMMITS = 250
"""Commits that the list gives at most (REST, "List commits on a pull request")."""


def check_body(resource: str, body: str | None, *, needed: bool = False) -> None:
    """A text within GitHub's limit. Raises Refused."""
    if body is not None and len(body) > LONGEST_BODY:
        raise invalid(resource, "body", f"body is too long (maximum is {LONGEST_BODY} characters)")
    if needed and not (body or "").strip():
        raise Refused(422, "Validation Failed", [{"resource": resource, "code": "missing_field", "field": "body"}])


@operation("GET", "/pulls", "pull_requests:read")
def list_pulls(call: Call) -> Answer:
    """Newest first; `head` is `owner:branch`, `base` a branch."""
    wanted, head, base = call.query.get("state", "open"), call.query.get("head"), call.query.get("base")
    found = [pull for pull in call.github.state.pulls(call.repository) if wanted in (pull.state, "all")]
    if base:
        found = [pull for pull in found if pull.base_ref == base]
    if head and ":" in head:  # GitHub ignores a head without an owner
        found = [pull for pull in found if f"{pull.head_repository.owner.login}:{pull.head_ref}" == head]
    if call.query.get("sort") == "updated":
        found.sort(key=lambda pull: (pull.updated_at, pull.number), reverse=True)
    if call.query.get("direction") == "asc":
        found.reverse()
    return listed(found, call.github.shapes.pull_simple)


@operation("GET", "/pulls/{pull_number}", "pull_requests:read")
def get_pull(call: Call) -> Answer:
    """One pull request, or its diff."""
    pull = call.pull()
    return Answer(raw=as_diff(diff_of(pull))) if wants_diff(call) else Answer(body=call.github.shapes.pull(pull))


def _head(call: Call) -> tuple[Repository, str]:
    owner, colon, branch = call.body["head"].partition(":")
    if not colon:
        return call.repository, call.body["head"]
    network = [known for known in call.github.state.repositories.values() if call.repository in (known, known.parent)]
    for known in network:
        if known.owner.login.lower() == owner.lower():
            return known, branch
    raise invalid("PullRequest", "head", "head is invalid", "invalid")


@operation("POST", "/pulls", "pull_requests:write")
def create_pull(call: Call) -> Answer:
    """Open one; only one may be open between two branches."""
    title, base = call.body.get("title", ""), call.body["base"]
    if not title.strip():
        raise Refused(422, "Validation Failed", [{"resource": "PullRequest", "code": "missing_field", "field": "title"}])
    if len(title) > LONGEST_TITLE:
        raise invalid("PullRequest", "title", f"title is too long (maximum is {LONGEST_TITLE} characters)")
    check_body("PullRequest", call.body.get("body"))
    source, branch = _head(call)
    if source.git.branch(branch) is None:
        raise invalid("PullRequest", "head", "head is invalid", "invalid")
    base_sha = call.repository.git.branch(base)
    if base_sha is None:
        raise invalid("PullRequest", "base", "base is invalid", "invalid")
    _refuse_double(call, source, branch, base)
    head_sha = source.git.branch(branch) or ""
    if source is call.repository and not source.git.commits(base_sha, head_sha):
        details = [{"resource": "PullRequest", "code": "custom", "message": f"No commits between {base} and {branch}"}]
        raise Refused(422, "Validation Failed", details)
    options = {"draft": call.body.get("draft", False), "maintainer_can_modify": call.body.get("maintainer_can_modify", True)}
    pull = call.github.actions.open_pull(call.account, call.repository, (source, branch), base, title, call.body.get("body"), **options)
    call.notify(pull)
    return Answer(201, call.github.shapes.pull(pull))


def _refuse_double(call: Call, source: Repository, branch: str, base: str) -> None:
    same = [
        pull for pull in call.repository.pulls.values() if (pull.head_repository, pull.head_ref, pull.base_ref) == (source, branch, base)
    ]
    if any(pull.state == "open" for pull in same):
        text = f"A pull request already exists for {source.owner.login}:{branch}."
        raise Refused(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": text}])


@operation("PATCH", "/pulls/{pull_number}", "pull_requests:write")
def update_pull(call: Call) -> Answer:
    """Title, body, base, open or closed."""
    pull, body, actions = call.pull(), call.body, call.github.actions
    check_body("PullRequest", body.get("body"))
    base = body.get("base")
    if base is not None and pull.repository.git.branch(base) is None:
        details = [
            {"resource": "PullRequest", "code": "custom", "field": "base", "message": f"Proposed base branch '{base}' was not found"}
        ]
        raise Refused(422, "Validation Failed", details)
    actions.edit_pull(pull, call.account, title=body.get("title"), body=body.get("body"), base=base)
    if body.get("state") == "closed":
        call.notifies = pull.state == "open"
        actions.close(pull, call.account)
    elif body.get("state") == "open" and pull.state == "closed":
        _refuse_reopening(pull)
        actions.reopen(pull, call.account)
    return Answer(body=call.github.shapes.pull(pull))


def _refuse_reopening(pull: PullRequest) -> None:
    if pull.merged_at is not None or pull.head_repository.git.branch(pull.head_ref) is None:
        text = "state cannot be changed. The pull request cannot be reopened."
        raise Refused(422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "field": "state", "message": text}])


@operation("GET", "/pulls/{pull_number}/commits", "pull_requests:read")
def list_commits(call: Call) -> Answer:
    """Its commits, oldest first, at most 250."""
    pull = call.pull()
    commits = pull.repository.git.commits(merge_base(pull), pull.head_sha)
    return listed(commits[:MOST_COMMITS], lambda sha: call.github.shapes.commit(pull.repository, sha))


@operation("GET", "/pulls/{pull_number}/files", "pull_requests:read")
def list_files(call: Call) -> Answer:
    """Its files, at most 3,000."""
    pull = call.pull()
    return listed(diff_of(pull)[:MOST_FILES], lambda file: call.github.shapes.file(pull.repository, pull.head_sha, file))


@operation("PUT", "/pulls/{pull_number}/merge", "contents:write")
def merge(call: Call) -> Answer:
    """Merge it; with `sha` only while that is its head."""
    pull = call.pull()
    if call.body.get("sha", pull.head_sha) != pull.head_sha:
        raise Refused(409, "Head branch was modified. Review and try the merge again.")
    if pull.state != "open" or pull.draft:
        raise Refused(405, "Pull Request is not mergeable")
    message = "\n\n".join(filter(None, (call.body.get("commit_title"), call.body.get("commit_message"))))
    sha = call.github.actions.merge(pull, call.account, message, call.body.get("merge_method", "merge"))
    if sha is None:
        raise Refused(405, "Pull Request is not mergeable")
    call.notify(pull)
    return Answer(body={"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def sifted(comments: list[Said], query: Mapping[str, str]) -> list[Said]:
    """Comments of a whole repository as `since`, `sort` and `direction` ask; `direction` counts only beside `sort`."""
    since = query.get("since", "")
    found = [comment for comment in comments if (when(comment.updated_at) or "") >= since]
    found.sort(key=lambda comment: (comment.updated_at if query.get("sort") == "updated" else comment.created_at, comment.id))
    return found[::-1] if "sort" in query and query.get("direction", "desc") == "desc" else found
