"""A branch of ours with a patch on it, made through the commits API: GitLab signs such commits itself where its administrator set that up.

The name of a commit is not known before it is there, unlike where git objects are made one by one. So what we are about to write is
remembered first: should the answer get lost, the commit is known again by its parent and by the content of the files it touches.

Sources: docs REST "Commits" ("Create a commit with multiple files and actions": `start_sha`, `force`, `encoding`; an update keeps the mode
of a file), "Repositories" ("List repository tree": names, modes and blobs), "Branches".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, ValidationError

from pipeline.branches import (
    FOLDER,
    LOOKED_BACK,
    TIP_KEPT,
    Present,
    blob_name,
    check_fits,
    check_ours,
    moved,
    no_folder,
    not_ours,
    signed_off,
    steps_of,
)
from pipeline.errors import HostNotFound, HostRejected
from pipeline.model.fix import BranchCommit
from pipeline.model.ids import CommitId
from pipeline.model.target import CommitRef, SourceRepository
from pipeline.payloads import Sha
from pipeline.ports import HostMemory
from providers.gitlab.api import Api
from providers.gitlab.client import Answer, Nothing


class _Commit(Answer):
    id: Sha
    parent_ids: list[Sha] = Field(default_factory=list)


class _Branch(Answer):
    commit: _Commit


class _Entry(Answer):
    id: str
    name: str = ""
    path: str
    mode: str


class _Change(Answer):
    old_path: str = ""
    new_path: str = ""


class _Plan(BaseModel):
    """A commit that we made, or were about to make: on which parent, and the blob of each file that it touches, None where it deletes."""

    parent: str
    blobs: dict[str, str | None]
    made: str = ""
    """The commit; empty while we do not know whether it was made."""
    before: str = ""
    """Our own commit that the branch had before."""

    def asks_for(self, other: _Plan) -> bool:
        """True when both want the same."""
        return (self.parent, self.blobs) == (other.parent, other.blobs)


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every step below needs."""

    api: Api
    memory: HostMemory
    repository: SourceRepository
    branch: str
    folders: dict[tuple[str, str], Mapping[str, _Entry]] = field(default_factory=dict)
    """Folders that were looked at, by commit and path."""

    @property
    def key(self) -> str:
        return f"gitlab/{self.api.site.authority}/tip/{self.repository.external_id}/{self.branch}"

    def remembered(self) -> _Plan | None:
        try:
            return _Plan.model_validate_json(self.memory.get(self.key) or b"")
        except ValidationError:
            return None

    def remember(self, plan: _Plan) -> None:
        self.memory.put(self.key, plan.model_dump_json().encode(), TIP_KEPT)


def ensure_branch(api: Api, memory: HostMemory, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
    """See `pipeline.ports.CodeHost.ensure_branch`."""
    check_ours(commit.branch)
    desk = _Desk(api, memory, repository, commit.branch)
    actions, blobs = _actions(desk, commit)
    if not actions:
        raise HostRejected("the patch changes nothing on that commit")
    wanted = _Plan(parent=commit.parent, blobs=blobs)
    tip, known = _tip(desk), desk.remembered()
    if tip is not None and ((known is not None and known.made == tip.id and known.asks_for(wanted)) or _holds(desk, tip, wanted)):
        return CommitRef(repository, CommitId(tip.id))
    if tip is not None and not _is_ours(desk, tip, known):
        raise not_ours(commit.branch, tip.id)
    # Before the effect: should its answer get lost, or the effect not happen, we still know either commit as ours.
    desk.remember(wanted.model_copy(update={"before": tip.id if tip else ""}))
    made = _write(desk, commit, actions, wanted, force=tip is not None)
    desk.remember(wanted.model_copy(update={"made": made.id}))
    return CommitRef(repository, CommitId(made.id))


def ensure_no_branch(api: Api, memory: HostMemory, repository: SourceRepository, branch: str) -> None:
    """See `pipeline.ports.CodeHost.ensure_no_branch`."""
    check_ours(branch)
    desk = _Desk(api, memory, repository, branch)
    tip = _tip(desk)
    if tip is None or not _is_ours(desk, tip, desk.remembered()):
        return
    try:
        api.send(repository, lambda p: p.branches.delete(branch), Nothing, what=f"the end of branch {branch}")
    except HostNotFound:  # somebody was faster
        return


def ensure_commit(api: Api, memory: HostMemory, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
    """See `pipeline.ports.CodeHost.ensure_commit`. GitLab's commits API puts a commit on whatever the tip is; what it compares is the last
    commit of each file (`last_commit_id`), so a branch that moves in that moment gets our commit only when the files are as they were."""
    desk = _Desk(api, memory, repository, commit.branch)
    tip = _tip(desk)
    if tip is None:
        raise HostNotFound(f"there is no branch {commit.branch} in {repository.full_name}")
    actions, blobs = _actions(desk, commit)
    if not actions:
        raise HostRejected("the patch changes nothing on that commit")
    wanted = _Plan(parent=commit.parent, blobs=blobs)
    if tip.id != commit.parent:
        return CommitRef(repository, CommitId(_below(desk, tip, wanted)))
    compared = [
        {**action, "last_commit_id": _last_commit(desk, commit.parent, str(action["file_path"]))}
        if action["action"] != "create"
        else action
        for action in actions
    ]
    body = {"branch": commit.branch, "commit_message": _message(desk, commit), "actions": compared, "stats": False}
    try:
        made = api.send(repository, lambda p: p.commits.create(body), _Commit, what=f"a commit on {commit.branch}").id
    except HostRejected:
        tip = _tip(desk)
        if tip is None or tip.id == commit.parent:  # the branch takes no commit of ours
            raise
        made = _below(desk, tip, wanted)
    return CommitRef(repository, CommitId(made))


def _below(desk: _Desk, tip: _Commit, wanted: _Plan) -> str:
    """Our commit on a branch that has newer ones. Raises HeadMoved when there is none among the newest."""
    newest = desk.api.pages(
        desk.repository,
        lambda p: p.commits.list(ref_name=tip.id, iterator=True, per_page=LOOKED_BACK),
        _Commit,
        what=f"the commits of {desk.branch}",
        most=LOOKED_BACK,
    )
    for known in newest:
        if _holds(desk, known, wanted):
            return known.id
    raise moved(desk.branch, tip.id, wanted.parent)


def _last_commit(desk: _Desk, commit: str, path: str) -> str:
    """The newest commit before and at `commit` that changed a file."""
    found = desk.api.pages(
        desk.repository,
        # A bare `path` is python-gitlab's own: where to ask.
        lambda p: p.commits.list(query_parameters={"ref_name": commit, "path": path, "per_page": 1}, iterator=True),
        _Commit,
        what=f"the history of a file at {commit[:12]}",
        most=1,
    )
    return found[0].id if found else ""


def _write(desk: _Desk, commit: BranchCommit, actions: Sequence[object], wanted: _Plan, *, force: bool) -> _Commit:
    """The commit. `force`: our own branch moves to it, whose old commit was on another parent."""
    body = {
        "branch": commit.branch,
        "start_sha": commit.parent,
        "commit_message": _message(desk, commit),
        "actions": list(actions),
        "force": force,
        "stats": False,
    }
    try:
        made = desk.api.send(desk.repository, lambda p: p.commits.create(body), _Commit, what=f"a commit on {commit.branch}")
    except HostRejected:  # made by somebody else since we looked; by another worker with the same patch, we hope
        tip = _tip(desk)
        if tip is None or not _holds(desk, tip, wanted):
            raise
        return tip
    if made.parent_ids != [commit.parent]:
        raise HostRejected(f"GitLab made a commit on {commit.branch} that does not follow {commit.parent[:7]}")
    return made


def _message(desk: _Desk, commit: BranchCommit) -> str:
    if not commit.sign_off:
        return commit.message
    account = desk.api.me()
    return signed_off(commit.message, account.name, account.commit_email or account.email)


def _tip(desk: _Desk) -> _Commit | None:
    """Commit at the tip of the branch, None when there is no such branch."""
    try:
        return desk.api.get(desk.repository, lambda p: p.branches.get(desk.branch), _Branch, what=f"branch {desk.branch}").commit
    except HostNotFound:
        return None


def _is_ours(desk: _Desk, tip: _Commit, known: _Plan | None) -> bool:
    """True when we put that commit there: we remember it, or that we were about to make it. A name can be written by anybody."""
    return known is not None and (tip.id in (known.made, known.before) or _holds(desk, tip, known))


def _holds(desk: _Desk, tip: _Commit, plan: _Plan) -> bool:
    """True when that commit is what the plan says: on this parent, these files with this content, and no others."""
    if tip.parent_ids != [plan.parent]:
        return False
    listed = desk.api.pages(
        desk.repository,
        lambda p: p.commits.get(tip.id, lazy=True).diff(iterator=True),
        _Change,
        what=f"the diff of {tip.id[:12]}",
        most=len(plan.blobs) + 2,
    )
    # GitLab may see a rename where one file goes and another one comes.
    touched = {path for change in listed for path in (change.old_path, change.new_path)}
    if touched != set(plan.blobs):
        return False
    return all((there.name if (there := _entry(desk, tip.id, path)) else None) == blob for path, blob in plan.blobs.items())


# --- the patch ------------------------------------------------------------------------------------------------------------------------


def _actions(desk: _Desk, commit: BranchCommit) -> tuple[Sequence[Mapping[str, object]], dict[str, str | None]]:
    """What GitLab has to do for the patch, and the blobs that come of it. Raises HostRejected when the patch does not fit the parent."""
    actions: list[Mapping[str, object]] = []
    blobs: dict[str, str | None] = {}
    for edit in commit.patch.edits:
        there = _entry(desk, commit.parent, edit.path)
        check_fits(edit, there)
        if edit.after is None:
            if there is not None:
                actions.append({"action": "delete", "file_path": edit.path})
                blobs[edit.path] = None
        elif there is None or not there.has(edit.after):
            action = "update" if there is not None else "create"
            content = {"content": b64encode(edit.after).decode(), "encoding": "base64"}
            actions.append({"action": action, "file_path": edit.path, **content})
            blobs[edit.path] = blob_name(edit.after, len(commit.parent))
    return actions, blobs


def _entry(desk: _Desk, commit: str, path: str) -> Present | None:
    """What stands at `path` in a commit, found folder by folder: a link or a submodule on the way would lead elsewhere."""
    steps = steps_of(path, "GitLab")
    for depth in range(len(steps)):
        entry = _folder(desk, commit, "/".join(steps[:depth])).get("/".join(steps[: depth + 1]))
        if entry is None:
            return None
        if depth == len(steps) - 1:
            return Present(entry.mode, entry.id)
        if entry.mode != FOLDER:
            raise no_folder(path)
    return None


def _folder(desk: _Desk, commit: str, path: str) -> Mapping[str, _Entry]:
    """The entries of a folder, by path."""
    if (commit, path) not in desk.folders:
        listed = desk.api.pages(
            desk.repository,
            lambda p: p.repository_tree(path=path, ref=commit, iterator=True, pagination="keyset"),
            _Entry,
            what=f"a folder at {commit[:12]}",
        )
        desk.folders[commit, path] = {entry.path: entry for entry in listed}
    return desk.folders[commit, path]
