"""Commits and comparisons."""

from __future__ import annotations

from tests.worlds.bare import FileDiff
from tests.worlds.github.call import Answer, Call, Refused, listed, not_found, operation
from tests.worlds.github.model import Repository

MOST_FILES = 300
"""Files that a comparison lists at most (REST, "Compare two commits")."""
MOST_COMMITS = 250
"""Commits that a comparison lists when nobody asks for pages."""


def as_diff(files: tuple[FileDiff, ...]) -> bytes:
    """The media type `application/vnd.github.diff`. Raises Refused beyond 300 files, as GitHub does with `too_large`."""
    if len(files) > MOST_FILES:
        details = [{"resource": "PullRequest", "field": "diff", "code": "too_large"}]
        raise Refused(406, f"Sorry, the diff exceeded the maximum number of files ({MOST_FILES}).", details)
    parts = []
    for file in files:
        old = "/dev/null" if file.status == "added" else f"a/{file.old_path}"
        new = "/dev/null" if file.status == "removed" else f"b/{file.path}"
        head = f"diff --git a/{file.old_path} b/{file.path}\n"
        parts.append(head + (f"--- {old}\n+++ {new}\n{file.patch}\n" if file.patch else ""))
    return "".join(parts).encode(errors="surrogateescape")


def wants_diff(call: Call) -> bool:
    """True when the caller asked for a diff instead of JSON."""
    accepted = call.headers.get("accept", "")
    return "application/vnd.github" in accepted and accepted.split(";")[0].endswith("diff")


@operation("GET", "/commits", "contents:read")
def list_commits(call: Call) -> Answer:
    """History of a branch."""
    start = call.repository.git.resolve(call.query.get("sha") or call.repository.default_branch)
    if start is None:
        raise not_found()
    return listed(call.repository.git.history(start), lambda sha: call.github.shapes.commit(call.repository, sha))


@operation("GET", "/commits/{ref}", "contents:read")
def get_commit(call: Call) -> Answer:
    """One commit with its files."""
    sha = call.repository.git.resolve(call.parameters["ref"])
    if sha is None:
        raise Refused(422, f"No commit found for SHA: {call.parameters['ref']}")
    return Answer(body=call.github.shapes.commit_with_files(call.repository, sha))


@operation("GET", "/commits/{commit_sha}/pulls", "pull_requests:read", "contents:read")
def list_pulls_of_commit(call: Call) -> Answer:
    """Pull requests that contain a commit; this finds those of forks too."""
    sha, git = call.parameters["commit_sha"], call.repository.git
    if git.type_of(sha) != "commit":
        raise Refused(422, f"No commit found for SHA: {sha}")
    pulls = [pull for pull in call.github.state.pulls(call.repository) if sha in git.commits(pull.base_sha, pull.head_sha)]
    return listed(pulls, call.github.shapes.pull_simple)


def _side(call: Call, name: str) -> tuple[Repository, str]:
    """`branch`, `sha`, `owner:branch` or `owner:repository:branch`."""
    *where, ref = name.split(":")
    repository = call.repository
    if where:
        network = [known for known in call.github.state.repositories.values() if call.repository in (known, known.parent)]
        owned = [known for known in network if known.owner.login.lower() == where[0].lower()]
        if not owned:
            raise not_found()
        repository = owned[0]
    sha = repository.git.resolve(ref)
    if sha is None:
        raise not_found()
    if repository is not call.repository:
        call.repository.git.run("fetch", "--quiet", "--no-tags", str(repository.git.path), sha)
    return repository, sha


@operation("GET", "/compare/{basehead}", "contents:read")
def compare(call: Call) -> Answer:
    """Two commits: what the second has beyond their merge base. The files stand on the first page only."""
    base_name, dots, head_name = call.parameters["basehead"].partition("...")
    if not dots:
        raise not_found()
    (_, base), (_, head) = _side(call, base_name), _side(call, head_name)
    repository, git, shapes = call.repository, call.repository.git, call.github.shapes
    common = git.merge_base(base, head)
    if common is None:
        raise Refused(404, f"No common ancestor between {base_name} and {head_name}.")
    files = git.diff(common, head)
    if wants_diff(call):
        return Answer(raw=as_diff(files))
    ahead, behind = git.commits(base, head), git.commits(head, base)
    status = "identical" if base == head else "diverged" if ahead and behind else "ahead" if ahead else "behind"
    url, html = (
        f"{shapes.api}/repos/{repository.full_name}/compare/{base}...{head}",
        f"{shapes.web}/{repository.full_name}/compare/{base}...{head}",
    )
    size, page = min(100, int(call.query.get("per_page", MOST_COMMITS))), int(call.query.get("page", 1))
    size = MOST_COMMITS if "per_page" not in call.query else size
    shown = ahead[(page - 1) * size : page * size]
    body = {
        "url": url,
        "html_url": html,
        "permalink_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": shapes.commit(repository, base),
        "merge_base_commit": shapes.commit(repository, common),
        "status": status,
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": [shapes.commit(repository, sha) for sha in shown],
    }
    if page == 1:
        body["files"] = [shapes.file(repository, head, file) for file in files[:MOST_FILES]]
    return Answer(body=body)
