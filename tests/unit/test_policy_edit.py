"""What a change of a policy file is told, on each host in its own places."""

from __future__ import annotations

import pytest

from pipeline.policy import PARENTS, PLACES, Policy, policy_edit, read_document
from pipeline.triage.intent import protected_kind

LAX, STRICT = b"gate: {block: never}\n", b"gate: {block: low}\n"


def notes(provider: str, repository: str, path: str) -> tuple[str, ...]:
    before: dict[str, bytes] = {}
    edit = policy_edit(
        provider=provider,
        repository=repository,
        changed={path},
        base=before.get,
        head={path: LAX}.get,
        in_force=Policy(),
        parent=None,
    )
    return edit.notes


@pytest.mark.parametrize("provider", PLACES)
def test_its_own_places_are_watched_and_the_first_one_counts(provider: str) -> None:
    for path in PLACES[provider]:
        (said,) = notes(provider, "acme/shop", path)
        assert path in said
        assert "gate.block" in said
    files = dict.fromkeys(PLACES[provider], LAX) | {PLACES[provider][0]: STRICT}
    assert read_document(provider, files.get).where.startswith(PLACES[provider][0])


def test_a_place_of_another_host_means_nothing() -> None:
    assert notes("gitlab", "acme/shop", ".github/fixwright.yml") == ()
    assert notes("github", "acme/shop", ".gitlab/fixwright.yml") == ()


@pytest.mark.parametrize(
    ("provider", "repository", "owner"),
    [
        ("github", "acme/.github", "acme"),
        ("gitlab", "acme/fixwright", "acme"),
        ("gitlab", "acme/web/Fixwright", "acme/web"),
        ("gitlab", "acme/fixwright/shop", ""),
        ("gitlab", "acme/shop", ""),
        ("local", "acme/fixwright", ""),
    ],
)
def test_a_change_of_the_owners_policy_names_whom_it_is_for(provider: str, repository: str, owner: str) -> None:
    said = notes(provider, repository, PARENTS.get(provider, ("", "fixwright.yml"))[1])
    assert [note.partition(" Once")[0] for note in said] == (
        [f"This change edits fixwright.yml, the policy above every repository of {owner}."] if owner else []
    )


@pytest.mark.parametrize("provider", PLACES)
def test_no_fix_touches_a_policy_or_who_owns_the_code(provider: str) -> None:
    for path in (*PLACES[provider], ".gitlab/CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS"):
        assert protected_kind(path)
