"""What people do in the world: the side of a test that is not under test."""

from __future__ import annotations

from collections.abc import Mapping

from tests.worlds.github.actions import Draft
from tests.worlds.github.core import Github
from tests.worlds.github.model import (
    Account,
    Anchor,
    App,
    CheckRun,
    Installation,
    IssueComment,
    PullRequest,
    Repository,
    ReviewComment,
    Role,
    Status,
)
from tests.worlds.github.state import State
from tests.worlds.pushing import Files, Pushing


class People(Pushing[Repository]):
    """Persons, organizations and what they click and push. All of it is told to the app by webhook."""

    github: Github
    app: App

    @property
    def _state(self) -> State:
        return self.github.state

    def _look_at_refs(self, place: Repository, login: str) -> None:
        self.github.actions.look_at_refs(place, self.user(login))

    # --- people ---

    def user(self, login: str) -> Account:
        """A person, who is there from the first mention on."""
        return self.github.state.account(login)

    def organization(self, login: str) -> Account:
        """An organization."""
        return self.github.state.account(login, "Organization")

    def set_permission(self, user: str, repository: Repository, role: str) -> None:
        """`none`, `read`, `triage`, `write`, `maintain` or `admin`."""
        with self.github.state.lock:
            repository.roles[self.user(user).login.lower()] = Role[role.upper()]

    def install(
        self, owner: str, repositories: list[Repository] | None = None, permissions: Mapping[str, str] | None = None
    ) -> Installation:
        """Install the app on an account: on all its repositories unless some are named."""
        with self.github.state.lock:
            state = self.github.state
            chosen = None if repositories is None else {repository.id for repository in repositories}
            granted = dict(self.app.permissions if permissions is None else permissions)
            installation = Installation(
                state.new_id("installation"), self.app, state.account(owner), granted, self.app.events, state.now(), chosen
            )
            state.installations[installation.id] = installation
            covered = [repository for repository in state.repositories.values() if installation.covers(repository)]
            self.github.actions.events.installation(installation, "created", covered)
            return installation

    def adopt(self, app: App) -> None:
        """From now on this is the app that the world speaks of."""
        self.app = app

    def grant(self, installation: Installation, permissions: Mapping[str, str]) -> None:
        """Change the app's permissions, and accept that for the installation."""
        with self.github.state.lock:
            installation.app.permissions = dict(permissions)
            installation.permissions = dict(permissions)
            self.github.actions.events.installation(installation, "new_permissions_accepted", [])

    def uninstall(self, installation: Installation) -> None:
        """Take the app away."""
        with self.github.state.lock:
            covered = [repository for repository in self.github.state.repositories.values() if installation.covers(repository)]
            del self.github.state.installations[installation.id]
            self.github.actions.events.installation(installation, "deleted", covered)

    def change_installation(
        self, installation: Installation, *, add: tuple[Repository, ...] = (), remove: tuple[Repository, ...] = ()
    ) -> None:
        """Give the app other repositories."""
        with self.github.state.lock:
            chosen = installation.repositories or set()
            installation.repositories = (chosen | {repository.id for repository in add}) - {repository.id for repository in remove}
            if add:
                self.github.actions.events.repositories(installation, list(add), [])
            if remove:
                self.github.actions.events.repositories(installation, [], list(remove))

    def installation_of(self, repository: Repository) -> Installation | None:
        """The installation that covers a repository."""
        return self.github.state.installation_of(repository, self.app)

    # --- code ---

    def create_repository(
        self, owner: str, name: str, *, private: bool = True, files: Files | None = None, install: bool = True
    ) -> Repository:
        """A repository with one commit on `main`, and the app on it unless told otherwise. Installing it tells no webhook."""
        with self.github.state.lock:
            repository = self.github.state.add_repository(owner, name, private=private)
            if files is not None:
                self._commit(repository, "main", files, "Initial commit", owner, None)
                repository.refs = repository.git.refs()
            installed = next((known for known in self.github.state.installations.values() if known.account is repository.owner), None)
            if install and installed is None:
                state = self.github.state
                numbers = (
                    state.new_id("installation"),
                    self.app,
                    repository.owner,
                    dict(self.app.permissions),
                    self.app.events,
                    state.now(),
                )
                state.installations[numbers[0]] = Installation(*numbers)
            elif not install and installed is not None and installed.repositories is None:
                covered = {known.id for known in self.github.state.repositories.values() if known.owner is repository.owner}
                installed.repositories = covered - {repository.id}
            return repository

    def fork(self, repository: Repository, owner: str, *, install: bool = False) -> Repository:
        """A fork in another account; the app is not on it unless told so."""
        with self.github.state.lock:
            fork = self.github.state.add_repository(owner, repository.name, private=repository.private, parent=repository)
            if install:
                self.install(owner, [fork])
            return fork

    # --- pull requests ---

    def open_pull_request(
        self,
        user: str,
        repository: Repository,
        head: str,
        base: str,
        title: str,
        *,
        body: str | None = None,
        draft: bool = False,
        fork: Repository | None = None,
    ) -> PullRequest:
        """Open one from a branch of the repository, or of a fork."""
        return self._locked(
            lambda: self.github.actions.open_pull(self.user(user), repository, (fork or repository, head), base, title, body, draft=draft)
        )

    def edit_pull_request(
        self, user: str, pull: PullRequest, *, title: str | None = None, body: str | None = None, base: str | None = None
    ) -> None:
        """Change its text or its base."""
        self._locked(lambda: self.github.actions.edit_pull(pull, self.user(user), title=title, body=body, base=base))

    def set_draft(self, user: str, pull: PullRequest, draft: bool) -> None:
        """Turn it into a draft, or mark it ready."""
        self._locked(lambda: self.github.actions.set_draft(pull, self.user(user), draft))

    def close(self, user: str, pull: PullRequest) -> None:
        """Close it."""
        self._locked(lambda: self.github.actions.close(pull, self.user(user)))

    def reopen(self, user: str, pull: PullRequest) -> None:
        """Open it again."""
        self._locked(lambda: self.github.actions.reopen(pull, self.user(user)))

    def merge(self, user: str, pull: PullRequest, method: str = "merge") -> str:
        """Merge it. Raises ValueError when it conflicts."""
        sha = self._locked(lambda: self.github.actions.merge(pull, self.user(user), method=method))
        if sha is None:
            raise ValueError("this pull request conflicts with its base")
        return sha

    # --- talk ---

    def comment(self, user: str, pull: PullRequest, body: str) -> IssueComment:
        """Write in the conversation."""
        return self._locked(lambda: self.github.actions.comment(pull, self.user(user), body))

    def review_comment(self, user: str, pull: PullRequest, path: str, line: int, body: str) -> ReviewComment:
        """Write on a line of the diff. Raises Unplaceable."""
        draft = Draft(Anchor(path, line), body)
        self._locked(lambda: self.github.actions.review(pull, self.user(user), pull.head_sha, "", "COMMENTED", [draft]))
        return pull.review_comments[-1]

    def reply_in_thread(self, user: str, comment_id: int, body: str) -> ReviewComment:
        """Answer to a comment on a line. Raises KeyError for an unknown one."""
        comments = (c for known in self.github.state.repositories.values() for pull in known.pulls.values() for c in pull.review_comments)
        first = next((comment for comment in comments if comment.id == comment_id), None)
        if first is None:
            raise KeyError(comment_id)
        return self._locked(lambda: self.github.actions.reply(first, self.user(user), body))

    def resolve_thread(self, user: str, comment: ReviewComment) -> None:
        """Press "Resolve conversation"."""
        with self.github.state.lock:
            comment.thread.resolved_by = self.user(user)

    def apply_suggestion(self, user: str, comment: ReviewComment) -> str:
        """Press "Commit suggestion": the anchored lines are replaced verbatim. Raises ValueError where GitHub has no such button."""
        with self.github.state.lock:
            return self._apply_suggestion(user, comment)

    def _apply_suggestion(self, user: str, comment: ReviewComment) -> str:
        pull, anchor, new = comment.thread.pull, comment.anchor, suggestion(comment.body)
        if new is None:
            raise ValueError("the comment has no suggestion")
        if anchor is None or anchor.line is None or pull.state != "open":
            raise ValueError("outdated suggestions and those of closed pull requests cannot be applied")
        if "LEFT" in (anchor.side, anchor.start_side):
            raise ValueError("suggestions on deleted lines cannot be applied")
        content = self.read(pull.repository, pull.head_sha, anchor.path) or b""
        lines = content.decode().splitlines(keepends=True)
        first = (anchor.start_line or anchor.line) - 1
        lines[first : anchor.line] = [new] if new else []
        message = f"Update {anchor.path}\n\nCo-authored-by: {comment.user.login} <{comment.user.email}>"
        return self.commit(pull.head_repository, pull.head_ref, {anchor.path: "".join(lines)}, message, user)

    def rerequest_check(self, user: str, run: CheckRun) -> None:
        """Press "Re-run"."""
        self._locked(lambda: self.github.actions.rerequest(run, self.user(user)))

    def press_button(self, user: str, run: CheckRun, identifier: str) -> None:
        """Press one of a check's buttons. Raises ValueError when there is none of that identifier, or before completion."""
        if run.status != "completed" or identifier not in [action["identifier"] for action in run.actions]:
            raise ValueError(f"the check has no button {identifier!r}")
        event = {"requested_action": {"identifier": identifier}}
        self._locked(lambda: self.github.actions.events.check_run(run, self.user(user), "requested_action", **event))

    def post_status(self, user: str, repository: Repository, sha: str, state: str, context: str) -> None:
        """A status of somebody else's continuous integration."""
        with self.github.state.lock:
            known = self.github.state
            repository.statuses.append(Status(known.new_id("status"), sha, state, context, None, None, self.user(user), known.now()))


def suggestion(body: str) -> str | None:
    """The text inside a comment's suggestion fence, None without one."""
    lines = body.splitlines(keepends=True)
    for number, line in enumerate(lines):
        fence = line.strip().partition("suggestion")
        if fence[1] and set(fence[0]) == {"`"} and len(fence[0]) >= 3 and not fence[2].strip():
            end = next((at for at in range(number + 1, len(lines)) if lines[at].strip() == fence[0]), None)
            return None if end is None else "".join(lines[number + 1 : end])
    return None
