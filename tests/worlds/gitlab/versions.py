"""Versions of a merge request's diff, and the refs that GitLab keeps of it.

Source: GitLab docs, "Merge requests API" (`diff_refs`, diff versions), "Merge requests" (`refs/merge-requests/:iid/head`), "Merged results
pipelines" (`/merge`), "Merge trains" (`/train`).
"""

from __future__ import annotations

from tests.worlds.bare import Person
from tests.worlds.gitlab.model import MergeRequest, Project, Refs, User, Version
from tests.worlds.gitlab.state import State


def take(project: Project, source: Project | None, sha: str) -> None:
    """Have a commit of a fork in the target's repository too."""
    if source is not None and source is not project and project.git.type_of(sha) is None:
        project.git.run("fetch", "--quiet", "--no-tags", str(source.git.path), sha)


def refs_of(project: Project, target_branch: str, head: str) -> Refs:
    """Between what the diff of `head` to a branch lies now. Raises LookupError for a branch that is not there."""
    tip = project.git.branch(target_branch)
    if tip is None:
        raise LookupError(target_branch)
    return Refs(project.git.merge_base(tip, head) or tip, tip, head)


def new_version(state: State, merge_request: MergeRequest, head: str) -> Version:
    """Take a head: a version more, unless nothing changed, and `refs/merge-requests/:iid/head` there."""
    project = merge_request.project
    take(project, merge_request.source, head)
    try:
        refs = refs_of(project, merge_request.target_branch, head)
    except LookupError:  # the target went: the diff is still taken from where it was
        start = merge_request.version.refs.start
        refs = Refs(project.git.merge_base(start, head) or start, start, head)
    merge_request.head = head
    project.git.set_ref(f"refs/merge-requests/{merge_request.iid}/head", head)
    if not merge_request.versions or merge_request.version.refs != refs:
        merge_request.versions.append(Version(state.new_id("version"), refs, state.now()))
    return merge_request.version


def merged_result(state: State, merge_request: MergeRequest, actor: User, *, onto: str | None = None, name: str = "merge") -> str | None:
    """Make `refs/merge-requests/:iid/merge` anew, from the tips of both branches; None, and no ref, when they conflict.

    `onto`: what it is merged into, when that is not the target's tip (a train: the car before). `name`: `train` for a train.
    """
    git = merge_request.project.git
    base = onto or git.branch(merge_request.target_branch)
    ref = f"refs/merge-requests/{merge_request.iid}/{name}"
    tree = git.merge(base, merge_request.head) if base else None
    if base is None or tree is None:
        if git.ref(ref):
            git.delete_ref(ref)
        return None
    known = git.ref(ref)
    if known and git.commit(known).parents == (base, merge_request.head):
        return known
    person = Person(actor.name, actor.email, int(state.seconds()))
    text = f"Merge commit {merge_request.head} into {base}\n"
    sha = git.write_commit(tree, [base, merge_request.head], text, person, person)
    git.set_ref(ref, sha)
    return sha


def conflicts(merge_request: MergeRequest) -> bool:
    """True when it cannot be merged into the tip of its target."""
    git = merge_request.project.git
    tip = git.branch(merge_request.target_branch)
    return tip is None or git.merge(tip, merge_request.head) is None
