"""Does the check that a patch adds keep out what it shall keep out? One that is turned round lets everything through, and engines, which
see that there is a check, are content. So its condition is worked out twice, for what comes from outside and for what belongs here.

For addresses (CWE 601) and paths (CWE 22), in Python, JavaScript and TypeScript; what nobody can tell is left open. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.triage.nodes import CALLS, LEAVING, called, flat, last_name, names_in, operator, owner, string_of, walk
from pipeline.triage.options import READ, bare_folder, folders_before
from pipeline.triage.outline import Unit
from pipeline.triage.skeleton import Scope, given_to, within
from pipeline.triage.survival import Sides, flagged_units

_PATH, _ADDRESS = 22, 601

Answer = tuple[bool | None, bool | None]
"""What a condition says of something foreign and of something of one's own; None when that cannot be told."""

_OPEN: Answer = (None, None)
_FOREIGN: Answer = (True, False)
_OWN: Answer = (False, True)

_PARTS = frozenset(["netloc", "scheme", "hostname", "host", "origin", "protocol"])
_SAFE = re.compile(r"(?i)^(_?is_?|has_?)?(safe|allowed|local|valid|trusted|same|relative|internal)\w*$|^url_has_allowed_host_and_scheme$")
_RESOLVING = re.compile(r"realpath|abspath|normpath|\.resolve\(|path\.resolve\(|\.normalize\(")
_DECLARING = frozenset(["abort", "exit", "fail", "sendStatus", "status", "send", "end", "json", "next"])
_RELATED = frozenset(["commonpath", "is_relative_to"])
"""Tests of a path that the rule's residue takes for a check wherever they stand."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The function in which the checks stand."""

    cwe: int
    scope: Scope
    sinks: frozenset[str]
    folders: frozenset[str]


def useless_guards(sides: Sides, finding: Finding) -> list[str]:
    """Checks in added code that let through what is foreign, one sentence each."""
    if finding.rule.cwe not in (_PATH, _ADDRESS) or sides.edit.path != finding.location.path or not sides.edit.path.endswith(READ):
        return []
    flagged = flagged_units(sides, finding)
    reasons: list[str] = []
    come = sides.added()
    for name in sorted({unit.scope for unit in flagged}):
        own = [unit for unit in flagged if unit.scope == name]
        sinks = frozenset(call.name for unit in own for call in unit.calls)
        place = _Place(finding.rule.cwe or 0, Scope.of(sides.after, name), sinks, frozenset(folders_before(sides, name, own)))
        added = [unit for unit in come if unit.scope == name or unit.scope.startswith(f"{name}.")]
        reasons += _of_function(place, added)
    return list(dict.fromkeys(reasons))


def _of_function(place: _Place, added: Sequence[Unit]) -> list[str]:
    reasons = []
    kept_out = False
    for unit in added:
        for condition, effect in _choices(place, unit):
            foreign, own = _says(place, condition, 0)
            if (foreign, own) == _OPEN:
                continue
            if effect == "leaves" and (foreign is False or own is True):
                reasons.append(f"the check in line {unit.line} is turned round: what is foreign passes")
            elif effect == "accepts" and foreign is True:
                reasons.append(f"the check in line {unit.line} is turned round: it accepts what is foreign")
            elif effect == "nothing" and foreign is True:
                reasons.append(f"the check in line {unit.line} keeps nothing out")
            kept_out = kept_out or (effect == "leaves" and foreign is True) or (effect == "accepts" and foreign is False)
    if place.cwe == _PATH and not kept_out and not reasons:
        asked = [unit for unit in added if any(call.name in _RELATED for call in unit.calls)]
        reasons += [f"the check in line {unit.line} does not keep out every foreign path" for unit in asked[:1]]
    return reasons


def _choices(place: _Place, unit: Unit) -> Iterator[tuple[Node, str]]:
    """Conditions of a statement, each with what becomes of a value for which it holds: `leaves`, `accepts`, `nothing`."""
    if unit.kind in ("if_statement", "elif_clause"):
        condition, body = unit.node.child_by_field_name("condition"), unit.node.child_by_field_name("consequence")
        if condition is not None and body is not None:
            yield condition, _effect(place, body, names_in(condition))
    for node in within(unit):
        if node.type not in ("conditional_expression", "ternary_expression"):
            continue
        ways = node.named_children
        condition = node.child_by_field_name("condition") or (ways[1] if len(ways) == 3 else None)
        taken = node.child_by_field_name("consequence") or ways[0]
        if condition is not None:
            yield condition, "accepts" if names_in(taken) & names_in(condition) else "leaves"


def _effect(place: _Place, body: Node, names: set[str]) -> str:
    calls = [node for node in walk(body) if node.type in CALLS]
    used = [call for call in calls if last_name(called(call) or call) in place.sinks and any(names_in(a) & names for a in given_to(call))]
    if used:
        return "accepts"
    kinds = {node.type for node in walk(body)}
    assigns = kinds & {"assignment", "assignment_expression", "augmented_assignment"}
    if kinds & LEAVING or assigns or any(last_name(called(call) or call) in _DECLARING for call in calls):
        return "leaves"
    return "nothing"


# --- what a condition says ------------------------------------------------------------------------------------------------------------


def _says(place: _Place, node: Node, steps: int) -> Answer:
    if steps > 20:
        return _OPEN
    if node.type == "parenthesized_expression" and node.named_children:
        return _says(place, node.named_children[0], steps + 1)
    if node.type == "not_operator" or (node.type == "unary_expression" and flat(node).startswith("!")):
        inner = node.child_by_field_name("argument")
        return _turned(_says(place, inner, steps + 1)) if inner is not None else _OPEN
    if node.type in ("boolean_operator", "binary_expression") and operator(node) in ("and", "or", "&&", "||"):
        left, right = (node.child_by_field_name(side) for side in ("left", "right"))
        if left is None or right is None:
            return _OPEN
        join = _both if operator(node) in ("and", "&&") else _either
        one, other = _says(place, left, steps + 1), _says(place, right, steps + 1)
        return join(one[0], other[0]), join(one[1], other[1])
    return _of_path(place, node) if place.cwe == _PATH else _of_address(node)


def _turned(answer: Answer) -> Answer:
    return None if answer[0] is None else not answer[0], None if answer[1] is None else not answer[1]


def _both(one: bool | None, other: bool | None) -> bool | None:
    return False if False in (one, other) else None if None in (one, other) else True


def _either(one: bool | None, other: bool | None) -> bool | None:
    return True if True in (one, other) else None if None in (one, other) else False


def _compared(node: Node) -> tuple[Node, str, Node] | None:
    """Left, sign and right of a comparison of two."""
    if node.type == "comparison_operator" and node.named_child_count == 2:
        sign = "".join(child.type for child in node.children if not child.is_named)
        return (
            node.named_children[0],
            {"is": "==", "isnot": "!=", "is not": "!=", "not in": "notin"}.get(sign, sign),
            node.named_children[1],
        )
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if node.type == "binary_expression" and left is not None and right is not None:
        return left, operator(node).replace("===", "==").replace("!==", "!="), right
    return None


def _method(node: Node) -> tuple[str, Node | None, list[Node]]:
    """Name, receiver and arguments of a call."""
    target = called(node) if node.type in CALLS else None
    if target is None:
        return "", None, []
    return last_name(target), owner(target) if target.type in ("attribute", "member_expression") else None, given_to(node)


def _of_address(node: Node) -> Answer:
    if node.type in ("attribute", "member_expression") and last_name(node) in _PARTS:
        return _FOREIGN
    name, _, given = _method(node)
    if name in ("startswith", "startsWith") and given:
        begins = string_of(given[0])
        return _OWN if begins == "/" else (None, False) if begins.startswith(("//", "/\\", "\\", "http")) else _OPEN
    if _SAFE.match(name):
        return _OWN
    if name in ("includes", "has") and given:
        return (False, None) if names_in(given[0]) else _OPEN
    pair = _compared(node)
    if pair is None:
        return _OPEN
    left, sign, right = pair
    if sign in ("in", "notin"):
        held: Answer = (False, None) if names_in(left) and right.type != "string" else _OPEN
        return held if sign == "in" else _turned(held)
    part = next((last_name(side) for side in (left, right) if last_name(side) in _PARTS), "")
    empty = any(side.type == "string" and not string_of(side) for side in (left, right))
    if not part or sign not in ("==", "!=") or (part in ("scheme", "protocol") and not empty):
        return _OPEN
    same: Answer = (False, True if empty else None)
    return same if sign == "==" else _turned(same)


def _of_path(place: _Place, node: Node) -> Answer:
    name, receiver, given = _method(node)
    if name == "is_relative_to" and receiver is not None and given:
        return _OWN if _resolved(place, receiver) and _is_folder(place, given[0]) else _OPEN
    if name in ("startswith", "startsWith") and receiver is not None and given:
        if string_of(given[0]).startswith(".."):
            return _FOREIGN
        return _OWN if given[0].type in ("binary_operator", "binary_expression") else _OPEN
    if name in ("isabs", "isAbsolute", "is_absolute"):
        return None, False
    pair = _compared(node)
    if pair is None:
        return _OPEN
    left, sign, right = pair
    if sign in ("in", "notin"):
        within_it = flat(right).endswith(".parents")
        held = _FOREIGN if string_of(left) == ".." else _OWN if within_it and _is_folder(place, left) else _OPEN
        return held if sign == "in" else _turned(held)
    for side, other in ((left, right), (right, left)):
        name, _, given = _method(side)
        if name == "commonpath" and given and sign in ("==", "!="):
            listed = given[0].named_children
            sure = any(_resolved(place, one) for one in listed) and _is_folder(place, other) and any(flat(o) == flat(other) for o in listed)
            return (_OWN if sign == "==" else _FOREIGN) if sure else _OPEN
    return _OPEN


def _resolved(place: _Place, node: Node) -> bool:
    """Whether `..` is worked out in a path before it is compared."""
    if node.type == "identifier":
        made = place.scope.under.get(flat(node), [])
        return any(_RESOLVING.search(flat(one)) for one in made)
    return _RESOLVING.search(flat(node)) is not None


def _is_folder(place: _Place, node: Node) -> bool:
    """Whether it is what paths were joined to before the patch; any but the top, where nothing was joined."""
    now = bare_folder(node, place.scope)
    return now in place.folders if place.folders else bool(now)
