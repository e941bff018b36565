"""Repositories of an installation: which there are, how they are now, and what is open in them.

Sources: docs REST "List repositories accessible to the app installation", "Get a repository", "Get a branch", "List pull requests",
"Get repository content", "Create a repository security advisory".
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace

from pydantic import model_validator

from pipeline.errors import HostForbidden, HostGarbage, HostNotFound
from pipeline.model.event import OpenPullRequest
from pipeline.model.ids import CommitId
from pipeline.model.report import AdvisoryDraft
from pipeline.model.target import PullRequestRef, SourceRepository
from pipeline.payloads import Sha
from pipeline.ports import PolicyFile
from providers.github.api import Api, repository_path
from providers.github.auth import ADVISE, CLONE, METADATA, READ
from providers.github.client import Answer, path

PARENT_REPOSITORY, PARENT_FILE = ".github", "fixwright.yml"
"""Where an owner's policy stands: GitHub's own place for an organization's defaults."""

MAX_POLICY = 64 * 1024
"""Bytes; see `pipeline.policy.MAX_BYTES`."""


NO_POLICY = b"\0"
"""Stands for something that cannot be a policy: whoever parses it says so, and nothing is in force by mistake."""


class _RepositoryAnswer(Answer):
    id: int
    full_name: str
    default_branch: str = ""
    clone_url: str
    private: bool = True
    archived: bool = False


class _Tip(Answer):
    sha: Sha


class _Branch(Answer):
    commit: _Tip


class _Side(Answer):
    sha: Sha
    ref: str


class _OpenPull(Answer):
    number: int
    head: _Side
    base: _Side
    draft: bool = False


class _Content(Answer):
    type: str = ""
    encoding: str = ""
    content: str = ""
    size: int = 0

    @model_validator(mode="before")
    @classmethod
    def _folder(cls, given: object) -> object:
        """Of a folder GitHub gives a list."""
        return {"type": "dir"} if isinstance(given, list) else given


class _Advisory(Answer):
    html_url: str


def repositories(api: Api, instance: str) -> Sequence[SourceRepository]:
    """All of them, in GitHub's order. Those of a person's token are the ones in which he has a role."""
    if api.sign_in.app_id or api.bot_login().endswith("[bot]"):
        listed = api.everything(METADATA, path("installation", "repositories", per_page=100), _RepositoryAnswer, inside="repositories")
    else:
        listed = api.everything(METADATA, path("user", "repos", per_page=100), _RepositoryAnswer, inside=None)
    return [_source(found, instance, api.sign_in.installation) for found in listed]


def describe(api: Api, repository: SourceRepository, *, repeats: bool = False) -> SourceRepository:
    """By its number: a name can meanwhile belong to another one. Raises HostNotFound."""
    found = api.get(repository, CLONE, f"/repositories/{int(repository.external_id)}", _RepositoryAnswer, repeats=repeats)
    return replace(
        repository,
        full_name=found.full_name,
        default_branch=found.default_branch,
        clone_url=found.clone_url,
        private=found.private,
        archived=found.archived,
    )


def find(api: Api, instance: str, full_name: str) -> SourceRepository:
    """By its name, as people give it. Raises HostNotFound."""
    owner, _, name = full_name.partition("/")
    if not owner or not name or "/" in name:
        raise HostNotFound(f"'{full_name}' is no repository's name", hint="write OWNER/REPOSITORY")
    return _source(api.get_named(name, METADATA, path("repos", owner, name), _RepositoryAnswer), instance, api.sign_in.installation)


def tip(api: Api, repository: SourceRepository, branch: str, *, repeats: bool = False) -> CommitId:
    """Raises HostNotFound, also for an empty repository."""
    if not branch:
        raise HostNotFound(f"{repository.full_name} has no branch without a name")
    return CommitId(api.get(repository, CLONE, repository_path(repository, "branches", branch), _Branch, repeats=repeats).commit.sha)


def open_pull_requests(api: Api, repository: SourceRepository) -> Sequence[OpenPullRequest]:
    """Newest first."""
    address = repository_path(repository, "pulls", state="open", sort="created", direction="desc", per_page=100)
    return [
        OpenPullRequest(PullRequestRef(repository, p.number), CommitId(p.head.sha), p.base.ref, p.draft)
        for p in api.pages(repository, READ, address, _OpenPull, repeats=True)
    ]


def policy_parent(api: Api, repository: SourceRepository) -> PolicyFile | None:
    """`fixwright.yml` of the owner's repository `.github`, when the App is installed there or it is public."""
    owner = repository.full_name.partition("/")[0]
    parent = replace(repository, full_name=f"{owner}/{PARENT_REPOSITORY}")
    if parent.full_name.lower() == repository.full_name.lower():
        return None  # it is ruled by itself
    address = repository_path(parent, "contents", PARENT_FILE)
    try:
        try:
            found = api.get_named(PARENT_REPOSITORY, CLONE, address, _Content)
        except (HostForbidden, HostNotFound):  # the App is not installed there; everybody may read it when it is public
            found = api.get(repository, CLONE, address, _Content)
    except (HostNotFound, HostForbidden):
        return None
    where = f"{parent.full_name}: {PARENT_FILE}"
    if found.type != "file" or found.encoding != "base64" or found.size > MAX_POLICY:
        return PolicyFile(NO_POLICY, where)
    try:
        return PolicyFile(b64decode("".join(found.content.split()), validate=True), where)
    except ValueError as error:  # also where it is no ASCII
        raise HostGarbage(f"GitHub's answer with {where} is not what it documents: content ({type(error).__name__})") from None


def draft_advisory(api: Api, repository: SourceRepository, draft: AdvisoryDraft) -> str:
    """Raises HostForbidden when the App has no such permission, or the repository is not public."""
    body = {
        "summary": draft.summary,
        "description": draft.description,
        "severity": draft.severity,
        "cwe_ids": list(draft.cwe),
        "vulnerabilities": [{"package": {"ecosystem": "other", "name": repository.full_name}}],
    }
    return api.send(repository, ADVISE, "POST", repository_path(repository, "security-advisories"), body, _Advisory).html_url


def _source(found: _RepositoryAnswer, instance: str, installation: str) -> SourceRepository:
    return SourceRepository(
        provider="github",
        instance=instance,
        external_id=str(found.id),
        full_name=found.full_name,
        default_branch=found.default_branch,
        clone_url=found.clone_url,
        private=found.private,
        installation=installation,
    )
