"""Drafts of security advisories, which only administrators of the repository see.

Source: REST, "Create a repository security advisory".
"""

from __future__ import annotations

import secrets

from tests.worlds.github.call import Answer, Call, Refused, listed, operation
from tests.worlds.github.model import Json
from tests.worlds.github.shapes.accounts import when

_LETTERS = "23456789cfghjmpqrvwx"
LONGEST_SUMMARY = 1024


def _name() -> str:
    return "GHSA-" + "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))


def _shown(call: Call, given: Json) -> Json:
    name, shapes = _name(), call.github.shapes
    moment = when(call.github.state.now())
    empty = dict.fromkeys(("cve_id", "published_at", "closed_at", "withdrawn_at", "submission", "cvss", "collaborating_users"))
    html = f"{shapes.web}/{call.repository.full_name}/security/advisories/{name}"
    return empty | {
        "ghsa_id": name,
        "url": f"{shapes.api}/repos/{call.repository.full_name}/security-advisories/{name}",
        "html_url": html,
        "summary": given["summary"],
        "description": given["description"],
        "severity": given.get("severity"),
        "author": None,
        "publisher": None,
        "identifiers": [{"type": "GHSA", "value": name}],
        "state": "draft",
        "created_at": moment,
        "updated_at": moment,
        "vulnerabilities": [
            {"package": {"name": None, "ecosystem": "other"} | v["package"], "vulnerable_version_range": None}
            | {"patched_versions": None, "vulnerable_functions": []}
            for v in given["vulnerabilities"]
        ],
        "cwes": None,
        "cwe_ids": given.get("cwe_ids", []),
        "credits": [],
        "credits_detailed": [],
        "collaborating_teams": None,
        "private_fork": None,
    }


@operation("GET", "/security-advisories", "repository_advisories:read")
def list_advisories(call: Call) -> Answer:
    """Newest first."""
    return listed(call.repository.advisories[::-1], lambda advisory: advisory)


@operation("POST", "/security-advisories", "repository_advisories:write")
def create_advisory(call: Call) -> Answer:
    """A draft."""
    if call.repository.private:
        raise Refused(403, "Repository security advisories are only available in public repositories.")
    if len(call.body["summary"]) > LONGEST_SUMMARY:
        raise Refused(422, "Validation Failed", ["summary is too long"])
    made = _shown(call, call.body)
    call.repository.advisories.append(made)
    return Answer(201, made)
