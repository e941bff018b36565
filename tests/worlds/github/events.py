"""Webhook payloads, built from the state with the same shapes as the API's answers."""

from __future__ import annotations

from tests.worlds.bare import NO_COMMIT
from tests.worlds.github.hooks import Hooks
from tests.worlds.github.model import (
    Account,
    CheckRun,
    CheckSuite,
    Installation,
    IssueComment,
    Json,
    PullRequest,
    Repository,
    Review,
    ReviewComment,
    Thread,
)
from tests.worlds.github.shapes import Shapes
from tests.worlds.github.shapes.accounts import when
from tests.worlds.github.state import State

_ALWAYS = frozenset({"installation", "installation_repositories", "check_run", "check_suite"})
"""Events that an app gets without asking for them (check events with the permission `checks`)."""
_MERGE_SETTINGS = {"squash_merge_commit_title": "COMMIT_OR_PR_TITLE", "squash_merge_commit_message": "COMMIT_MESSAGES"}


class Events:
    """Tells the app what happened, where it is installed and asked for the event."""

    def __init__(self, state: State, shapes: Shapes, hooks: Hooks) -> None:
        self._state = state
        self._shapes = shapes
        self._hooks = hooks

    def _emit(self, event: str, repository: Repository, sender: Account, payload: Json) -> None:
        for app in self._state.apps.values():
            installation = self._state.installation_of(repository, app)
            if installation is None or not app.webhook_secret or (event not in installation.events and event not in _ALWAYS):
                continue
            whole = payload | {
                "repository": payload.get("repository") or self.repository(repository),
                "sender": self._shapes.user(sender),
                "installation": {"id": installation.id, "node_id": f"MDIzOkludGVncmF0aW9u{installation.id}"},
            }
            self._hooks.emit(
                app, event, whole | self._organization(repository.owner), installation=installation.id, repository=repository.id
            )

    def _organization(self, account: Account) -> Json:
        if account.type != "Organization":
            return {}
        url = f"{self._shapes.api}/orgs/{account.login}"
        links = {f"{name}_url": f"{url}/{name}" for name in ("repos", "events", "hooks", "issues", "members", "public_members")}
        user = self._shapes.user(account)
        identity = {key: user[key] for key in ("login", "id", "node_id", "avatar_url")}
        return {"organization": identity | links | {"url": url, "description": None}}

    def repository(self, repository: Repository) -> Json:
        """`repository-webhooks`."""
        return self._shapes.repository(repository) | {"custom_properties": {}}

    # --- pushes ---

    def push(self, repository: Repository, actor: Account, ref: str, before: str, after: str) -> None:
        """`push`: the commits are at most 20 here, as GitHub cuts them."""
        git = repository.git
        known = git.branch(repository.default_branch)
        if after == NO_COMMIT:
            commits = []
        elif before == NO_COMMIT:
            commits = git.commits(known, after) if known and known != after else git.history(after)[::-1]
        else:
            commits = git.commits(before, after)
        compare = f"{self._shapes.web}/{repository.full_name}/compare/{before[:12]}...{after[:12]}"
        forced = NO_COMMIT not in (before, after) and not git.is_ancestor(before, after)
        payload: Json = {
            "ref": ref,
            "before": before,
            "after": after,
            "created": before == NO_COMMIT,
            "deleted": after == NO_COMMIT,
            "forced": forced,
            "base_ref": None,
            "compare": compare,
            "commits": [self._pushed(repository, sha) for sha in commits[:20]],
            "head_commit": self._pushed(repository, after) if after != NO_COMMIT else None,
            "pusher": {"name": actor.login, "email": actor.email},
            "repository": self._pushed_repository(repository),
        }
        self._emit("push", repository, actor, payload)

    def _pushed_repository(self, repository: Repository) -> Json:
        """The older shape that only `push` uses: moments in seconds, the owner's name."""
        shape = self.repository(repository)
        owner = self._shapes.user(repository.owner) | {"name": repository.owner.login, "email": repository.owner.email}
        created, pushed = repository.created_at, repository.pushed_at or repository.created_at
        numbers = {"created_at": int(created.timestamp()), "pushed_at": int(pushed.timestamp()), "stargazers": 0}
        return shape | {"owner": owner, "master_branch": repository.default_branch} | numbers

    def _pushed(self, repository: Repository, sha: str) -> Json:
        commit = repository.git.commit(sha)
        simple = self._shapes.simple_commit(repository, sha)
        changed = repository.git.diff(commit.parents[0], sha) if commit.parents else ()
        named = {
            "added": [file.path for file in changed if file.status == "added"],
            "removed": [file.path for file in changed if file.status == "removed"],
            "modified": [file.path for file in changed if file.status not in ("added", "removed")],
        }
        url = f"{self._shapes.web}/{repository.full_name}/commit/{sha}"
        return simple | {"distinct": True, "url": url} | named

    # --- pull requests and talk ---

    def pull(self, pull: PullRequest, sender: Account, action: str, **more: object) -> None:
        """`pull_request`."""
        shape = self._in_event(self._shapes.pull(pull))
        self._emit("pull_request", pull.repository, sender, {"action": action, "number": pull.number, "pull_request": shape} | more)

    def _in_event(self, pull: Json) -> Json:
        settings = dict.fromkeys(
            ("allow_auto_merge", "allow_update_branch", "delete_branch_on_merge", "use_squash_pr_title_as_default"), False
        )
        return pull | settings | _MERGE_SETTINGS

    def issue_comment(self, comment: IssueComment) -> None:
        """`issue_comment` created."""
        payload = {"action": "created", "issue": self._issue(comment.pull), "comment": self._shapes.issue_comment(comment)}
        self._emit("issue_comment", comment.pull.repository, comment.user, payload)

    def issue_comment_edited(self, comment: IssueComment, actor: Account, old: str) -> None:
        """`issue_comment` edited."""
        shape = {"issue": self._issue(comment.pull), "comment": self._shapes.issue_comment(comment)}
        self._emit("issue_comment", comment.pull.repository, actor, {"action": "edited", "changes": {"body": {"from": old}}} | shape)

    def _issue(self, pull: PullRequest) -> Json:
        """The pull request as an issue: how comments on it are announced."""
        shape, repository = self._shapes.pull_simple(pull), f"{self._shapes.api}/repos/{pull.repository.full_name}"
        url = f"{repository}/issues/{pull.number}"
        same = ("html_url", "number", "title", "user", "state", "locked", "assignee", "assignees", "milestone", "labels", "created_at")
        also = ("updated_at", "closed_at", "author_association", "active_lock_reason", "body", "draft")
        reactions = {"url": f"{url}/reactions", "total_count": 0} | dict.fromkeys(
            ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"), 0
        )
        return {name: shape[name] for name in (*same, *also)} | {
            "id": pull.id + 1,
            "node_id": shape["node_id"],
            "url": url,
            "repository_url": repository,
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "timeline_url": f"{url}/timeline",
            "comments": len(pull.comments),
            "reactions": reactions,
            "performed_via_github_app": None,
            "state_reason": None,
            "pull_request": {
                "merged_at": shape["merged_at"],
                **{name: shape[name] for name in ("url", "html_url", "diff_url", "patch_url")},
            },
        }

    def _short_pull(self, pull: PullRequest) -> Json:
        return self._shapes.pull_simple(pull)

    def review(self, review: Review) -> None:
        """`pull_request_review` submitted."""
        shape = self._shapes.review(review) | {"state": review.state.lower(), "updated_at": when(review.submitted_at)}
        payload = {"action": "submitted", "review": shape, "pull_request": self._short_pull(review.pull)}
        self._emit("pull_request_review", review.pull.repository, review.user, payload)

    def review_comment(self, comment: ReviewComment) -> None:
        """`pull_request_review_comment` created."""
        shape = self._shapes.review_comment(comment)
        payload = {"action": "created", "comment": shape, "pull_request": self._short_pull(comment.thread.pull)}
        self._emit("pull_request_review_comment", comment.thread.pull.repository, comment.user, payload)

    def thread(self, thread: Thread, actor: Account, action: str) -> None:
        """`pull_request_review_thread`: resolved, unresolved."""
        comments = [self._shapes.review_comment(comment) for comment in thread.comments]
        whole = {"node_id": thread.node_id, "comments": comments}
        payload = {"action": action, "thread": whole, "pull_request": self._short_pull(thread.pull)}
        self._emit("pull_request_review_thread", thread.pull.repository, actor, payload)

    def review_comment_edited(self, comment: ReviewComment, actor: Account, old: str) -> None:
        """`pull_request_review_comment` edited."""
        pull = comment.thread.pull
        shape = {"comment": self._shapes.review_comment(comment), "pull_request": self._short_pull(pull)}
        self._emit("pull_request_review_comment", pull.repository, actor, {"action": "edited", "changes": {"body": {"from": old}}} | shape)

    # --- checks ---

    def check_run(self, run: CheckRun, sender: Account, action: str, **more: object) -> None:
        """`check_run`: created, completed, rerequested, requested_action."""
        shape = self._shapes.check_run(run) | {"check_suite": self._suite(run.suite)}
        self._emit("check_run", run.suite.repository, sender, {"action": action, "check_run": shape} | more)

    def check_suite(self, suite: CheckSuite, sender: Account, action: str) -> None:
        """`check_suite`: requested, rerequested, completed."""
        shape = self._shapes.suite(suite)
        self._emit("check_suite", suite.repository, sender, {"action": action, "check_suite": shape})

    def _suite(self, suite: CheckSuite) -> Json:
        shape = self._shapes.suite(suite)
        names = ("id", "node_id", "head_branch", "head_sha", "status", "conclusion", "url", "before", "after", "pull_requests", "app")
        return {name: shape[name] for name in (*names, "created_at", "updated_at")}

    # --- the merge queue ---

    def merge_group(
        self, repository: Repository, queue: Account, action: str, head_ref: str, head: str, base: str, base_ref: str, **more: object
    ) -> None:
        """`merge_group`: checks_requested, destroyed."""
        group = {
            "head_sha": head,
            "head_ref": f"refs/heads/{head_ref}",
            "base_sha": base,
            "base_ref": f"refs/heads/{base_ref}",
            "head_commit": self._shapes.simple_commit(repository, head),
        }
        self._emit("merge_group", repository, queue, {"action": action, "merge_group": group} | more)

    # --- owners ---

    def repository_changed(self, repository: Repository, sender: Account, action: str, **more: object) -> None:
        """`repository`: renamed, edited, archived, privatized and so on."""
        self._emit("repository", repository, sender, {"action": action} | more)

    def member(self, repository: Repository, sender: Account, action: str, person: Account) -> None:
        """`member`: removed, edited."""
        self._emit("member", repository, sender, {"action": action, "member": self._shapes.user(person)})

    # --- installations ---

    def installation(self, installation: Installation, action: str, repositories: list[Repository]) -> None:
        """`installation` created or deleted."""
        payload: Json = {
            "action": action,
            "installation": self._shapes.installation(installation),
            "repositories": [self.named(repository) for repository in repositories],
            "sender": self._shapes.user(installation.account),
        }
        if action == "created":
            payload["requester"] = None
        self._hooks.emit(installation.app, "installation", payload, installation=installation.id, repository=None)

    def repositories(self, installation: Installation, added: list[Repository], removed: list[Repository]) -> None:
        """`installation_repositories` added or removed."""
        payload = {
            "action": "added" if added else "removed",
            "installation": self._shapes.installation(installation),
            "repository_selection": "all" if installation.repositories is None else "selected",
            "repositories_added": [self.named(repository) for repository in added],
            "repositories_removed": [self.named(repository) for repository in removed],
            "requester": None,
            "sender": self._shapes.user(installation.account),
        }
        self._hooks.emit(installation.app, "installation_repositories", payload, installation=installation.id, repository=None)

    def named(self, repository: Repository) -> Json:
        """A repository as installations list it."""
        shape = self._shapes.repository(repository)
        return {name: shape[name] for name in ("id", "node_id", "name", "full_name", "private")}
