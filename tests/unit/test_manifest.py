"""What the App asks for, in five places that must say the same: app.yml, the manifests of both modes, tokens, events, docs/security.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.model.setup import SetupRequest
from providers.github import auth
from providers.github.manifest import FIXER, LONGEST_NAME, NEEDS, OPTIONAL, PERMISSIONS, READER, Mode, asked_events, rights
from providers.github.provider import PROVIDER
from providers.github.receive import EVENTS, EXTRA, READERS, UNASKED
from tests.worlds.github.world import GithubWorld

ROOT = Path(__file__).parents[2]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "app.yml").read_text("utf-8"))
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
STRENGTH = auth.LEVELS
MODES: tuple[Mode, ...] = ("reader", "fixer")
BEYOND_READING = {"PROPOSE", "RESOLVE"}
"""Grants that only a fixer's installation can give; who asks for them copes with a refusal."""

OF_A_TOKEN = {"STATUS"}
"""Grants that are only asked where a person's token stands in for the App."""


def _grants() -> dict[str, auth.Permissions]:
    """What the provider asks for when it makes a token, by the name that it has in `auth`."""
    return {
        name: value
        for name, value in vars(auth).items()
        if re.fullmatch(r"[A-Z_]+", name) and isinstance(value, dict) and set(value.values()) <= {"read", "write", "admin"}
    }


def _form(mode: Mode, **more: str) -> dict[str, Any]:
    """The manifest that `/setup` posts."""
    answers = {"owner": "organization", "organization": "acme", "mode": mode} | more
    base = "https://fixwright.example.com"
    request = SetupRequest(
        answers, base, f"{base}/webhooks/github", f"{base}/setup/github/callback", f"{base}/setup/github/installed", "state"
    )
    setup = PROVIDER.setup
    assert setup is not None
    made: dict[str, Any] = json.loads(setup.form(request).fields["manifest"])
    return made


def _enough(have: auth.Permissions, wanted: auth.Permissions) -> bool:
    return all(STRENGTH[have.get(name, "")] >= STRENGTH[level] for name, level in wanted.items())


# --- the file and what setup makes ---


def test_the_file_is_what_setup_registers_for_a_reader() -> None:
    made = _form("reader")
    assert made["default_permissions"] == MANIFEST["default_permissions"] == dict(READER)
    assert made["default_events"] == MANIFEST["default_events"]
    for name in ("hook_attributes", "redirect_url", "setup_url", "public", "description"):
        assert made[name] == MANIFEST[name]
    assert set(made) == set(MANIFEST)


def test_the_fixer_adds_writing_of_contents_and_nothing_else() -> None:
    assert dict(FIXER) == dict(READER) | {"contents": "write"}
    assert _form("fixer") == _form("reader") | {"default_permissions": dict(FIXER)}


def test_the_events_are_those_that_are_understood() -> None:
    assert sorted(MANIFEST["default_events"]) == sorted(EVENTS) == sorted(asked_events())


def test_each_event_is_allowed_by_a_permission_of_the_reader() -> None:
    """GitHub refuses a manifest that names an event without its permission: then nobody could set up anything."""
    assert set(NEEDS) >= EVENTS, f"say in NEEDS which permission these need: {sorted(EVENTS - set(NEEDS))}"
    assert {event: NEEDS[event] for event in EVENTS if NEEDS[event] not in READER} == {}


def test_no_permission_is_asked_only_for_show() -> None:
    used = {name for grant in _grants().values() for name in grant} | {NEEDS[event] for event in EVENTS}
    assert set(READER) <= used


@pytest.mark.parametrize("mode", MODES)
def test_github_takes_the_manifest(mode: Mode, tmp_path: Path) -> None:
    """The double refuses what GitHub's form refuses: unknown fields, long names, events without their permission."""
    with GithubWorld.start(tmp_path) as world:
        made = _form(mode, organization="a" * 39)
        assert len(made["name"]) <= LONGEST_NAME
        assert world.github.manifests.check(json.dumps(made)) == made


# --- tokens ---


@pytest.mark.parametrize("mode", MODES)
def test_every_token_can_be_had_in_the_mode_that_needs_it(mode: Mode) -> None:
    assert len(_grants()) >= 5
    granted = PERMISSIONS[mode]
    beyond = {name for name, grant in _grants().items() if name not in OF_A_TOKEN and not _enough(granted, grant)}
    optional = {name for name, grant in _grants().items() if set(grant) & set(OPTIONAL)}
    assert beyond - optional == (BEYOND_READING if mode == "reader" else set())
    assert all(_enough(dict(granted) | dict(OPTIONAL), _grants()[name]) for name in optional)


def test_every_grant_is_used() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "providers" / "github").glob("*.py") if path.name != "auth.py")
    assert [name for name in _grants() if not re.search(rf"\b{name}\b", source)] == []


@pytest.mark.parametrize("forbidden", ["workflows", "actions", "administration", "secrets", "members", "organization_secrets"])
def test_what_would_let_us_run_or_own_things_is_never_asked_for(forbidden: str) -> None:
    """Whoever may write workflows may run code with the repository's secrets: no fix needs that."""
    assert all(forbidden not in PERMISSIONS[mode] for mode in MODES)
    assert all(forbidden not in grant for grant in _grants().values())


def test_nothing_is_asked_to_be_administered() -> None:
    assert {level for mode in MODES for level in PERMISSIONS[mode].values()} == {"read", "write"}


def test_deliveries_go_to_our_route_and_the_app_is_private() -> None:
    assert MANIFEST["hook_attributes"]["url"].endswith("/webhooks/github")
    assert MANIFEST["public"] is False


# --- what people read ---


def _rows(heading: str) -> list[list[str]]:
    """The rows of the table whose head begins with a word."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_security_page_names_every_permission_and_what_it_is_for() -> None:
    rows = _rows("permission")
    assert {name.strip("`"): level for name, level, _ in rows} == dict(READER)
    assert all(len(why.split()) > 3 for _, _, why in rows)


def test_the_security_page_names_every_event_with_its_permission() -> None:
    rows = _rows("event")
    assert {name.strip("`"): needs for name, needs, _ in rows} == {event: NEEDS[event] for event in EVENTS}
    assert all(what for _, _, what in rows)


def test_the_page_of_setup_explains_every_permission() -> None:
    for mode in MODES:
        shown = rights(mode)
        assert {right.name: right.level for right in shown} == dict(PERMISSIONS[mode])
        assert all(len(right.why.split()) > 3 for right in shown)


def test_what_is_not_asked_for_is_known_to_be_so() -> None:
    assert {name.partition(".")[0] for name in READERS} == EVENTS | UNASKED | EXTRA
