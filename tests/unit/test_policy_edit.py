"""What a change of a policy file is told, on each host in its own places."""

from __future__ import annotations

import pytest

from pipeline.policy import FILE, Policy, PolicyEdit, PolicyPlaces, parse_document, policy_edit, read_document
from pipeline.triage.intent import protected_kind

LAX, STRICT = b"gate: {block: never}\n", b"gate: {block: low}\n"
HERE, THERE = PolicyPlaces((".here",), owner_repository=".here"), PolicyPlaces((".there", ".there/conf"), owner_repository="policies")
BARE = PolicyPlaces()


def notes(places: PolicyPlaces, repository: str, path: str) -> tuple[str, ...]:
    before: dict[str, bytes] = {}
    edit = policy_edit(
        places=places,
        repository=repository,
        changed={path},
        base=before.get,
        head={path: LAX}.get,
        in_force=Policy(),
        parent=None,
    )
    return edit.notes


@pytest.mark.parametrize("places", [HERE, THERE, BARE])
def test_its_own_places_are_watched_and_the_first_one_counts(places: PolicyPlaces) -> None:
    for path in places.files:
        (said,) = notes(places, "acme/shop", path)
        assert path in said
        assert "gate.block" in said
    files = dict.fromkeys(places.files, LAX) | {places.files[0]: STRICT}
    assert read_document(places, files.get).where == places.files[0]


def test_a_policy_may_stand_in_the_folders_of_its_host_and_then_at_the_top() -> None:
    assert THERE.files == (".there/fixwright.yml", ".there/conf/fixwright.yml", ".fixwright.yml")
    assert BARE.files == (".fixwright.yml",)


def test_a_place_of_another_host_means_nothing() -> None:
    assert notes(THERE, "acme/shop", ".here/fixwright.yml") == ()
    assert notes(HERE, "acme/shop", ".there/fixwright.yml") == ()


@pytest.mark.parametrize(
    ("places", "repository", "owner"),
    [
        (HERE, "acme/.here", "acme"),
        (THERE, "acme/policies", "acme"),
        (THERE, "acme/web/Policies", "acme/web"),
        (THERE, "acme/policies/shop", ""),
        (THERE, "acme/shop", ""),
        (BARE, "acme/policies", ""),
        (BARE, "acme/", ""),
    ],
)
def test_a_change_of_the_owners_policy_names_whom_it_is_for(places: PolicyPlaces, repository: str, owner: str) -> None:
    said = notes(places, repository, FILE)
    assert [note.partition(" Once")[0] for note in said] == (
        [f"This change edits fixwright.yml, the policy above every repository of {owner}."] if owner else []
    )


def edited(before: bytes | None, after: bytes | None) -> PolicyEdit:
    """Of a group's own policy, below another one."""
    top = parse_document(b"gate: {block: medium}\nallow: [schedule]\n", "acme/policies: fixwright.yml")
    old, new = ({FILE: content} if content is not None else {} for content in (before, after))
    return policy_edit(
        places=THERE,
        repository="acme/web/policies",
        changed={FILE},
        base=old.get,
        head=new.get,
        in_force=Policy(),
        parent=top,
    )


@pytest.mark.parametrize(
    ("before", "after", "would"),
    [
        (b"{}", LAX, "Once merged, everything would stay as it is."),
        (LAX, STRICT, "Once merged: gate.block from medium to low."),
        (STRICT, None, "Once merged: gate.block from low to medium."),
        (None, b"gate: {block: low}\nallow: [schedule, ignore]\n", "Once merged: gate.block from medium to low."),
        (b"allow: [schedule]\n", b"schedule: never\n", 'Once merged: schedule from weekly to never, allow from ["schedule"] to [].'),
        (b"gate: [", LAX, "Once merged, it can be used again."),
    ],
)
def test_a_change_of_a_groups_policy_is_told_what_it_comes_to_under_the_one_above(
    before: bytes | None, after: bytes | None, would: str
) -> None:
    (said, *refused) = edited(before, after).notes
    assert said == f"This change edits fixwright.yml, the policy above every repository of acme/web. {would}"
    if after == LAX:
        assert refused == [
            "fixwright.yml:1: gate.block would loosen what acme/policies: fixwright.yml says and does not allow; the owner's value stands."
        ]
    elif after is not None and b"ignore" in after:
        assert refused == [
            "fixwright.yml:2: acme/policies: fixwright.yml does not allow to loosen ignore; that it is allowed here says nothing."
        ]
    else:
        assert refused == []


@pytest.mark.parametrize("folder", ["", ".here/", "deep/.there/"])
def test_no_fix_touches_a_policy_or_who_owns_the_code(folder: str) -> None:
    for name in ("fixwright.yml", ".fixwright.yml", "CODEOWNERS"):
        assert protected_kind(f"{folder}{name}")
    assert not protected_kind(f"{folder}fixwright.yml.txt")
