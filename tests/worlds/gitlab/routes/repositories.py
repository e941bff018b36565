"""Trees, blobs and comparisons (docs, "Repositories API")."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urlencode

from tests.worlds.bare import Entry
from tests.worlds.gitlab.call import Answer, Call, bad_request, invalid, listed, not_found, operation
from tests.worlds.gitlab.model import Project
from tests.worlds.gitlab.pages import MOST, USUAL
from tests.worlds.gitlab.routes.branches import may_read_code


def tip(call: Call, ref: str | None = None) -> str:
    """The commit that was asked for, the default branch's without a name. Raises Refused."""
    name = ref or call.project.default_branch or "HEAD"
    sha = call.project.git.resolve(name)
    if sha is None:
        raise not_found("Tree")
    return sha


@operation("GET", "/projects/:id/repository/tree")
def tree(call: Call) -> Answer:
    """What a folder holds: folders first when it is not recursive."""
    may_read_code(call)
    sha, path = tip(call, call.given.get("ref")), str(call.given.get("path", "")).strip("/")
    git = call.project.git
    where = f"{sha}:{path}" if path else sha
    if path and git.run("cat-file", "-t", where, may_fail=True).strip() != b"tree":
        raise not_found("invalid revision or path")
    found = [
        Entry(e.mode, f"{path}/{e.path}" if path else e.path, e.sha, e.type, e.size)
        for e in git.entries(where, recursive=call.truth("recursive"))
    ]
    found.sort(key=lambda entry: (entry.type != "tree", entry.path))
    if call.given.get("pagination") != "keyset":
        return listed(found, call.gitlab.shapes.entry)
    return _from_token(call, found)


def _from_token(call: Call, found: list[Entry]) -> Answer:
    """Keyset pages of a tree go on from an entry's own number."""
    token, size = call.given.get("page_token"), max(1, min(MOST, call.integer("per_page") or USUAL))
    start = next((at + 1 for at, entry in enumerate(found) if entry.sha == token), 0)
    page, headers = found[start : start + size], {}
    if start + size < len(found):
        asked = {key: value for key, value in call.given.items() if key != "page_token"} | {"page_token": page[-1].sha, "per_page": size}
        url = f"{call.gitlab.shapes.api}/projects/{call.project.id}/repository/tree"
        headers = {"link": f'<{url}?{urlencode(asked)}>; rel="next"'}
    return Answer(body=[call.gitlab.shapes.entry(entry) for entry in page], headers=headers)


@operation("GET", "/projects/:id/repository/blobs/:sha")
def blob(call: Call) -> Answer:
    """A blob by its number."""
    may_read_code(call)
    if call.project.git.type_of(call.parameters["sha"]) != "blob":
        raise not_found("Blob")
    content = call.project.git.read_blob(call.parameters["sha"])
    shown = {"size": len(content), "encoding": "base64", "content": base64.b64encode(content).decode(), "sha": call.parameters["sha"]}
    return Answer(body=shown)


@operation("GET", "/projects/:id/repository/blobs/:sha/raw")
def raw_blob(call: Call) -> Answer:
    """Its bytes."""
    may_read_code(call)
    if call.project.git.type_of(call.parameters["sha"]) != "blob":
        raise not_found("Blob")
    return Answer(raw=call.project.git.read_blob(call.parameters["sha"]))


@operation("GET", "/projects/:id/repository/compare")
def compare(call: Call) -> Answer:
    """From one commit to another: from their merge base, unless `straight`."""
    may_read_code(call)
    call.need("from", "to")
    git, source = call.project.git, _other(call)
    old, new = source.git.resolve(call.text("from")), git.resolve(call.text("to"))
    if old is None or new is None:
        raise not_found("Ref")
    call.gitlab.actions.fetch_from(call.project, source, old)
    base = old if call.truth("straight") else git.merge_base(old, new)
    return Answer(body=call.gitlab.shapes.compare(call.project, base, old, new, git.commits(old, new)))


def _other(call: Call) -> Project:
    number = call.integer("from_project_id")
    found = call.project if number is None else call.gitlab.state.projects.get(number)
    if found is None or not call.caller.sees(found):
        raise not_found("Project")
    return found


@operation("GET", "/projects/:id/repository/merge_base")
def merge_base(call: Call) -> Answer:
    """The common ancestor of two or more commits."""
    may_read_code(call)
    refs = call.given.get("refs")
    names = refs if isinstance(refs, list) else []
    if len(names) < 2:
        raise bad_request("Provide at least 2 refs")
    shas = [call.project.git.resolve(str(name)) for name in names]
    missing = [str(name) for name, sha in zip(names, shas, strict=True) if sha is None]
    if missing:
        raise bad_request(f"Could not find ref: {', '.join(missing)}")
    base = call.project.git.run("merge-base", *(sha for sha in shas if sha), may_fail=True).decode().strip()
    if not base:
        raise not_found("Merge Base")
    return Answer(body=call.gitlab.shapes.commit(call.project, base))


@operation("GET", "/projects/:id/repository/archive.tar.gz")
def archive(call: Call) -> Answer:
    """All files of a commit, packed."""
    may_read_code(call)
    sha = tip(call, call.given.get("sha"))
    prefix = f"{call.project.path}-{sha}"
    packed = call.project.git.run("archive", "--format=tar.gz", f"--prefix={prefix}/", sha)
    return Answer(raw=packed, headers={"content-type": "application/octet-stream"})


def sha256(content: bytes) -> str:
    """GitLab's `content_sha256`."""
    return hashlib.sha256(content).hexdigest()


def required(call: Call, name: str) -> str:
    """A text that may not be missing or empty. Raises Refused."""
    value = call.given.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"{name} is missing" if value is None else f"{name} is empty")
    return value
