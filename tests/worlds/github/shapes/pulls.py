"""Pull requests."""

from __future__ import annotations

from tests.worlds.bare import FileDiff
from tests.worlds.github.model import Account, Json, PullRequest, Repository, Role
from tests.worlds.github.shapes.accounts import when
from tests.worlds.github.shapes.code import CodeShapes


def merge_base(pull: PullRequest) -> str:
    """Where the diff of a pull request begins: the best common ancestor of its head and the tip of its base branch."""
    git = pull.repository.git
    return git.merge_base(git.branch(pull.base_ref) or pull.base_sha, pull.head_sha) or pull.base_sha


def diff_of(pull: PullRequest) -> tuple[FileDiff, ...]:
    """The files of a pull request, as its page shows them."""
    if pull.merged_at is not None:
        return pull.repository.git.diff(pull.repository.git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha, pull.head_sha)
    return pull.repository.git.diff(merge_base(pull), pull.head_sha)


class PullShapes(CodeShapes):
    """JSON of pull requests."""

    def association(self, repository: Repository, account: Account) -> str:
        """`author_association`: what everybody may know of the writer."""
        if account is repository.owner:
            return "OWNER"
        if account.type == "Bot":
            return "CONTRIBUTOR" if any(pull.user is account for pull in repository.pulls.values()) else "NONE"
        return "COLLABORATOR" if repository.roles.get(account.login.lower(), Role.NONE) >= Role.TRIAGE else "NONE"

    def _side(self, repository: Repository, ref: str, sha: str) -> Json:
        label = f"{repository.owner.login}:{ref}"
        return {"label": label, "ref": ref, "sha": sha, "user": self.user(repository.owner), "repo": self.repository(repository)}

    def pull_simple(self, pull: PullRequest) -> Json:
        """`pull-request-simple`: an entry of a list."""
        repository = f"{self.api}/repos/{pull.repository.full_name}"
        url, html = f"{repository}/pulls/{pull.number}", f"{self.web}/{pull.repository.full_name}/pull/{pull.number}"
        issue, statuses = f"{repository}/issues/{pull.number}", f"{repository}/statuses/{pull.head_sha}"
        addresses = {
            "self": url,
            "html": html,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{repository}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": statuses,
        }
        return {
            "url": url,
            "id": pull.id,
            "node_id": f"PR_kwDO{pull.id}",
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "issue_url": issue,
            "number": pull.number,
            "state": pull.state,
            "locked": False,
            "title": pull.title,
            "user": self.user(pull.user),
            "body": pull.body,
            "created_at": when(pull.created_at),
            "updated_at": when(pull.updated_at),
            "closed_at": when(pull.closed_at),
            "merged_at": when(pull.merged_at),
            "merge_commit_sha": pull.merge_commit,
            **dict.fromkeys(("assignee", "milestone", "auto_merge", "active_lock_reason")),
            **{name: [] for name in ("assignees", "requested_reviewers", "requested_teams", "labels")},
            "draft": pull.draft,
            "commits_url": addresses["commits"],
            "review_comments_url": addresses["review_comments"],
            "review_comment_url": addresses["review_comment"],
            "comments_url": addresses["comments"],
            "statuses_url": statuses,
            "head": self._side(pull.head_repository, pull.head_ref, pull.head_sha),
            "base": self._side(pull.repository, pull.base_ref, pull.base_sha),
            "_links": {name: {"href": address} for name, address in addresses.items()},
            "author_association": self.association(pull.repository, pull.user),
        }

    def pull(self, pull: PullRequest) -> Json:
        """`pull-request`: what one GET of it gives."""
        files = diff_of(pull)
        git = pull.repository.git
        clean = pull.state == "open" and git.merge(git.branch(pull.base_ref) or pull.base_sha, pull.head_sha) is not None
        return self.pull_simple(pull) | {
            "merged": pull.merged_at is not None,
            "mergeable": clean if pull.state == "open" else None,
            "rebaseable": clean if pull.state == "open" else None,
            "mergeable_state": ("clean" if clean else "dirty") if pull.state == "open" else "unknown",
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "comments": len(pull.comments),
            "review_comments": len(pull.review_comments),
            "maintainer_can_modify": pull.maintainer_can_modify,
            "commits": len(git.commits(merge_base(pull), pull.head_sha)),
            "additions": sum(file.additions for file in files),
            "deletions": sum(file.deletions for file in files),
            "changed_files": len(files),
        }

    def pull_minimal(self, pull: PullRequest) -> Json:
        """`pull-request-minimal`: as checks name it."""

        def side(repository: Repository, ref: str, sha: str) -> Json:
            url = f"{self.api}/repos/{repository.full_name}"
            return {"ref": ref, "sha": sha, "repo": {"id": repository.id, "url": url, "name": repository.name}}

        return {
            "id": pull.id,
            "number": pull.number,
            "url": f"{self.api}/repos/{pull.repository.full_name}/pulls/{pull.number}",
            "head": side(pull.head_repository, pull.head_ref, pull.head_sha),
            "base": side(pull.repository, pull.base_ref, pull.base_sha),
        }
