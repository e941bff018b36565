"""Objects and refs of git."""

from __future__ import annotations

import base64
import binascii
import posixpath
from datetime import datetime

from tests.worlds.bare import NO_COMMIT, Entry, GitFailed, Person
from tests.worlds.github.actions import HOST
from tests.worlds.github.call import Answer, Call, Refused, invalid, listed, not_found, operation
from tests.worlds.github.model import Json
from tests.worlds.github.routes.contents import refuse_workflow

LARGEST_BLOB = 100_000_000
"""Bytes that the API gives back of a blob (REST, "Get a blob")."""


@operation("POST", "/git/blobs", "contents:write")
def create_blob(call: Call) -> Answer:
    """Store a blob, given as text or base64."""
    content: bytes = call.body["content"].encode()
    if call.body.get("encoding", "utf-8") == "base64":
        try:
            content = base64.b64decode(content)
        except binascii.Error as error:
            raise Refused(422, "content is not valid Base64") from error
    sha = call.repository.git.write_blob(content)
    return Answer(201, {"sha": sha, "url": f"{call.github.shapes.api}/repos/{call.repository.full_name}/git/blobs/{sha}"})


@operation("GET", "/git/blobs/{file_sha}", "contents:read")
def get_blob(call: Call) -> Answer:
    """A blob in base64, or its bytes for `Accept: application/vnd.github.raw`."""
    sha = call.parameters["file_sha"]
    if call.repository.git.type_of(sha) != "blob":
        raise not_found()
    content = call.repository.git.read_blob(sha)
    if len(content) > LARGEST_BLOB:
        raise Refused(403, "This API returns blobs up to 100 MB in size.", [{"resource": "Blob", "field": "data", "code": "too_large"}])
    if "raw" in call.headers.get("accept", ""):
        return Answer(raw=content)
    url = f"{call.github.shapes.api}/repos/{call.repository.full_name}/git/blobs/{sha}"
    text = base64.encodebytes(content).decode()
    return Answer(body={"sha": sha, "node_id": f"B_kwDO{sha}", "size": len(content), "url": url, "content": text, "encoding": "base64"})


@operation("GET", "/git/trees/{tree_sha}", "contents:read")
def get_tree(call: Call) -> Answer:
    """A tree by its own name or that of a commit or branch; `recursive`, whatever its value, goes down."""
    git, name = call.repository.git, call.parameters["tree_sha"]
    commit = git.resolve(name)
    sha = git.commit(commit).tree if commit else name if git.type_of(name) == "tree" else None
    if sha is None:
        raise not_found()
    return Answer(body=call.github.shapes.tree(call.repository, sha, git.entries(sha, recursive="recursive" in call.query)))


@operation("POST", "/git/trees", "contents:write")
def create_tree(call: Call) -> Answer:
    """A tree from `base_tree` and changes: text, a blob, or null to remove."""
    git, base = call.repository.git, call.body.get("base_tree")
    if base is not None and git.type_of(base) not in ("tree", "commit"):
        raise Refused(404, "Not Found")
    if not call.body["tree"]:
        raise Refused(422, "Invalid tree info")
    entries = [_entry(call, item) for item in call.body["tree"]]
    try:
        tree = git.write_tree(base, entries)
    except GitFailed as error:
        raise Refused(422, "tree.path contains a malformed path component") from error
    return Answer(201, call.github.shapes.tree(call.repository, tree, git.entries(tree)))


def _entry(call: Call, item: Json) -> Entry:
    path, mode = item.get("path", ""), item.get("mode", "")
    if not path or posixpath.isabs(path) or any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")):
        raise Refused(422, "tree.path contains a malformed path component")
    if "content" in item and "sha" in item:
        raise Refused(422, "Must supply either tree.sha or tree.content, but not both.")
    refuse_workflow(call, path)
    if "content" in item:
        return Entry(mode or "100644", path, call.repository.git.write_blob(item["content"].encode()))
    if "sha" not in item:
        raise Refused(422, "Must supply tree.sha or tree.content.")
    if item["sha"] is None:
        return Entry(mode or "100644", path, None)
    kind = call.repository.git.type_of(item["sha"])
    if kind is None and mode != "160000":
        raise Refused(422, f"tree.sha {item['sha']} is not a valid {item.get('type', 'blob')}")
    return Entry(mode or "100644", path, item["sha"], kind or "commit")


@operation("GET", "/git/commits/{commit_sha}", "contents:read")
def get_commit(call: Call) -> Answer:
    """A commit object."""
    sha = call.parameters["commit_sha"]
    if call.repository.git.type_of(sha) != "commit":
        raise not_found()
    return Answer(body=call.github.shapes.git_commit(call.repository, sha))


@operation("POST", "/git/commits", "contents:write")
def create_commit(call: Call) -> Answer:
    """A commit object. An app that names neither author nor committer gets it signed by the host ("Signature verification for bots")."""
    git, tree, parents = call.repository.git, call.body["tree"], call.body.get("parents", [])
    if git.type_of(tree) != "tree":
        raise Refused(422, "Tree SHA does not exist")
    if any(git.type_of(parent) != "commit" for parent in parents):
        raise Refused(422, "Parent SHA does not exist or is not a commit object")
    bot = call.caller.kind == "installation" and not call.body.keys() & {"author", "committer", "signature"}
    if bot:
        sha = call.github.actions.host_commit(call.repository, tree, parents, call.body["message"], call.account)
    else:
        author = _person(call, call.body.get("author"), (call.account.login, call.account.email))
        committer = _person(call, call.body.get("committer"), (author.name, author.email) if "author" in call.body else HOST)
        sha = git.write_commit(tree, parents, call.body["message"], author, committer, signature=call.body.get("signature") or "")
    return Answer(201, call.github.shapes.git_commit(call.repository, sha))


def _person(call: Call, given: Json | None, default: tuple[str, str]) -> Person:
    now = int(call.github.state.seconds())
    if given is None:
        return Person(*default, now)
    try:
        at = int(datetime.fromisoformat(given["date"]).timestamp()) if "date" in given else now
    except ValueError as error:
        raise Refused(422, "Invalid request.\n\nFor 'properties/date', the value is not a date.") from error
    return Person(given.get("name", default[0]), given.get("email", default[1]), at)


@operation("GET", "/git/ref/{ref}", "contents:read")
def get_ref(call: Call) -> Answer:
    """One ref by its exact name without `refs/`."""
    name = f"refs/{call.parameters['ref']}"
    sha = call.repository.git.ref(name)
    if sha is None:
        raise not_found()
    return Answer(body=call.github.shapes.reference(call.repository, name, sha))


@operation("GET", "/git/matching-refs/{ref}", "contents:read")
def list_refs(call: Call) -> Answer:
    """Refs that begin so; none is an empty list."""
    start = f"refs/{call.parameters['ref']}"
    found = sorted((name, sha) for name, sha in call.repository.git.refs().items() if name.startswith(start))
    return listed(found, lambda item: call.github.shapes.reference(call.repository, *item))


@operation("POST", "/git/refs", "contents:write")
def create_ref(call: Call) -> Answer:
    """A new ref; 422 when there is one of that name."""
    git, name, sha = call.repository.git, call.body["ref"], call.body["sha"]
    if not git.valid_ref(name) or name.startswith("refs/pull/"):
        raise Refused(422, "Reference name is not valid" if name.startswith("refs/") else "Reference name must start with 'refs/'.")
    if git.type_of(sha) is None or (name.startswith("refs/heads/") and git.type_of(sha) != "commit"):
        raise Refused(422, "Object does not exist")
    if git.ref(name) is not None:
        raise Refused(422, "Reference already exists")
    try:
        git.set_ref(name, sha, NO_COMMIT)
    except GitFailed as error:  # a/b beside a
        raise Refused(422, "Reference update failed") from error
    call.github.actions.look_at_refs(call.repository, call.account)
    return Answer(201, call.github.shapes.reference(call.repository, name, sha))


@operation("PATCH", "/git/refs/{ref}", "contents:write")
def update_ref(call: Call) -> Answer:
    """Move a ref; only with `force` to a commit that does not contain the old one."""
    git, name, sha = call.repository.git, f"refs/{call.parameters['ref']}", call.body["sha"]
    old = git.ref(name)
    if old is None:
        raise Refused(422, "Reference does not exist")
    if git.type_of(sha) is None:
        raise Refused(422, "Object does not exist")
    if not call.body.get("force", False) and not git.is_ancestor(old, sha):
        raise Refused(422, "Update is not a fast forward")
    if name.removeprefix("refs/heads/") in call.repository.protected:
        raise Refused(422, "Repository rule violations found\n\nChanges must be made through a pull request.\n\n")
    git.set_ref(name, sha, old)
    call.github.actions.look_at_refs(call.repository, call.account)
    return Answer(200, call.github.shapes.reference(call.repository, name, sha))


@operation("DELETE", "/git/refs/{ref}", "contents:write")
def delete_ref(call: Call) -> Answer:
    """Remove a ref."""
    name = f"refs/{call.parameters['ref']}"
    if call.repository.git.ref(name) is None:
        raise invalid("Reference", "ref", "Reference does not exist")
    call.repository.git.delete_ref(name)
    call.github.actions.look_at_refs(call.repository, call.account)
    return Answer(204)
