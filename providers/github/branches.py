"""A branch of ours with a patch on it, made through the Git database API: GitHub signs a commit that an App makes without naming an author.

Sources: docs REST "Git database" (blobs, trees, commits, references), "About commit signature verification" (signing for bots).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from pydantic import Field

from pipeline.branches import (
    FOLDER,
    LOOKED_BACK,
    REGULAR,
    TIP_KEPT,
    Present,
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
from providers.github.api import Api, repository_path
from providers.github.auth import PROPOSE
from providers.github.client import Answer, Json, Nothing


class _Sha(Answer):
    sha: Sha


class _Person(Answer):
    name: str = ""
    email: str = ""


class _Verification(Answer):
    verified: bool = False


class _GitCommit(Answer):
    sha: Sha
    tree: _Sha
    parents: list[_Sha] = Field(default_factory=list)
    author: _Person = _Person()
    verification: _Verification = _Verification()


class _Entry(Answer):
    path: str
    mode: str
    type: str
    sha: Sha | None = None


class _Tree(Answer):
    sha: Sha
    tree: list[_Entry] = Field(default_factory=list)


class _Reference(Answer):
    object: _Sha


def ensure_branch(api: Api, memory: HostMemory, repository: SourceRepository, commit: BranchCommit, *, site: str) -> CommitRef:
    """See `pipeline.ports.CodeHost.ensure_branch`.

    Blobs, trees and commits are content-addressed or invisible until a branch points to them: only the last request has an effect, and
    it is not made when the branch already holds that tree on that parent.
    """
    check_ours(commit.branch)
    base = api.get(repository, PROPOSE, repository_path(repository, "git", "commits", commit.parent), _GitCommit)
    tree = _make_tree(api, repository, base.tree.sha, commit)
    if tree == base.tree.sha:
        raise HostRejected("the patch changes nothing on that commit")
    memory_key = f"github/{site}/tip/{repository.external_id}/{commit.branch}"
    tip = _tip(api, repository, commit.branch)
    if tip is not None and _holds(tip, tree, commit):
        return CommitRef(repository, CommitId(tip.sha))
    if tip is not None and not _is_ours(api, memory, memory_key, tip):
        raise not_ours(commit.branch, tip.sha)
    content = {"message": commit.message, "tree": tree, "parents": [commit.parent]}
    made = _make(api, repository, content, sign_off=commit.sign_off)
    # Before the effect: should its answer get lost, or the effect not happen, we still know either commit as ours.
    memory.put(memory_key, f"{tip.sha if tip else ''} {made}".encode(), TIP_KEPT)
    try:
        _point(api, repository, commit.branch, made, exists=tip is not None)
    except HostRejected:  # made by somebody else since we looked; by another worker with the same patch, we hope
        tip = _tip(api, repository, commit.branch)
        if tip is None or not _holds(tip, tree, commit):
            raise
        made = tip.sha
    return CommitRef(repository, CommitId(made))


def ensure_no_branch(api: Api, memory: HostMemory, repository: SourceRepository, branch: str, *, site: str) -> None:
    """See `pipeline.ports.CodeHost.ensure_no_branch`."""
    check_ours(branch)
    tip = _tip(api, repository, branch)
    if tip is None or not _is_ours(api, memory, f"github/{site}/tip/{repository.external_id}/{branch}", tip):
        return
    try:
        api.send(repository, PROPOSE, "DELETE", repository_path(repository, "git", "refs", "heads", *branch.split("/")), {}, Nothing)
    except (HostRejected, HostNotFound):  # 422 "Reference does not exist": somebody was faster
        if _tip(api, repository, branch) is not None:
            raise


def ensure_commit(api: Api, repository: SourceRepository, commit: BranchCommit) -> CommitRef:
    """See `pipeline.ports.CodeHost.ensure_commit`. Without `force` GitHub moves a branch only to a commit that follows its tip, and ours
    follows nothing but `commit.parent`."""
    tip = _tip(api, repository, commit.branch)
    if tip is None:
        raise HostNotFound(f"there is no branch {commit.branch} in {repository.full_name}")
    base = api.get(repository, PROPOSE, repository_path(repository, "git", "commits", commit.parent), _GitCommit)
    tree = _make_tree(api, repository, base.tree.sha, commit)
    if tree == base.tree.sha:
        raise HostRejected("the patch changes nothing on that commit")
    if tip.sha != commit.parent:
        return CommitRef(repository, CommitId(_below(api, repository, tip, tree, commit)))
    content = {"message": commit.message, "tree": tree, "parents": [commit.parent]}
    made = _make(api, repository, content, sign_off=commit.sign_off)
    address = repository_path(repository, "git", "refs", "heads", *commit.branch.split("/"))
    try:
        api.send(repository, PROPOSE, "PATCH", address, {"sha": made, "force": False}, _Reference)
    except HostRejected:
        tip = _tip(api, repository, commit.branch)
        if tip is None or tip.sha == commit.parent:  # the branch takes no commit of ours
            raise
        made = _below(api, repository, tip, tree, commit)
    return CommitRef(repository, CommitId(made))


def _below(api: Api, repository: SourceRepository, tip: _GitCommit, tree: str, commit: BranchCommit) -> str:
    """Our commit on a branch that has newer ones. Raises HeadMoved when there is none among the newest."""
    at = tip
    for _ in range(LOOKED_BACK):
        if _holds(at, tree, commit):
            return at.sha
        if not at.parents or at.sha == commit.parent:
            break
        at = api.get(repository, PROPOSE, repository_path(repository, "git", "commits", at.parents[0].sha), _GitCommit)
    raise moved(commit.branch, tip.sha, commit.parent)


def _make(api: Api, repository: SourceRepository, content: Json, *, sign_off: bool) -> str:
    """A commit that no branch has yet. Whom GitHub names as its author it only says of one that is made, so who signs off makes two."""
    address = repository_path(repository, "git", "commits")
    made = api.send(repository, PROPOSE, "POST", address, content, _GitCommit)
    if sign_off:
        signed = {**content, "message": signed_off(str(content["message"]), made.author.name, made.author.email)}
        made = api.send(repository, PROPOSE, "POST", address, signed, _GitCommit)
    return made.sha


def _holds(tip: _GitCommit, tree: str, commit: BranchCommit) -> bool:
    """True when that commit is what we want: this tree on this parent. Message and time do not matter."""
    return tip.tree.sha == tree and [parent.sha for parent in tip.parents] == [commit.parent]


def _point(api: Api, repository: SourceRepository, branch: str, sha: str, *, exists: bool) -> None:
    """Make the reference, or move our own with force: its old commit was on another parent."""
    if exists:
        address = repository_path(repository, "git", "refs", "heads", *branch.split("/"))
        api.send(repository, PROPOSE, "PATCH", address, {"sha": sha, "force": True}, _Reference)
    else:
        body = {"ref": f"refs/heads/{branch}", "sha": sha}
        api.send(repository, PROPOSE, "POST", repository_path(repository, "git", "refs"), body, _Reference)


def _tip(api: Api, repository: SourceRepository, branch: str) -> _GitCommit | None:
    """Commit at the tip of the branch, None when there is no such branch."""
    try:
        found = api.get(repository, PROPOSE, repository_path(repository, "git", "ref", "heads", *branch.split("/")), _Reference)
    except HostNotFound:
        return None
    return api.get(repository, PROPOSE, repository_path(repository, "git", "commits", found.object.sha), _GitCommit)


def _is_ours(api: Api, memory: HostMemory, key: str, tip: _GitCommit) -> bool:
    """True when we put that commit there: we remember it, or GitHub signed it for our App. A name alone can be written by anybody."""
    if tip.sha in (memory.get(key) or b"").decode().split():
        return True
    return tip.verification.verified and tip.author.name.lower() == api.bot_login().lower()


def _make_tree(api: Api, repository: SourceRepository, base_tree: str, commit: BranchCommit) -> str:
    """Name of the tree with the patch applied. Raises HostRejected when the patch does not fit the base."""
    folders: dict[str, Mapping[str, _Entry]] = {}
    entries: list[Json] = []
    for edit in commit.patch.edits:
        there = _entry(api, repository, base_tree, edit.path, folders)
        check_fits(edit, there)
        if edit.after is None:
            if there is not None:
                entries.append({"path": edit.path, "mode": there.mode, "type": "blob", "sha": None})
            continue
        blob = {"content": b64encode(edit.after).decode(), "encoding": "base64"}
        sha = api.send(repository, PROPOSE, "POST", repository_path(repository, "git", "blobs"), blob, _Sha).sha
        entries.append({"path": edit.path, "mode": there.mode if there else REGULAR, "type": "blob", "sha": sha})
    if not entries:
        return base_tree
    body = {"base_tree": base_tree, "tree": entries}
    return api.send(repository, PROPOSE, "POST", repository_path(repository, "git", "trees"), body, _Tree).sha


def _entry(api: Api, repository: SourceRepository, base_tree: str, path: str, folders: dict[str, Mapping[str, _Entry]]) -> Present | None:
    """The entry at `path`, found folder by folder: a whole tree may be too large for one answer. None when there is none."""
    steps = steps_of(path, "GitHub")
    tree = base_tree
    for depth, step in enumerate(steps):
        if tree not in folders:
            address = repository_path(repository, "git", "trees", tree)
            folders[tree] = {entry.path: entry for entry in api.get(repository, PROPOSE, address, _Tree).tree}
        entry = folders[tree].get(step)
        if entry is None:
            return None
        if depth == len(steps) - 1:
            return Present(entry.mode, entry.sha)
        if entry.mode != FOLDER or entry.sha is None:
            raise no_folder(path)
        tree = entry.sha
    return None
