"""What owners and the merge queue do in the world: suspend, rename, archive, publish, delete, queue."""

from __future__ import annotations

from dataclasses import dataclass

from tests.worlds.github.core import Github
from tests.worlds.github.model import App, Installation, PullRequest, Repository, ReviewComment, Role


@dataclass(frozen=True, slots=True)
class Group:
    """A merge group: what the queue would make the branch's tip."""

    repository: Repository
    base_ref: str
    base_sha: str
    head_ref: str
    head_sha: str


class Owners:
    """All of it is told to the app by webhook."""

    github: Github
    app: App

    # --- installations ---

    def suspend(self, installation: Installation) -> None:
        """Nothing is answered and nothing told any more."""
        with self.github.state.lock:
            installation.suspended_at = self.github.state.now()
            self.github.actions.events.installation(installation, "suspend", [])

    def unsuspend(self, installation: Installation) -> None:
        """As before."""
        with self.github.state.lock:
            installation.suspended_at = None
            self.github.actions.events.installation(installation, "unsuspend", [])

    # --- repositories ---

    def rename_repository(self, repository: Repository, name: str) -> None:
        """Give it another name."""
        old = repository.name
        with self.github.state.lock:
            repository.name = name
            self._changed(repository, "renamed", changes={"repository": {"name": {"from": old}}})

    def set_default_branch(self, repository: Repository, branch: str) -> None:
        """Make another branch the default one."""
        old = repository.default_branch
        with self.github.state.lock:
            repository.default_branch = branch
            self._changed(repository, "edited", changes={"default_branch": {"from": old}})

    def set_private(self, repository: Repository, private: bool) -> None:
        """Hide it, or publish it."""
        with self.github.state.lock:
            repository.private = private
            self._changed(repository, "privatized" if private else "publicized")

    def set_archived(self, repository: Repository, archived: bool) -> None:
        """Freeze it, or thaw it."""
        with self.github.state.lock:
            repository.archived = archived
            self._changed(repository, "archived" if archived else "unarchived")

    def delete_repository(self, repository: Repository) -> None:
        """Remove it."""
        with self.github.state.lock:
            self._changed(repository, "deleted")
            del self.github.state.repositories[repository.id]

    def _changed(self, repository: Repository, action: str, **more: object) -> None:
        self.github.actions.events.repository_changed(repository, repository.owner, action, **more)

    # --- people ---

    def remove_member(self, repository: Repository, login: str) -> None:
        """Take away all rights that a person was given."""
        with self.github.state.lock:
            person = self.github.state.account(login)
            repository.roles[login.lower()] = Role.NONE
            self.github.actions.events.member(repository, repository.owner, "removed", person)

    def set_resolved(self, user: str, comment: ReviewComment, resolved: bool) -> None:
        """Press "Resolve conversation", or open it again."""
        with self.github.state.lock:
            person = self.github.state.account(user)
            comment.thread.resolved_by = person if resolved else None
            self.github.actions.events.thread(comment.thread, person, "resolved" if resolved else "unresolved")

    # --- the merge queue ---

    def queue(self, pull: PullRequest, after: Group | None = None, method: str = "merge") -> Group:
        """Put a pull request into the queue of its base branch, behind another group. Raises ValueError when it conflicts."""
        with self.github.state.lock:
            repository, git = pull.repository, pull.repository.git
            base = after.head_sha if after else git.branch(pull.base_ref) or pull.base_sha
            tree = git.merge(base, pull.head_sha)
            if tree is None:
                raise ValueError("this pull request conflicts with its base")
            parents = [base, pull.head_sha] if method == "merge" else [base]
            queue = self.github.state.account("github-merge-queue[bot]", "Bot")
            head = self.github.actions.host_commit(repository, tree, parents, f"{pull.title} (#{pull.number})", queue)
            group = Group(repository, pull.base_ref, base, f"gh-readonly-queue/{pull.base_ref}/pr-{pull.number}-{base}", head)
            git.set_ref(f"refs/heads/{group.head_ref}", head)
            self.github.actions.look_at_refs(repository, queue)
            self.github.actions.events.merge_group(repository, queue, "checks_requested", group.head_ref, head, base, pull.base_ref)
            return group

    def unqueue(self, group: Group, reason: str = "dequeued") -> None:
        """Throw a group away: `merged`, `invalidated` or `dequeued`."""
        with self.github.state.lock:
            repository = group.repository
            queue = self.github.state.account("github-merge-queue[bot]", "Bot")
            sides = group.head_ref, group.head_sha, group.base_sha, group.base_ref
            self.github.actions.events.merge_group(repository, queue, "destroyed", *sides, reason=reason)
            repository.git.delete_ref(f"refs/heads/{group.head_ref}")
            self.github.actions.look_at_refs(repository, queue)
