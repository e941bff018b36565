"""The owner's policy above a repository's own: what the repository may tighten, and what only the owner's permission loosens. Pure.

Owners may lie in each other, as groups on GitLab do: what holds for a repository below a group holds for a group below another one.

As soon as there is an owner's policy, its values are the floor, its defaults included. A value of the repository stands when it is no
looser than the owner's, or when the owner lists its key in `allow`; otherwise the owner's stands, and a sentence says so. Keys of which
no value is tighter than another (labels, reviewers, speaking, tests) are always the repository's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from pipeline.policy.parse import DEFAULTS, PolicyDocument
from pipeline.policy.schema import BlockWord, Ignore, Policy, PolicyScope, laxness


@dataclass(frozen=True, slots=True)
class Effective:
    """The policy in force, and where each of its values comes from."""

    policy: Policy
    source: str = DEFAULTS
    """The files it was made of, for people."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each key stands (`.github/fixwright.yml:3 at 9d1f0aa`); a key that stands nowhere has its default."""
    notes: tuple[str, ...] = ()
    """What the repository's file says and does not get, one sentence each."""
    parent: PolicyDocument | None = None

    def origin(self, key: str) -> str:
        """Where a key, or the nearest part above it that stands somewhere, comes from; `defaults` when nobody says anything."""
        parts = key.split(".")
        while parts:
            found = self.origins.get(".".join(parts))
            if found:
                return found
            parts.pop()
        return DEFAULTS


# --- what is looser, key by key -------------------------------------------------------------------------------------------------------


def _words(*strictest_first: str) -> Callable[[str, str], bool]:
    return lambda parent, child: strictest_first.index(child) > strictest_first.index(parent)


def _rules(parent: Mapping[str, str], child: Mapping[str, str]) -> bool:
    """A rule without a word of its own may block by its severity: it stands between `warn` and `block`."""
    order = {"block": 0, None: 1, "warn": 2, "count": 3}
    return any(order[child.get(rule)] > order[parent.get(rule)] for rule in {*parent, *child})


def _ignores(parent: Iterable[Ignore], child: Iterable[Ignore]) -> bool:
    """Each entry needs one of the owner's that aims at the same and holds as long. One that is over ignores nothing."""

    def covered(entry: Ignore) -> bool:
        last = entry.last_day
        if last is None:
            return True
        aim = (entry.rule, entry.path, entry.finding)
        return any((own.rule, own.path, own.finding) == aim and own.last_day is not None and own.last_day >= last for own in parent)

    parent = tuple(parent)
    return not all(covered(entry) for entry in child)


def _scopes(parent: Policy, child: Policy) -> bool:
    """What blocks somewhere below the owner's policy must block there still, whichever scopes overlap."""
    mark = parent.gate.block

    def lax(scope: PolicyScope) -> bool:
        return scope.block is not None and laxness(scope.block) > laxness(mark)

    def kept(name: str, scope: PolicyScope) -> bool:
        own = child.scopes.get(name)
        return own is not None and set(scope.paths) <= set(own.paths) and _no_laxer(scope.block, own.block)

    def covered(name: str, scope: PolicyScope) -> bool:
        above = parent.scopes.get(name)
        return above is not None and set(scope.paths) <= set(above.paths) and _no_laxer(above.block, scope.block)

    new_lax = {name: scope for name, scope in child.scopes.items() if lax(scope)}
    judged = {name: scope for name, scope in parent.scopes.items() if scope.block is not None}
    if not new_lax:  # what was laxer than the owner's gate may go
        judged = {name: scope for name, scope in judged.items() if not lax(scope)}
    return not (all(kept(*item) for item in judged.items()) and all(covered(*item) for item in new_lax.items()))


def _no_laxer(above: BlockWord | None, below: BlockWord | None) -> bool:
    return above is not None and below is not None and laxness(below) <= laxness(above)


_BLOCK = _words("low", "medium", "high", "critical", "never")
_SEVERITY = _words("low", "medium", "high", "critical")
_CONFIDENCE = _words("low", "medium", "high")
_INCOMPLETE = _words("fail", "warn")
_SCHEDULE = _words("daily", "weekly", "never")

_LOOSER: Mapping[str, Callable[[Policy, Policy], bool]] = {
    "engines.required": lambda p, c: not set(p.engines.required) <= set(c.engines.required),
    "gate.block": lambda p, c: _BLOCK(p.gate.block, c.gate.block),
    "gate.warn": lambda p, c: _SEVERITY(p.gate.warn, c.gate.warn),
    "gate.confidence": lambda p, c: _CONFIDENCE(p.gate.confidence, c.gate.confidence),
    "gate.rules": lambda p, c: _rules(p.gate.rules, c.gate.rules),
    "on_incomplete": lambda p, c: _INCOMPLETE(p.on_incomplete, c.on_incomplete),
    "paths.exclude": lambda p, c: not set(c.paths.exclude) <= set(p.paths.exclude),
    "scopes": _scopes,
    "ignore": lambda p, c: _ignores(p.ignore, c.ignore),
    "schedule": lambda p, c: _SCHEDULE(p.schedule, c.schedule),
    "waivers.days": lambda p, c: c.waivers.days > p.waivers.days,
    "waivers.by_author": lambda p, c: c.waivers.by_author and not p.waivers.by_author,
}

FREE = ("fixes.open", "fixes.labels", "fixes.reviewers", "speak.threads", "tests.command", "tests.timeout")
"""Keys of which no value is tighter than another."""

KEYS = (*_LOOSER, *FREE)
"""Every key that a repository's file can set for itself; `allow` is the owner's."""


def loosens(key: str, parent: Policy, child: Policy) -> bool:
    """Whether a key of `child` lets more pass than the same key of `parent`. Total: False for keys that have no direction."""
    looser = _LOOSER.get(key)
    return looser is not None and looser(parent, child)


# --- putting both together ------------------------------------------------------------------------------------------------------------


def value_of(policy: Policy, key: str) -> Any:  # Any: a key may hold a value of any kind
    """The value of a dotted key."""
    value: Any = policy
    for part in key.split("."):
        value = getattr(value, part)
    return value


def stands_in(policy: Policy, key: str) -> bool:
    """Whether a key was written down, rather than left to its default."""
    part: BaseModel = policy
    *above, last = key.split(".")
    for name in above:
        if name not in part.model_fields_set:
            return False
        part = getattr(part, name)
    return last in part.model_fields_set


def merge(child: PolicyDocument, parent: PolicyDocument | None = None) -> Effective:
    """The policy in force in a repository."""
    if parent is None:
        return Effective(child.policy, child.where, _origins(child, KEYS))
    taken: list[str] = []
    notes: list[str] = []
    for key in KEYS:
        if not stands_in(child.policy, key):
            continue
        if loosens(key, parent.policy, child.policy) and key not in parent.policy.allow:
            notes.append(f"{child.at(key)}: {key} would loosen what {parent.where} says and does not allow; the owner's value stands.")
        else:
            taken.append(key)
    policy = _put_together(child.policy, parent.policy, taken)
    inherited = [key for key in KEYS if key not in taken]
    origins = {**_origins(parent, inherited), **_origins(child, taken)}
    source = parent.where if child.where == DEFAULTS else f"{child.where}, under {parent.where}"
    return Effective(policy, source, origins, tuple(notes), parent)


def under(group: PolicyDocument, above: PolicyDocument) -> tuple[PolicyDocument, tuple[str, ...]]:
    """The policy of a group that lies in another one, as it stands above repositories; and what it says and does not get, in sentences.

    To the policy above it is what a repository's is: it may tighten, and loosen what that one allows. Nor does it allow more: of what may
    be loosened above, the keys that it lists itself; without a list those that it leaves alone.
    """
    effective = merge(group, above)
    own, allowed = group.policy, above.policy.allow
    listed = stands_in(own, "allow")
    kept = tuple(key for key in allowed if (key in own.allow if listed else not stands_in(own, key)))
    beyond = [key for key in own.allow if key not in allowed]
    notes = [f"{group.at('allow')}: {above.where} does not allow to loosen {key}; that it is allowed here says nothing." for key in beyond]
    policy = effective.policy.model_copy(update={"allow": kept})
    where = f"{group.where}, under {above.where}"
    return PolicyDocument(policy, where, origins=effective.origins), (*effective.notes, *notes)


def _put_together(child: Policy, parent: Policy, taken: Iterable[str]) -> Policy:
    values = parent.model_dump(exclude_unset=True)
    for key in taken:
        *above, last = key.split(".")
        part = values
        for name in above:
            part = part.setdefault(name, {})
        value = value_of(child, key)
        part[last] = value
    return Policy.model_validate(values)


def _origins(document: PolicyDocument, keys: Iterable[str]) -> dict[str, str]:
    wanted = {key for key in keys if stands_in(document.policy, key)}
    stands = document.origins or {line: document.at(line) for line in document.lines}
    inside = {line: where for line, where in stands.items() if _key_of(line) in wanted}
    return {**dict.fromkeys(wanted, document.where), **inside}


def _key_of(line: str) -> str:
    """The key to which a line of a file belongs: `ignore.0.reason` to `ignore`."""
    parts = line.split(".")
    return next((".".join(parts[:n]) for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in KEYS), "")
