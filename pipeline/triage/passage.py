"""Does what the flagged statement works with still come from where it came, and does what it gives still arrive where it did? Python,
JavaScript and TypeScript; pure.

`req.body.host` for `req.query.host`, `const { name: city }` for `const { city }`, a promise for what it promises: engines, and tests that
do not reach the line, are content with each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.triage.nodes import CALLS, FUNCTIONS, INDEXED, MEMBERS, called, flat, last_name, owner, shown, string_of
from pipeline.triage.outline import Unit
from pipeline.triage.skeleton import given_to, within
from pipeline.triage.survival import Sides, feeding, flagged_units

REQUEST = re.compile(
    r"(?:^|\.)(?:request|req|ctx|context|event)\.(?:\w+\.)?"
    r"(?P<part>args|form|forms|values|json|cookies|headers|query_params|params|query|body|GET|POST|COOKIES|files|data|queryStringParameters)$"
)
"""A part of a request that has fields."""
_AWAITS = frozenset(["await", "await_expression"])
_AROUND = frozenset(["parenthesized_expression", "non_null_expression", "as_expression"])
_MADE_ANEW = frozenset([22, 79, 327, 328, 330, 338, 377, 611, 798, 916])
"""CWE of weaknesses whose call is replaced by one that gives its value in another way."""


def other_passage(sides: Sides, finding: Finding) -> list[str]:
    """Values that are read from elsewhere, and results that no longer arrive, one sentence each."""
    gone = {id(unit) for unit in sides.removed()}
    flagged = [unit for unit in flagged_units(sides, finding) if id(unit) in gone]
    reasons: list[str] = []
    for scope in sorted({unit.scope for unit in flagged}):
        own = [unit for unit in flagged if unit.scope == scope]
        starts = feeding(sides, own)
        before = [unit for unit in sides.before.units if unit.start in starts and id(unit) in gone]
        added = [unit for unit in sides.added() if not unit.imports and (unit.scope == scope or unit.scope.startswith(f"{scope}."))]
        near = [
            unit
            for unit in sides.after.units
            if unit.scope == scope or scope.startswith(f"{unit.scope}.") or unit.scope.startswith(f"{scope}.")
        ]
        left = [unit for unit in sides.removed() if not unit.imports and (unit.scope == scope or unit.scope.startswith(f"{scope}."))]
        if added:
            reasons += _read_elsewhere(before, near)
            reasons += _unpacked_otherwise(sides, scope)
            if finding.rule.cwe not in _MADE_ANEW:
                reasons += _not_awaited(left, added)
                reasons += _result_lost(left, added)
    return list(dict.fromkeys(reasons))[:3]


# --- what comes in --------------------------------------------------------------------------------------------------------------------


def field_of(node: Node) -> tuple[str, str]:
    """Field and part of the request, as in `("name", "args")`, of `request.args["name"]`, `request.args.get("name")` and `req.query.name`;
    empty ones for anything else."""
    held: Node | None = None
    name = ""
    if node.type in ("member_expression", "attribute"):
        call = node.parent is not None and node.parent.type in CALLS and called(node.parent) == node
        held, name = (None, "") if call else (owner(node), last_name(node))
    elif node.type in ("subscript", "subscript_expression"):
        held = node.child_by_field_name("value") or node.child_by_field_name("object")
        index = node.child_by_field_name("subscript") or node.child_by_field_name("index")
        name = string_of(index) if index is not None else ""
    elif node.type in CALLS:
        target, given = called(node), given_to(node)
        reads = target is not None and last_name(target) in ("get", "getlist", "getAll", "param", "header")
        if target is not None and reads and target.type in MEMBERS and given and given[0].type == "string":
            held, name = owner(target), string_of(given[0])
    part = REQUEST.search(flat(held)) if held is not None and name else None
    return (name, part["part"]) if part is not None else ("", "")


def _unpacked(node: Node) -> Iterator[tuple[str, str, str, str]]:
    """Of `const { a, b: c = 1 } = held`: the local name, the field, the default, and what it is taken out of."""
    pattern, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if node.type == "assignment_expression":
        pattern, value = node.child_by_field_name("left"), node.child_by_field_name("right")
    if pattern is None or value is None or pattern.type != "object_pattern":
        return
    for one in pattern.named_children:
        field, local, fallback = one, one, ""
        if one.type == "pair_pattern":
            key, held = one.child_by_field_name("key"), one.child_by_field_name("value")
            if key is None or held is None:
                continue
            field, local = key, held
        if local.type in ("object_assignment_pattern", "assignment_pattern"):
            left, right = local.child_by_field_name("left"), local.child_by_field_name("right")
            if left is None or right is None:
                continue
            field, local, fallback = (left if field == local else field), left, flat(right)
        yield flat(local), string_of(field) or flat(field), fallback, flat(value)


def _reads(units: Sequence[Unit]) -> Iterator[tuple[str, str]]:
    """Fields of the request, each with its part."""
    for unit in units:
        for node in within(unit):
            if (found := field_of(node))[0]:
                yield found
            for _, field, _, held in _unpacked(node):
                if (part := REQUEST.search(held)) is not None:
                    yield field, part["part"]


def _read_elsewhere(before: Sequence[Unit], near: Sequence[Unit]) -> list[str]:
    now: dict[str, set[str]] = {}
    for field, part in _reads(near):
        now.setdefault(field, set()).add(part)
    return [
        f"`{shown(field)}` is read from `{min(now[field])}` of the request now, which was `{part}`"
        for field, part in sorted(set(_reads(before)))
        if field in now and part not in now[field]
    ]


def _unpacked_otherwise(sides: Sides, scope: str) -> list[str]:
    """Names that hold another field, or something else where there is none."""
    was, now = (
        {found[0]: found[1:] for unit in units if unit.scope == scope for node in within(unit) for found in _unpacked(node)}
        for units in (sides.removed(), sides.added())
    )
    return [
        f"`{shown(name)}` is taken from `{shown(now[name][0])}` now"
        if was[name][0] != now[name][0]
        else f"`{shown(name)}` has a default now"
        for name in sorted(was)
        if name in now and was[name][:2] != now[name][:2]
    ]


# --- what goes out --------------------------------------------------------------------------------------------------------------------


def _not_awaited(before: Sequence[Unit], added: Sequence[Unit]) -> list[str]:
    """A promise where its value was."""
    for unit in before:
        for node in within(unit):
            waited = [one for one in node.named_children if one.type in CALLS] if node.type in _AWAITS else []
            if not waited:
                continue
            calls = [one for other in added for one in within(other) if one.type in CALLS]
            alike = [one for one in calls if _named(one) == _named(waited[0])]
            if alike and not any(_is_awaited(one) for one in alike):
                return [f"`{shown(_named(waited[0]))}` is no longer waited for"]
    return []


def _named(call: Node) -> str:
    target = called(call)
    return last_name(target) if target is not None else ""


def _is_awaited(call: Node) -> bool:
    """Whether its value is waited for here, or handed on for somebody else to wait for."""
    node = call.parent
    while node is not None and node.type in _AROUND | CALLS | MEMBERS | {"arguments", "argument_list"}:
        node = node.parent
    return node is not None and node.type in _AWAITS | FUNCTIONS | {"return_statement", "array", "list"}


def _taken(units: Sequence[Unit]) -> Counter[tuple[str, str]]:
    """Calls and the members that are taken of what they gave: `query` and `rows` of `(await db.query(...)).rows`, and of `found.rows` where
    that holds it."""
    made = {
        flat(name): _named(_bare(value))
        for unit in units
        for node in within(unit)
        if node.type in ("variable_declarator", "assignment", "assignment_expression")
        and (name := node.child_by_field_name("name") or node.child_by_field_name("left")) is not None
        and name.type == "identifier"
        and (value := node.child_by_field_name("value") or node.child_by_field_name("right")) is not None
        and _bare(value).type in CALLS
    }
    found: Counter[tuple[str, str]] = Counter()
    for unit in units:
        for node in within(unit):
            held = (owner(node) or node.child_by_field_name("value")) if node.type in MEMBERS | INDEXED else None
            if held is None or (node.parent is not None and node.parent.type in CALLS and called(node.parent) == node):
                continue
            call = _named(_bare(held)) if _bare(held).type in CALLS else made.get(flat(held), "")
            if call:
                found[call, last_name(node) if node.type in MEMBERS else flat(node)[len(flat(held)) :]] += 1
    return found


def _bare(node: Node) -> Node:
    while node.type in _AROUND | _AWAITS and node.named_children:
        node = node.named_children[0]
    return node


def _result_lost(before: Sequence[Unit], added: Sequence[Unit]) -> list[str]:
    lost = _taken(before) - _taken(added)
    still = {_named(node) for unit in added for node in within(unit) if node.type in CALLS}
    unpacked = {field for unit in added for node in within(unit) for _, field, _, _ in _unpacked(node)}
    return [
        f"`{shown(name)}` of the result is no longer taken"
        for call, name in sorted(lost)
        if call in still and name and name not in unpacked
    ][:1]
