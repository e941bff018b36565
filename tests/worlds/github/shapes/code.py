"""Commits, trees, diffs and comparisons: all from git."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tests.worlds.bare import Entry, FileDiff, Person
from tests.worlds.github.model import Account, Json, Repository
from tests.worlds.github.shapes.accounts import AccountShapes, when

PATCH_LINES = 3000
"""Lines of a file's patch beyond which GitHub leaves the patch out."""


class CodeShapes(AccountShapes):
    """JSON of what git holds."""

    def _named(self, person: Person) -> Json:
        return {"name": person.name, "email": person.email, "date": when(datetime.fromtimestamp(person.at, UTC))}

    def _account_of(self, person: Person) -> Account | None:
        """GitHub finds the account by the address of the commit."""
        return next(
            (account for account in self.state.accounts.values() if person.email in (account.email, f"{account.login}@example.com")), None
        )

    def verification(self, repository: Repository, sha: str) -> Json:
        """`verification`: commits that the host made itself are signed by it."""
        signature = repository.verified.get(sha)
        payload = f"tree {repository.git.commit(sha).tree}\n" if signature else None
        at = when(datetime.fromtimestamp(repository.git.commit(sha).committer.at, UTC)) if signature else None
        reason = "valid" if signature else "unsigned"
        return {"verified": signature is not None, "reason": reason, "signature": signature, "payload": payload, "verified_at": at}

    def git_commit(self, repository: Repository, sha: str) -> Json:
        """`git-commit`: the bare object."""
        commit, url = repository.git.commit(sha), f"{self.api}/repos/{repository.full_name}"
        html = f"{self.web}/{repository.full_name}/commit"
        return {
            "sha": sha,
            "node_id": f"C_kwDO{sha}",
            "url": f"{url}/git/commits/{sha}",
            "html_url": f"{html}/{sha}",
            "author": self._named(commit.author),
            "committer": self._named(commit.committer),
            "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
            "message": commit.message.rstrip("\n"),
            "parents": [{"sha": parent, "url": f"{url}/git/commits/{parent}", "html_url": f"{html}/{parent}"} for parent in commit.parents],
            "verification": self.verification(repository, sha),
        }

    def commit(self, repository: Repository, sha: str) -> Json:
        """`commit`: with the accounts behind it."""
        bare, url = self.git_commit(repository, sha), f"{self.api}/repos/{repository.full_name}"
        commit = repository.git.commit(sha)
        author, committer = self._account_of(commit.author), self._account_of(commit.committer)
        return {
            "sha": sha,
            "node_id": bare["node_id"],
            "commit": {key: bare[key] for key in ("author", "committer", "message", "tree", "url", "verification")} | {"comment_count": 0},
            "url": f"{url}/commits/{sha}",
            "html_url": bare["html_url"],
            "comments_url": f"{url}/commits/{sha}/comments",
            "author": self.user(author) if author else None,
            "committer": self.user(committer) if committer else None,
            "parents": [parent | {"url": f"{url}/commits/{parent['sha']}"} for parent in bare["parents"]],
        }

    def commit_with_files(self, repository: Repository, sha: str) -> Json:
        """`commit` as one GET of it gives: with its diff to the first parent."""
        commit = repository.git.commit(sha)
        empty_tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        files = repository.git.diff(commit.parents[0] if commit.parents else empty_tree, sha)
        added, removed = sum(file.additions for file in files), sum(file.deletions for file in files)
        stats = {"total": added + removed, "additions": added, "deletions": removed}
        return self.commit(repository, sha) | {"stats": stats, "files": [self.file(repository, sha, file) for file in files[:300]]}

    def file(self, repository: Repository, sha: str, file: FileDiff) -> Json:
        """`diff-entry`."""
        html, name = f"{self.web}/{repository.full_name}", quote(file.path, errors="surrogateescape")
        shape: Json = {
            "sha": file.blob,
            "filename": file.path.encode(errors="surrogateescape").decode(errors="replace"),
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": f"{html}/blob/{sha}/{name}",
            "raw_url": f"{html}/raw/{sha}/{name}",
            "contents_url": f"{self.api}/repos/{repository.full_name}/contents/{name}?ref={sha}",
        }
        if file.patch is not None and file.patch.count("\n") < PATCH_LINES:
            shape["patch"] = file.patch
        if file.status == "renamed":
            shape["previous_filename"] = file.old_path
        return shape

    def reference(self, repository: Repository, name: str, sha: str) -> Json:
        """`git-ref`."""
        url, kind = f"{self.api}/repos/{repository.full_name}/git", repository.git.type_of(sha)
        pointed = {"type": kind, "sha": sha, "url": f"{url}/{kind}s/{sha}"}
        return {"ref": name, "node_id": f"REF_{name}", "url": f"{url}/{name}", "object": pointed}

    def tree(self, repository: Repository, sha: str, entries: list[Entry]) -> Json:
        """`git-tree`."""
        url = f"{self.api}/repos/{repository.full_name}/git"
        listed: list[Json] = []
        for entry in entries:
            item: Json = {
                "path": entry.path,
                "mode": entry.mode,
                "type": entry.type,
                "sha": entry.sha,
                "url": f"{url}/{entry.type}s/{entry.sha}",
            }
            listed.append(item | ({"size": entry.size} if entry.size is not None else {}))
        return {"sha": sha, "url": f"{url}/trees/{sha}", "tree": listed, "truncated": False}

    def branch(self, repository: Repository, name: str, sha: str, *, whole: bool) -> Json:
        """`short-branch`, or `branch-with-protection`."""
        url = f"{self.api}/repos/{repository.full_name}"
        if not whole:
            return {"name": name, "commit": {"sha": sha, "url": f"{url}/commits/{sha}"}, "protected": False}
        protection: Json = {"enabled": False, "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []}}
        links = {"self": f"{url}/branches/{name}", "html": f"{self.web}/{repository.full_name}/tree/{name}"}
        shape: dict[str, Any] = {"name": name, "commit": self.commit(repository, sha), "_links": links, "protected": False}
        return shape | {"protection": protection, "protection_url": f"{url}/branches/{name}/protection"}
