"""Cuts GitHub's official OpenAPI down to what the double answers: schemas without prose.

Makes `openapi/` again from two npm packages (MIT, see `openapi/LICENSE`), fetched into any folder:

    npm pack @octokit/openapi@23.0.2 @octokit/openapi-webhooks@12.1.0
    python -m tests.worlds.github.slice_openapi octokit-openapi-23.0.2.tgz octokit-openapi-webhooks-12.1.0.tgz

The output is a function of the input alone, so that a run from the same packages changes nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# Documents of another program: their shape is checked by JSON Schema, not by our types.
Json = Any

HERE = Path(__file__).parent / "openapi"
REST = HERE / "api.github.com.json.gz"
WEBHOOKS = HERE / "webhooks.json.gz"
MEMBER = "package/generated/api.github.com.json"

_REPO = "/repos/{owner}/{repo}"
OPERATIONS: Mapping[str, str] = {
    "/app": "get",
    "/app-manifests/{code}/conversions": "post",
    "/app/hook/config": "get",
    "/app/hook/deliveries": "get",
    "/app/hook/deliveries/{delivery_id}": "get",
    "/app/hook/deliveries/{delivery_id}/attempts": "post",
    "/app/installations": "get",
    "/app/installations/{installation_id}": "get",
    "/app/installations/{installation_id}/access_tokens": "post",
    "/installation/repositories": "get",
    "/installation/token": "delete",
    "/meta": "get",
    "/rate_limit": "get",
    "/user": "get",
    "/user/repos": "get",
    "/users/{username}": "get",
    "/users/{username}/installation": "get",
    _REPO: "get",
    f"{_REPO}/installation": "get",
    f"{_REPO}/branches": "get",
    f"{_REPO}/branches/{{branch}}": "get",
    f"{_REPO}/check-runs": "post",
    f"{_REPO}/check-runs/{{check_run_id}}": "get patch",
    f"{_REPO}/check-runs/{{check_run_id}}/annotations": "get",
    f"{_REPO}/check-runs/{{check_run_id}}/rerequest": "post",
    f"{_REPO}/check-suites": "post",
    f"{_REPO}/check-suites/{{check_suite_id}}": "get",
    f"{_REPO}/check-suites/{{check_suite_id}}/check-runs": "get",
    f"{_REPO}/collaborators/{{username}}/permission": "get",
    f"{_REPO}/commits": "get",
    f"{_REPO}/commits/{{commit_sha}}/pulls": "get",
    f"{_REPO}/commits/{{ref}}": "get",
    f"{_REPO}/commits/{{ref}}/check-runs": "get",
    f"{_REPO}/commits/{{ref}}/check-suites": "get",
    f"{_REPO}/commits/{{ref}}/status": "get",
    f"{_REPO}/commits/{{ref}}/statuses": "get",
    f"{_REPO}/compare/{{basehead}}": "get",
    f"{_REPO}/contents/{{path}}": "get put",
    f"{_REPO}/git/blobs": "post",
    f"{_REPO}/git/blobs/{{file_sha}}": "get",
    f"{_REPO}/git/commits": "post",
    f"{_REPO}/git/commits/{{commit_sha}}": "get",
    f"{_REPO}/git/matching-refs/{{ref}}": "get",
    f"{_REPO}/git/ref/{{ref}}": "get",
    f"{_REPO}/git/refs": "post",
    f"{_REPO}/git/refs/{{ref}}": "patch delete",
    f"{_REPO}/git/trees": "post",
    f"{_REPO}/git/trees/{{tree_sha}}": "get",
    f"{_REPO}/issues/comments": "get",
    f"{_REPO}/issues/comments/{{comment_id}}": "get patch delete",
    f"{_REPO}/issues/comments/{{comment_id}}/reactions": "get post",
    f"{_REPO}/issues/{{issue_number}}/comments": "get post",
    f"{_REPO}/pulls": "get post",
    f"{_REPO}/pulls/comments": "get",
    f"{_REPO}/pulls/comments/{{comment_id}}": "get patch delete",
    f"{_REPO}/pulls/comments/{{comment_id}}/reactions": "get post",
    f"{_REPO}/pulls/{{pull_number}}": "get patch",
    f"{_REPO}/pulls/{{pull_number}}/comments": "get post",
    f"{_REPO}/pulls/{{pull_number}}/comments/{{comment_id}}/replies": "post",
    f"{_REPO}/pulls/{{pull_number}}/commits": "get",
    f"{_REPO}/pulls/{{pull_number}}/files": "get",
    f"{_REPO}/pulls/{{pull_number}}/merge": "put",
    f"{_REPO}/pulls/{{pull_number}}/reviews": "get post",
    f"{_REPO}/pulls/{{pull_number}}/reviews/{{review_id}}": "get put",
    f"{_REPO}/pulls/{{pull_number}}/reviews/{{review_id}}/comments": "get",
    f"{_REPO}/security-advisories": "get post",
    f"{_REPO}/statuses/{{sha}}": "post",
}
"""Path -> its methods, as GitHub's document writes them."""

EVENTS = (
    "check-run-completed",
    "check-run-created",
    "check-run-requested-action",
    "check-run-rerequested",
    "check-suite-completed",
    "check-suite-requested",
    "check-suite-rerequested",
    "installation-created",
    "installation-deleted",
    "installation-new-permissions-accepted",
    "installation-suspend",
    "installation-unsuspend",
    "installation-repositories-added",
    "installation-repositories-removed",
    "issue-comment-created",
    "issue-comment-edited",
    "member-edited",
    "member-removed",
    "merge-group-checks-requested",
    "merge-group-destroyed",
    "organization-member-removed",
    "ping",
    "pull-request-closed",
    "pull-request-converted-to-draft",
    "pull-request-edited",
    "pull-request-opened",
    "pull-request-ready-for-review",
    "pull-request-reopened",
    "pull-request-review-comment-created",
    "pull-request-review-comment-edited",
    "pull-request-review-submitted",
    "pull-request-review-thread-resolved",
    "pull-request-review-thread-unresolved",
    "pull-request-synchronize",
    "push",
    "repository-archived",
    "repository-deleted",
    "repository-edited",
    "repository-privatized",
    "repository-publicized",
    "repository-renamed",
    "repository-transferred",
    "repository-unarchived",
)
"""Names under `webhooks` in GitHub's webhook document."""

_PROSE = frozenset({"description", "example", "examples", "summary", "externalDocs", "title", "tags", "deprecated", "headers", "links"})
_NAMED = frozenset({"properties", "patternProperties", "schemas", "parameters", "responses", "paths", "webhooks"})
_LITERAL = frozenset({"enum", "required", "default", "const"})


def _without_prose(node: Json, *, names: bool = False) -> Json:
    """A copy that only keeps what a validator reads. `names`: the keys of this object are names, not keywords."""
    if isinstance(node, list):
        return [_without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if not names and (key in _PROSE or key.startswith("x-")):
            continue
        kept[key] = value if key in _LITERAL and not names else _without_prose(value, names=key in _NAMED and not names)
    return kept


def _references(node: Json) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _with_components(document: Json, roots: Json) -> Json:
    """The components that `roots` reach, in a stable order."""
    found: dict[str, dict[str, Json]] = {}
    waiting = list(_references(roots))
    while waiting:
        kind, name = waiting.pop().removeprefix("#/components/").split("/", 1)
        if name in found.get(kind, {}):
            continue
        part = _without_prose(document["components"][kind][name])
        found.setdefault(kind, {})[name] = part
        waiting.extend(_references(part))
    return {kind: dict(sorted(found[kind].items())) for kind in sorted(found)}


def slice_rest(document: Json, operations: Mapping[str, str] = OPERATIONS) -> Json:
    """The named operations and every component that they reach. Raises KeyError for an operation that GitHub does not have."""
    paths: dict[str, Json] = {}
    for path, methods in sorted(operations.items()):
        shared = document["paths"][path].get("parameters")
        paths[path] = {"parameters": _without_prose(shared)} if shared else {}
        for method in methods.split():
            paths[path][method] = _without_prose(document["paths"][path][method])
    _mend(paths)
    return {
        "openapi": document["openapi"],
        "info": {"version": document["info"]["version"]},
        "paths": paths,
        "components": _with_components(document, paths),
    }


def _mend(paths: dict[str, Json]) -> None:
    """One fault of the document: in the list of installations an account must be a user and an enterprise at once, which nothing is.
    Everywhere else (schema `installation`) it is one or the other."""
    if "/app/installations" in paths:
        content = paths["/app/installations"]["get"]["responses"]["200"]["content"]["application/json"]
        account = content["schema"]["items"]["properties"]["account"]
        if "allOf" in account:
            account["anyOf"] = account.pop("allOf")


def slice_webhooks(document: Json, events: Iterable[str] = EVENTS) -> Json:
    """The request body of each named webhook and every component that it reaches."""
    webhooks = {}
    for event in events:
        body = document["webhooks"][event]["post"]["requestBody"]["content"]["application/json"]["schema"]
        webhooks[event] = _without_prose(body)
    return {"openapi": document["openapi"], "webhooks": webhooks, "components": _with_components(document, webhooks)}


def read_package(archive: Path) -> Json:
    """The document inside an npm package."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile(MEMBER)
        if member is None:
            raise FileNotFoundError(MEMBER)
        return json.load(member)


def write(path: Path, document: Json) -> int:
    """Write it packed, the same bytes for the same document. Returns the size in bytes."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0))
    return path.stat().st_size


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rest", type=Path, help="npm package @octokit/openapi")
    parser.add_argument("webhooks", type=Path, help="npm package @octokit/openapi-webhooks")
    arguments = parser.parse_args()
    for path, document in ((REST, slice_rest(read_package(arguments.rest))), (WEBHOOKS, slice_webhooks(read_package(arguments.webhooks)))):
        print(f"{path.name}: {write(path, document)} bytes")


if __name__ == "__main__":
    main()
