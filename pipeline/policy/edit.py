"""What a change of a policy file would mean once it is in the base. Nothing of it counts in the change itself. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pipeline.errors import PolicyInvalid
from pipeline.model.review import Remark
from pipeline.policy.difference import differences, say_differences
from pipeline.policy.merge import Effective, merge, under
from pipeline.policy.parse import FILE, PolicyDocument, PolicyPlaces, parse_document, read_document
from pipeline.policy.schema import Policy

Read = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class PolicyEdit:
    """What is to be said of a change that touches a policy file."""

    notes: tuple[str, ...] = ()
    mistakes: tuple[Remark, ...] = ()
    """Lines of the new file that cannot be used."""
    after: Effective | None = None
    """The policy that would be in force in this repository once the change is in the base; None when it stays as it is."""


def policy_edit(
    *,
    places: PolicyPlaces,
    repository: str,
    changed: Collection[str],
    base: Read,
    head: Read,
    in_force: Policy,
    parent: PolicyDocument | None,
) -> PolicyEdit:
    """Read what a change would make of the policy.

    Args:
        places: where policies stand on this host.
        repository: `owner/name`; the owner's policy stands in a repository of its own.
        changed: paths that the change touches.
        base, head: contents of files before and after the change.
        in_force: the policy that judges the change.
        parent: the owner's policy above it; of a group's own, that of the groups that it lies in.
    """
    own = _own_edit(places, changed, head, in_force, parent)
    above = _parent_edit(places, repository, changed, base, head, parent)
    return PolicyEdit((*own.notes, *above.notes), (*own.mistakes, *above.mistakes), own.after)


def _own_edit(places: PolicyPlaces, changed: Collection[str], head: Read, in_force: Policy, parent: PolicyDocument | None) -> PolicyEdit:
    touched = [path for path in places.files if path in changed]
    if not touched:
        return PolicyEdit()
    said = f"This change edits {' and '.join(touched)}; the policy of the base is in force here."
    try:
        after = merge(read_document(places, head), parent)
    except PolicyInvalid as error:
        broken = f"{error.path}:{error.line}: {error.message}. Merged like this, it could not be used."
        return PolicyEdit((said, broken), _mistakes(error))
    different = differences(in_force, after.policy)
    would = f"Once merged: {say_differences(different)}." if different else "Once merged, everything would stay as it is."
    return PolicyEdit((f"{said} {would}", *after.notes), (), after if different else None)


def _parent_edit(
    places: PolicyPlaces, repository: str, changed: Collection[str], base: Read, head: Read, parent: PolicyDocument | None
) -> PolicyEdit:
    name, path = places.owner_repository, FILE
    owner, _, own_name = repository.rpartition("/")
    if not name or own_name.lower() != name or path not in changed:
        return PolicyEdit()
    said = f"This change edits {path}, the policy above every repository of {owner}."
    try:
        new, notes = _as_floor(head(path), parent)
    except PolicyInvalid as error:
        error.path = path
        return PolicyEdit((said, f"{path}:{error.line}: {error.message}. Merged like this, it could not be used."), _mistakes(error))
    try:
        old, _ = _as_floor(base(path), parent)
    except PolicyInvalid:
        return PolicyEdit((f"{said} Once merged, it can be used again.", *notes))
    different = differences(old, new)
    would = f"Once merged: {say_differences(different)}." if different else "Once merged, everything would stay as it is."
    return PolicyEdit((f"{said} {would}", *notes))


def _as_floor(content: bytes | None, parent: PolicyDocument | None) -> tuple[Policy, tuple[str, ...]]:
    """What an owner's file comes to above repositories, and what it says and does not get. Raises PolicyInvalid."""
    if content is None:
        return (Policy() if parent is None else parent.policy), ()
    document = parse_document(content, FILE)
    if parent is None:
        return document.policy, ()
    group, notes = under(document, parent)
    return group.policy, notes


def _mistakes(error: PolicyInvalid) -> tuple[Remark, ...]:
    return tuple(Remark(error.path, max(1, one.line), one.message) for one in (error, *error.others))
