"""Commits, branches, diffs and files (REST: "Commits API", "Branches API", "Repositories API")."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.worlds.bare import NO_COMMIT, Entry, FileDiff
from tests.worlds.gitlab.model import Json, Level, Project
from tests.worlds.gitlab.shapes.base import of_git
from tests.worlds.gitlab.shapes.projects import Projects
from tests.worlds.gitlab.tokens import Caller

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LARGEST_PATCH = 204_800
"""Bytes of one file's diff that are shown (docs, "Diff limits": 200 KB)."""
COLLAPSED_PATCH = LARGEST_PATCH // 10
"""From so many bytes on it is folded up, and empty in the lists of a merge request (docs, "Diff limits": 10% of the largest)."""


class Code(Projects):
    """JSON of what lies in git."""

    last_pipeline: Callable[[Project, str], Json | None] = staticmethod(lambda *_: None)
    """The newest pipeline of a commit, as the pipelines of the double show it."""

    def commit(self, project: Project, sha: str) -> Json:
        """A commit in a list."""
        known = project.git.commit(sha)
        return {
            "id": sha,
            "short_id": sha[:8],
            "created_at": of_git(known.committer.at),
            "parent_ids": list(known.parents),
            "title": known.message.partition("\n")[0],
            "message": known.message,
            "author_name": known.author.name,
            "author_email": known.author.email,
            "authored_date": of_git(known.author.at),
            "committer_name": known.committer.name,
            "committer_email": known.committer.email,
            "committed_date": of_git(known.committer.at),
            "trailers": {},
            "extended_trailers": {},
            "web_url": f"{self.of_project(project)}/-/commit/{sha}",
        }

    def one_commit(self, project: Project, sha: str, *, stats: bool = True) -> Json:
        """A commit by itself."""
        parents = project.git.commit(sha).parents
        files = project.git.diff(parents[0] if parents else EMPTY_TREE, sha) if stats else ()
        added, removed = sum(file.additions for file in files), sum(file.deletions for file in files)
        counted = {"stats": {"additions": added, "deletions": removed, "total": added + removed}} if stats else {}
        pipeline = self.last_pipeline(project, sha)
        status = pipeline["status"] if pipeline else None
        return {**self.commit(project, sha), **counted, "status": status, "project_id": project.id, "last_pipeline": pipeline}

    def branch(self, project: Project, name: str, sha: str, caller: Caller) -> Json:
        """A branch."""
        tip = project.git.branch(project.default_branch) if project.default_branch else None
        push, _ = project.protected.get(name, (Level.DEVELOPER, Level.DEVELOPER))
        return {
            "name": name,
            "commit": self.commit(project, sha),
            "merged": name != project.default_branch and tip is not None and project.git.is_ancestor(sha, tip),
            "protected": name in project.protected,
            "developers_can_push": name in project.protected and push <= Level.DEVELOPER,
            "developers_can_merge": name in project.protected and project.protected[name][1] <= Level.DEVELOPER,
            "can_push": caller.level(project) >= push,
            "default": name == project.default_branch,
            "web_url": f"{self.of_project(project)}/-/tree/{name}",
        }

    def diff(self, file: FileDiff, *, collapsing: bool = False) -> Json:
        """A file of a diff. `collapsing`: what the page would fold up is empty."""
        patch = f"{file.patch}\n" if file.patch else ""
        size = len(patch.encode(errors="replace"))
        large = size >= LARGEST_PATCH
        folded = collapsing and not large and size >= COLLAPSED_PATCH
        return {
            "diff": "" if large or folded else patch,
            "collapsed": folded,
            "too_large": large,
            "new_path": file.path,
            "old_path": file.old_path,
            "a_mode": "0" if file.status == "added" else file.old_mode,
            "b_mode": "0" if file.status == "removed" else file.mode,
            "new_file": file.status == "added",
            "renamed_file": file.status == "renamed",
            "deleted_file": file.status == "removed",
            "generated_file": False,
        }

    def compare(self, project: Project, base: str | None, old: str, new: str, commits: Sequence[str]) -> Json:
        """A comparison; `base` is what the diff is taken from."""
        files = project.git.diff(base or EMPTY_TREE, new)
        return {
            "commit": self.commit(project, commits[-1]) if commits else None,
            "commits": [self.commit(project, sha) for sha in commits],
            "diffs": [self.diff(file) for file in files],
            "compare_timeout": False,
            "compare_same_ref": old == new,
            "web_url": f"{self.of_project(project)}/-/compare/{old}...{new}",
        }

    def entry(self, entry: Entry) -> Json:
        """An entry of a tree."""
        name = entry.path.rpartition("/")[2]
        return {"id": entry.sha or NO_COMMIT, "name": name, "type": entry.type, "path": entry.path, "mode": entry.mode}
