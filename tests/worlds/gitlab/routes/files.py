"""Files of a repository (docs, "Repository files API")."""

from __future__ import annotations

import base64

from tests.worlds.gitlab.call import Answer, Call, not_found, operation
from tests.worlds.gitlab.routes.branches import may_read_code
from tests.worlds.gitlab.routes.repositories import required, sha256


def _found(call: Call, ref: str) -> tuple[str, str, bytes, str]:
    """(commit, blob, content, mode) of the file of the path. Raises Refused."""
    may_read_code(call)
    git, path = call.project.git, call.parameters["path"]
    sha = git.resolve(ref)
    if sha is None:
        raise not_found("Commit")
    entry = git.entry(sha, path)
    if entry is None or entry.sha is None or entry.type != "blob":
        raise not_found("File")
    return sha, entry.sha, git.read_blob(entry.sha), entry.mode


@operation("GET", "/projects/:id/repository/files/:path", scopes=("read_repository",))
def file(call: Call) -> Answer:
    """A file with what is known of it."""
    ref = required(call, "ref")
    commit, blob, content, mode = _found(call, ref)
    path = call.parameters["path"]
    last = call.project.git.run("rev-list", "--max-count=1", commit, "--", path).decode().strip()
    shown = {
        "file_name": path.rpartition("/")[2],
        "file_path": path,
        "size": len(content),
        "encoding": "base64",
        "content_sha256": sha256(content),
        "ref": ref,
        "blob_id": blob,
        "commit_id": commit,
        "last_commit_id": last,
        "execute_filemode": mode == "100755",
        "content": base64.b64encode(content).decode(),
    }
    return Answer(body=shown, headers={"x-gitlab-last-commit-id": last, "x-gitlab-blob-id": blob})


@operation("GET", "/projects/:id/repository/files/:path/raw", scopes=("read_repository",))
def raw(call: Call) -> Answer:
    """Its bytes; of the default branch when no ref is given."""
    commit, blob, content, _ = _found(call, str(call.given.get("ref") or call.project.default_branch))
    headers = {"x-gitlab-blob-id": blob, "x-gitlab-commit-id": commit, "content-disposition": "inline"}
    return Answer(raw=content, headers=headers)
