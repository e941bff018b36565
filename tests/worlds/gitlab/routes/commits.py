"""Commits (docs, "Commits API")."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from tests.worlds.bare import NO_COMMIT, Entry, GitFailed, Person
from tests.worlds.gitlab.call import Answer, Call, bad_request, forbidden, invalid, listed, not_found, operation, refused, truth
from tests.worlds.gitlab.model import Json, Level, Project
from tests.worlds.gitlab.routes.branches import may_push, may_read_code
from tests.worlds.gitlab.shapes.code import EMPTY_TREE

ACTIONS = ("create", "update", "delete", "move", "chmod")


def _commit(call: Call) -> str:
    """The commit of the path. Raises Refused."""
    may_read_code(call)
    sha = call.project.git.resolve(call.parameters["sha"])
    if sha is None:
        raise not_found("Commit")
    return sha


@operation("GET", "/projects/:id/repository/commits")
def commits(call: Call) -> Answer:
    """History, newest first."""
    may_read_code(call)
    git = call.project.git
    names = ["--all"] if call.truth("all") else [git.resolve(str(call.given.get("ref_name") or call.project.default_branch)) or ""]
    if names == [""]:
        raise not_found("invalid revision or path")
    path = ["--", str(call.given["path"])] if call.given.get("path") else []
    limits = [f"--{name}={call.given[name]}" for name in ("since", "until") if call.given.get(name)]
    found = git.run("rev-list", "--max-count=1000", *limits, *names, *path).decode().split()
    return listed(found, lambda sha: call.gitlab.shapes.commit(call.project, sha))


@operation("GET", "/projects/:id/repository/commits/:sha")
def commit(call: Call) -> Answer:
    """One commit, by number, branch or tag."""
    return Answer(body=call.gitlab.shapes.one_commit(call.project, _commit(call), stats=call.truth("stats", default=True)))


@operation("GET", "/projects/:id/repository/commits/:sha/refs")
def refs(call: Call) -> Answer:
    """Branches and tags that contain it."""
    sha, kind = _commit(call), call.chosen("type", ("all", "branch", "tag"), "all")
    prefixes = {"refs/heads/": "branch", "refs/tags/": "tag"}
    found = []
    for ref, tip in call.project.git.refs().items():
        prefix = next((known for known in prefixes if ref.startswith(known)), None)
        if prefix and kind in ("all", prefixes[prefix]) and call.project.git.is_ancestor(sha, tip):
            found.append({"type": prefixes[prefix], "name": ref.removeprefix(prefix)})
    return listed(found, lambda known: dict(known))


@operation("GET", "/projects/:id/repository/commits/:sha/diff")
def diff(call: Call) -> Answer:
    """What it changed against its first parent."""
    sha = _commit(call)
    parents = call.project.git.commit(sha).parents
    return listed(call.project.git.diff(parents[0] if parents else EMPTY_TREE, sha), call.gitlab.shapes.diff)


@operation("GET", "/projects/:id/repository/commits/:sha/merge_requests")
def merge_requests(call: Call) -> Answer:
    """Merge requests that brought or would bring it."""
    sha, git = _commit(call), call.project.git
    wanted = call.given.get("state")
    found = [
        known
        for known in call.project.merge_requests.values()
        if wanted in (None, known.state) and sha in (*git.commits(known.version.refs.base, known.head), known.merge_commit)
    ]
    return listed(found[::-1], call.gitlab.shapes.merge_request)


# --- making one ---


@operation("POST", "/projects/:id/repository/commits", level=Level.DEVELOPER)
def create(call: Call) -> Answer:
    """One commit with several files, on a branch that is there or made for it."""
    call.need("branch", "commit_message")
    actions = call.given.get("actions")
    if actions is None:
        raise invalid("actions is missing")
    branch, git = call.text("branch"), call.project.git
    if not isinstance(actions, list) or not all(isinstance(action, dict) for action in actions):
        raise invalid("actions is invalid")
    if not git.valid_ref(f"refs/heads/{branch}") or branch.startswith("-"):
        raise refused(400, "Branch name is invalid")
    if not may_push(call, call.project, branch):
        raise forbidden()
    tip, parent = git.branch(branch), _start(call, branch)
    entries = [entry for action in actions for entry in _Change(call, parent, action).entries()]
    try:
        tree = git.write_tree(parent, entries)
    except GitFailed as error:
        raise refused(400, f"A file with this name cannot be made: {error}") from error
    sha = call.gitlab.actions.commit_as(
        call.project, tree, [parent] if parent else [], call.text("commit_message"), call.user, _author(call)
    )
    try:
        git.set_ref(f"refs/heads/{branch}", sha, tip or NO_COMMIT)
    except GitFailed as error:
        raise refused(400, "Could not update the branch. Please refresh and try again.") from error
    call.gitlab.actions.look_at_refs(call.project, call.user)
    return Answer(201, call.gitlab.shapes.one_commit(call.project, sha, stats=call.truth("stats", default=True)))


def _author(call: Call) -> Person | None:
    name, email = call.given.get("author_name"), call.given.get("author_email")
    if not name and not email:
        return None
    return Person(str(name or call.user.name), str(email or call.user.email), int(call.gitlab.seconds()))


def _start(call: Call, branch: str) -> str | None:
    """The parent of the new commit. Raises Refused."""
    git, tip = call.project.git, call.project.git.branch(branch)
    start_branch, start_sha = call.given.get("start_branch"), call.given.get("start_sha")
    if start_branch and start_sha:
        raise invalid("start_branch, start_sha are mutually exclusive")
    if tip is not None and not call.truth("force") and ((start_branch and start_branch != branch) or start_sha):
        raise refused(400, f"A branch called '{branch}' already exists. Switch to that branch in order to make changes")
    if start_sha and (not isinstance(start_sha, str) or git.type_of(start_sha) != "commit"):
        raise refused(400, f"Cannot find start_sha '{start_sha}'")
    if start_sha:
        return str(start_sha)
    if start_branch:
        found = _start_project(call).git.branch(str(start_branch))
        if found is None:
            raise refused(400, f"Invalid reference name: {start_branch}")
        call.gitlab.actions.fetch_from(call.project, _start_project(call), found)
        return found
    if tip is None and git.refs():
        raise refused(400, "You can only create or edit files when you are on a branch")
    return tip


def _start_project(call: Call) -> Project:
    wanted = call.given.get("start_project")
    found = call.project if wanted is None else call.gitlab.state.project(wanted if isinstance(wanted, int) else str(wanted))
    if found is None or not call.caller.sees(found):
        raise not_found("Project")
    return found


class _Change:
    """One action of a commit."""

    def __init__(self, call: Call, parent: str | None, action: Json) -> None:
        self._git, self._parent, self._action = call.project.git, parent, action
        self._name = action.get("action")
        if self._name not in ACTIONS:
            raise invalid("actions[0][action] does not have a valid value" if self._name else "actions[0][action] is missing")
        if not isinstance(action.get("file_path"), str) or not action["file_path"]:
            raise invalid("actions[0][file_path] is missing")
        self._path = str(action["file_path"])
        if self._path.startswith("/") or ".." in self._path.split("/") or ".git" in self._path.lower().split("/"):
            raise refused(400, "invalid path: " + repr(self._path))

    def entries(self) -> list[Entry]:
        """What it changes in the tree. Raises Refused."""
        known = self._at(self._path)
        if self._name == "create":
            if known is not None:
                raise refused(400, "A file with this name already exists")
            return [Entry(self._mode("100644"), self._path, self._blob())]
        before = self._path if self._name != "move" else self._action.get("previous_path")
        if not isinstance(before, str) or not before:
            raise invalid("actions[0][previous_path] is missing")
        old = self._at(before)
        if old is None or old.sha is None:
            raise refused(400, "A file with this name doesn't exist")
        self._unchanged(before)
        if self._name == "delete":
            return [Entry(old.mode, before, None)]
        if self._name == "move":
            if known is not None:
                raise refused(400, "A file with this name already exists")
            moved = old.sha if self._action.get("content") is None else self._blob()
            return [Entry(old.mode, before, None), Entry(old.mode, self._path, moved)]
        return [Entry(self._mode(old.mode), before, self._blob() if self._name == "update" else old.sha)]

    def _at(self, path: str) -> Entry | None:
        entry = self._git.entry(self._parent, path) if self._parent else None
        return entry if entry is not None and entry.type == "blob" else None

    def _mode(self, usual: str) -> str:
        """`execute_filemode` counts for chmod alone."""
        if self._name != "chmod":
            return usual
        wanted = truth(self._action.get("execute_filemode"))
        if wanted is None:
            raise invalid("actions[0][execute_filemode] is missing")
        return "100755" if wanted else "100644"

    def _blob(self) -> str:
        content: Any = self._action.get("content")
        encoding = self._action.get("encoding", "text")
        if content is None or not isinstance(content, str):
            raise invalid("actions[0][content] is missing")
        if encoding not in ("text", "base64"):
            raise invalid("actions[0][encoding] does not have a valid value")
        try:
            return self._git.write_blob(base64.b64decode(content) if encoding == "base64" else content.encode())
        except (binascii.Error, UnicodeEncodeError) as error:
            raise bad_request(f"content: {error}") from error

    def _unchanged(self, path: str) -> None:
        expected = self._action.get("last_commit_id")
        if expected and self._parent:
            last = self._git.run("rev-list", "--max-count=1", self._parent, "--", path).decode().strip()
            if last != expected:
                text = "You are attempting to {} a file that has been changed since you started editing it."
                raise refused(400, text.format(self._name))
