"""Files by path."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote

from tests.worlds.bare import Entry
from tests.worlds.github.call import Answer, Call, Refused, not_found, operation
from tests.worlds.github.model import Json

LARGEST = 1_000_000
"""Bytes beyond which GitHub leaves the content out (REST, "Get repository content": 1 MB)."""


def _links(call: Call, path: str, commit: str, kind: str, sha: str) -> Json:
    shapes, name = call.github.shapes, quote(path)
    url = f"{shapes.api}/repos/{call.repository.full_name}/contents/{name}?ref={commit}"
    git = f"{shapes.api}/repos/{call.repository.full_name}/git/{'trees' if kind == 'dir' else 'blobs'}/{sha}"
    html = f"{shapes.web}/{call.repository.full_name}/{'tree' if kind == 'dir' else 'blob'}/{commit}/{name}"
    download = f"{shapes.web}/{call.repository.full_name}/raw/{commit}/{name}" if kind == "file" else None
    links = {"self": url, "git": git, "html": html}
    return {"url": url, "html_url": html, "git_url": git, "download_url": download, "_links": links}


def _described(call: Call, entry: Entry, path: str, commit: str) -> Json:
    kind = "dir" if entry.type == "tree" else "submodule" if entry.type == "commit" else "symlink" if entry.mode == "120000" else "file"
    shape = {"name": path.rsplit("/", 1)[-1], "path": path, "sha": entry.sha, "size": entry.size or 0, "type": kind}
    return shape | _links(call, path, commit, kind, entry.sha or "")


def _commit(call: Call) -> str:
    commit = call.repository.git.resolve(call.query.get("ref") or call.repository.default_branch)
    if commit is None:
        raise Refused(404, f"No commit found for the ref {call.query.get('ref', '')}")
    return commit


@operation("GET", "/contents/{path}", "contents:read")
def get_content(call: Call) -> Answer:
    """A file with its content in base64, a folder as a list; `Accept: application/vnd.github.raw` gives the bytes."""
    commit, path, git = _commit(call), call.parameters["path"].strip("/"), call.repository.git
    entry = git.entry(commit, path)
    if entry is None or entry.sha is None:
        raise not_found()
    if entry.type == "tree":
        return Answer(body=[_described(call, child, f"{path}/{child.path}", commit) for child in git.entries(entry.sha)])
    if entry.type == "commit":
        return Answer(body=_described(call, entry, path, commit) | {"submodule_git_url": ""})
    content = git.read_blob(entry.sha)
    if "raw" in call.headers.get("accept", ""):
        return Answer(raw=content)
    shape = _described(call, entry, path, commit)
    if entry.mode == "120000":
        return Answer(body=shape | {"target": content.decode(errors="replace")})
    small = len(content) <= LARGEST
    return Answer(
        body=shape | {"content": base64.encodebytes(content).decode() if small else "", "encoding": "base64" if small else "none"}
    )


@operation("PUT", "/contents/{path}", "contents:write")
def put_content(call: Call) -> Answer:
    """Write one file with a commit. `sha` must be the blob that is there now."""
    path, git = call.parameters["path"], call.repository.git
    branch = call.body.get("branch") or call.repository.default_branch
    head = git.branch(branch)
    if head is None:
        raise Refused(404, f"Branch {branch} not found")
    refuse_workflow(call, path)
    entry = git.entry(head, path)
    if entry is not None and "sha" not in call.body:
        raise Refused(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if entry is not None and entry.sha != call.body["sha"]:
        raise Refused(409, f"{path} does not match {call.body['sha']}")
    try:
        content = base64.b64decode(call.body["content"], validate=False)
    except binascii.Error as error:
        raise Refused(422, "content is not valid Base64") from error
    blob = git.write_blob(content)
    mode = entry.mode if entry else "100644"
    tree = git.write_tree(head, [Entry(mode, path, blob)])
    commit = call.github.actions.host_commit(call.repository, tree, [head], call.body["message"], call.account)
    git.set_ref(f"refs/heads/{branch}", commit, head)
    call.github.actions.look_at_refs(call.repository, call.account)
    shown = _described(call, Entry(mode, path, blob, size=len(content)), path, commit)
    return Answer(200 if entry else 201, {"content": shown, "commit": call.github.shapes.git_commit(call.repository, commit)})


def refuse_workflow(call: Call, path: str) -> None:
    """Workflows need a permission of their own. Raises Refused."""
    if (
        path.startswith(".github/workflows/")
        and call.caller.kind == "installation"
        and not call.caller.may(call.repository, ("workflows:write",))
    ):
        raise Refused(403, "Resource not accessible by integration")
