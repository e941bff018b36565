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
_DECLARING = frozenset(["abort", "exit", "fail", "sendStatus", "status", "send", "end", "json", "next"])
_KEEPING = frozenset(["str", "fspath", "Path", "PurePath", "realpath", "abspath", "normpath", "String", "resolve", "normalize"])
"""What they make of a path that was worked out is the same path."""
_DECODING = frozenset(
    [
        *("unquote", "unquote_plus", "unescape", "expandvars", "expanduser", "format", "format_map", "replace", "sub", "lower", "upper"),
        *("strip", "lstrip", "rstrip", "removeprefix", "decodeURIComponent", "decodeURI", "replaceAll", "trim", "toLowerCase", "slice"),
    ]
)
"""An address is another one behind these."""
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
    weak: list[str] = []
    checked: set[str] = set()
    for unit in added:
        if unit.kind == "assert_statement":
            reasons.append(f"the `assert` in line {unit.line} is left out where Python runs with `-O`")
        for condition, effect in _choices(place, unit):
            if effect in ("leaves", "accepts"):
                weak += [f"the check in line {unit.line} {said}" for said in _weak(place, condition, effect)]
            foreign, own = _says(place, condition, 0)
            if (foreign, own) == _OPEN:
                continue
            if effect == "leaves" and (foreign is False or own is True):
                reasons.append(f"the check in line {unit.line} is turned round: what is foreign passes")
            elif effect == "accepts" and foreign is True:
                reasons.append(f"the check in line {unit.line} is turned round: it accepts what is foreign")
            elif effect == "nothing" and foreign is True:
                reasons.append(f"the check in line {unit.line} keeps nothing out")
            checked |= {name for name in names_in(condition) if name not in place.scope.outline.imported and not name.isupper()}
            kept_out = kept_out or (effect == "leaves" and foreign is True) or (effect == "accepts" and foreign is False)
    if not kept_out:
        reasons += weak
    reasons += _changed_after(place, added, checked)
    if place.cwe == _PATH and not kept_out and not reasons:
        asked = [unit for unit in added if any(call.name in _RELATED for call in unit.calls)]
        reasons += [f"the check in line {unit.line} does not keep out every foreign path" for unit in asked[:1]]
    return reasons


def _weak(place: _Place, condition: Node, effect: str) -> Iterator[str]:
    """Why a condition that looks right does not keep out everything foreign."""
    if place.cwe == _PATH:
        for node in walk(condition):
            name, receiver, given = _method(node)
            joined = name in ("startswith", "startsWith") and given and given[0].type in ("binary_operator", "binary_expression")
            if joined and receiver is not None and not _resolved(place, receiver) and _bound(place, receiver):
                yield "compares a path in which `..` is not worked out"
    signs = ("and", "&&") if effect == "leaves" else ("or", "||")
    for node in walk(condition):
        if node.type not in ("boolean_operator", "binary_expression") or operator(node) not in signs:
            continue
        sides = [side for name in ("left", "right") if (side := node.child_by_field_name(name)) is not None]
        says = [_says(place, side, 0)[0] for side in sides]
        if (effect == "leaves") in says and any(
            one is None and not _is_there(side, _known(place, node)) for one, side in zip(says, sides, strict=True)
        ):
            yield "holds only for some of what is foreign"


def _known(place: _Place, node: Node) -> set[str]:
    """Names of an expression, and those of what they were made of."""
    found = names_in(node)
    return found.union(*(names_in(made) for name in found for made in place.scope.under.get(name, [])))


def _is_there(node: Node, known: set[str]) -> bool:
    """Whether a condition only asks if there is one of the known values, or of what kind it is: true of all that comes from outside."""
    if node.type == "parenthesized_expression" and node.named_children:
        return _is_there(node.named_children[0], known)
    pair = _compared(node)
    if pair is not None:
        left, sign, right = pair
        nothing = flat(right) in ("None", "null", "undefined") and sign == "!="
        return (nothing or (flat(left).startswith("typeof") and sign == "==")) and bool(names_in(left) & known)
    if _method(node)[0] == "isinstance":
        return bool(names_in(node) & known)
    return node.type == "identifier" and flat(node) in known


def _changed_after(place: _Place, added: Sequence[Unit], checked: set[str]) -> Iterator[str]:
    """Values that are made into others between their check and their use."""
    for unit in added:
        for call in (node for node in within(unit) if node.type in CALLS):
            target = called(call)
            if target is None or last_name(target) not in place.sinks:
                continue
            for value in given_to(call):
                while (inner := _kept(value)) is not None:
                    value = inner
                if value.type not in CALLS or _harmless(place, value):
                    continue
                receiver = _method(value)[1]
                used = set().union(*(names_in(one) for one in [*given_to(value), *([receiver] if receiver is not None else [])]))
                found = sorted(used & checked)
                if found:
                    yield f"line {unit.line} makes another value of `{found[0]}` after it was checked"


def _kept(node: Node) -> Node | None:
    """The path within a call that makes nothing else of it."""
    name, receiver, given = _method(node)
    if name not in _KEEPING or len(given) > 1:
        return None
    return given[0] if given else receiver


def _harmless(place: _Place, call: Node) -> bool:
    return place.cwe == _ADDRESS and _method(call)[0] not in _DECODING


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
        if not _resolved(place, receiver) and _bound(place, receiver):
            return _OPEN
        return _OWN if given[0].type in ("binary_operator", "binary_expression") else _OPEN
    if name in ("isabs", "isAbsolute", "is_absolute"):
        return None, False
    pair = _compared(node)
    if pair is None:
        return _OPEN
    left, sign, right = pair
    if sign in ("in", "notin"):
        within_it = flat(right).endswith(".parents")
        dots = string_of(left) == ".." and not _resolved(place, right)
        held = _FOREIGN if dots else _OWN if within_it and _is_folder(place, left) else _OPEN
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
    return any(_works_out(one) for one in (place.scope.under.get(flat(node), []) if node.type == "identifier" else [node]))


def _bound(place: _Place, node: Node) -> bool:
    return node.type != "identifier" or bool(place.scope.under.get(flat(node)))


def _works_out(node: Node) -> bool:
    """The outermost call counts: `join(realpath(root), name)` works out the folder alone. Node's `path.join` works out all of it."""
    while node.type in ("await", "await_expression", "parenthesized_expression") and node.named_children:
        node = node.named_children[0]
    name, receiver, given = _method(node)
    if name in ("str", "fspath", "String", "Path", "PurePath", "normcase", "as_posix") and (given or receiver is not None):
        return _works_out(given[0] if given else receiver or node)
    if name == "join":
        return receiver is not None and flat(receiver) in ("path", "path.posix") and node.type == "call_expression"
    return name in ("realpath", "abspath", "normpath", "resolve", "normalize")


def _is_folder(place: _Place, node: Node) -> bool:
    """Whether it is what paths were joined to before the patch; any but the top, where nothing was joined."""
    now = bare_folder(node, place.scope)
    return now in place.folders if place.folders else bool(now)
