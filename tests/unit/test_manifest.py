"""The manifest of the GitHub App asks for what the code uses, and for nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from providers.github import auth
from providers.github.receive import EVENTS

ROOT = Path(__file__).parents[2]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "app.yml").read_text("utf-8"))

UNASKED = {"installation", "installation_repositories"}
"""Every App is told of these; a manifest that names them is refused (docs "Registering a GitHub App from a manifest")."""

STRENGTH = {"read": 0, "write": 1, "admin": 2}


def _grants() -> dict[str, auth.Permissions]:
    """What the provider asks for when it makes a token, by the name that it has in `auth`."""
    return {
        name: value
        for name, value in vars(auth).items()
        if re.fullmatch(r"[A-Z_]+", name) and isinstance(value, dict) and set(value.values()) <= set(STRENGTH)
    }


def test_the_events_are_those_that_are_understood() -> None:
    assert sorted(MANIFEST["default_events"]) == sorted(EVENTS - UNASKED)


def test_the_permissions_are_those_that_tokens_are_asked_for() -> None:
    needed: dict[str, str] = {}
    for grant in _grants().values():
        for what, how in grant.items():
            needed[what] = max(needed.get(what, "read"), how, key=STRENGTH.__getitem__)
    assert len(_grants()) >= 5
    assert MANIFEST["default_permissions"] == needed


def test_every_grant_is_used() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "providers" / "github").glob("*.py") if path.name != "auth.py")
    assert [name for name in _grants() if not re.search(rf"\b{name}\b", source)] == []


@pytest.mark.parametrize("forbidden", ["workflows", "actions", "administration", "secrets", "members", "organization_secrets"])
def test_what_would_let_us_run_or_own_things_is_never_asked_for(forbidden: str) -> None:
    """Whoever may write workflows may run code with the repository's secrets: no fix needs that."""
    assert forbidden not in MANIFEST["default_permissions"]
    assert all(forbidden not in grant for grant in _grants().values())


def test_only_what_fixes_need_is_written() -> None:
    written = {what for what, how in MANIFEST["default_permissions"].items() if how != "read"}
    assert written == {"contents", "checks", "pull_requests", "issues"}
    assert "admin" not in MANIFEST["default_permissions"].values()


def test_deliveries_go_to_our_route() -> None:
    assert MANIFEST["hook_attributes"]["url"].endswith("/webhooks/github")
    assert MANIFEST["public"] is False


def test_the_security_page_names_every_permission_and_what_it_is_for() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| (read|write) \| (.+) \|$", page, re.MULTILINE)
    assert {name: how for name, how, _ in rows} == MANIFEST["default_permissions"]
    assert all(len(why.split()) > 3 for _, _, why in rows)
