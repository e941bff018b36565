"""A branch of ours with a patch on it, made through the Git database API: GitHub signs a commit that an App makes without naming an author.

Sources: docs REST "Git database" (blobs, trees, commits, references), "About commit signature verification" (signing for bots).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping

from pydantic import Field

from pipeline.errors import HostNotFound, HostRejected
from pipeline.model.fix import BranchCommit, FileEdit
from pipeline.model.ids import CommitId
from pipeline.model.target import CommitRef, SourceRepository
from pipeline.payloads import Sha
from pipeline.ports import HostMemory
from providers.github.api import Api, repository_path
from providers.github.auth import PROPOSE
from providers.github.client import Answer, Json

OURS = "fixwright/"
"""Prefix of every branch that we ever write."""
REGULAR, EXECUTABLE, FOLDER = "100644", "100755", "040000"
TIP_KEPT = 90 * 86_400.0
"""Seconds for which we remember which commit we put at the tip of a branch."""
_BRANCH = re.compile(r"fixwright/[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")


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
    if not _BRANCH.match(commit.branch) or ".." in commit.branch or commit.branch.endswith((".", ".lock")):
        raise HostRejected(f"{commit.branch!r} is no branch of ours", hint=f"branches of ours begin with {OURS}")
    base = api.get(repository, PROPOSE, repository_path(repository, "git", "commits", commit.parent), _GitCommit)
    tree = _make_tree(api, repository, base.tree.sha, commit)
    if tree == base.tree.sha:
        raise HostRejected("the patch changes nothing on that commit")
    memory_key = f"github/{site}/tip/{repository.external_id}/{commit.branch}"
    tip = _tip(api, repository, commit.branch)
    if tip is not None and _holds(tip, tree, commit):
        return CommitRef(repository, CommitId(tip.sha))
    if tip is not None and not _is_ours(api, memory, memory_key, tip):
        raise HostRejected(
            f"branch {commit.branch} holds a commit that is not ours ({tip.sha[:7]})", hint="delete or rename that branch, then ask again"
        )
    content = {"message": commit.message, "tree": tree, "parents": [commit.parent]}
    made = api.send(repository, PROPOSE, "POST", repository_path(repository, "git", "commits"), content, _GitCommit).sha
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
        _check_fits(edit, there)
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


def _check_fits(edit: FileEdit, there: _Entry | None) -> None:
    """The patch must speak of what is there: the same content, a regular file."""
    if there is not None and there.mode not in (REGULAR, EXECUTABLE):
        raise HostRejected(f"{edit.path!r} is no regular file (mode {there.mode})")
    if edit.before is None:
        if there is not None and edit.after is not None and not _has_content(there, edit.after):
            raise HostRejected(f"the patch makes {edit.path!r}, but it exists already")
    elif there is None or not _has_content(there, edit.before):
        raise HostRejected(f"{edit.path!r} is not what the patch was made for")


def _has_content(entry: _Entry, content: bytes) -> bool:
    """True when the blob's name is that of `content` (git hashes the length with it)."""
    algorithm = hashlib.sha256 if entry.sha is not None and len(entry.sha) == 64 else hashlib.sha1
    return entry.sha == algorithm(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _entry(api: Api, repository: SourceRepository, base_tree: str, path: str, folders: dict[str, Mapping[str, _Entry]]) -> _Entry | None:
    """The entry at `path`, found folder by folder: a whole tree may be too large for one answer. None when there is none."""
    steps = path.split("/")
    if any(step in ("", ".", "..") or step.lower() == ".git" or "\\" in step for step in steps) or not _is_text(path):
        raise HostRejected(f"{path!r} cannot be written through GitHub's API")
    tree = base_tree
    for depth, step in enumerate(steps):
        if tree not in folders:
            address = repository_path(repository, "git", "trees", tree)
            folders[tree] = {entry.path: entry for entry in api.get(repository, PROPOSE, address, _Tree).tree}
        entry = folders[tree].get(step)
        if entry is None or depth == len(steps) - 1:
            return entry
        if entry.mode != FOLDER or entry.sha is None:  # a link or a submodule would lead elsewhere
            raise HostRejected(f"{path!r} leads through something that is no folder")
        tree = entry.sha
    return None


def _is_text(path: str) -> bool:
    return path.isprintable() and path.encode("utf-8", "replace").decode() == path
