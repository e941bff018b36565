"""Is what a patch rewrites still the same statement, command or markup, with the same values in its holes?

An engine is content with `"... WHERE name = ? OR 1=1", (name.lower(),)` and with `["ping", host]` where `ping -c 1` stood. So the constant
text around the holes is compared (`pipeline.triage.skeleton`), and each value is followed to where it is bound, passed or escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tree_sitter import Node

from pipeline.model.finding import Finding
from pipeline.triage.nodes import CALLS, INDEXED, MEMBERS, called, flat, last_name, operator, owner, shown
from pipeline.triage.options import READ
from pipeline.triage.ordered import KEEPS, NUMBERS, bound_otherwise, out_of_order, same_text, spellings, strange_marks
from pipeline.triage.outline import Unit
from pipeline.triage.skeleton import (
    HOLE,
    Piece,
    Scope,
    alike_words,
    command_words,
    given_to,
    holes_of,
    is_statement,
    list_words,
    quotes_around,
    shell_words,
    text_of,
    tokens,
    within,
)
from pipeline.triage.survival import Sides, feeding, flagged_units

_COMMAND, _MARKUP, _STATEMENT = 78, 79, 89

_STARTERS = re.compile(
    r"^(run|call|check_call|check_output|Popen|create_subprocess_(exec|shell)|spawn\w*|posix_spawnp?|exec[lv]\w*|exec(File)?(Sync)?|execa"
    r"|fork|system|popen|getoutput|getstatusoutput|execAsync|execFileAsync|execFilePromise|execPromise)$"
)
_THROUGH = frozenset(
    """tuple list array object dictionary pair parenthesized_expression keyword_argument argument_list arguments expression_list list_splat
    spread_element await await_expression conditional_expression ternary_expression interpolation template_substitution as_expression
    non_null_expression""".split()  # noqa: SIM905 - a list of words
)
_HOLDERS = frozenset(["tuple", "list", "array", "object", "dictionary", "list_splat", "spread_element"])
_ENDS = frozenset(["return_statement", "expression_statement", "yield"])
_BUILT = frozenset(["string", "template_string", "binary_operator", "binary_expression", "concatenated_string"])


def other_wording(sides: Sides, finding: Finding) -> list[str]:
    """Why the flagged statement, command or markup is another one after the patch, one sentence each."""
    if sides.edit.path != finding.location.path or not sides.edit.path.endswith(READ):
        return []
    compared = {_STATEMENT: _statements, _COMMAND: _commands, _MARKUP: _markup}.get(finding.rule.cwe or 0)
    if compared is None:
        return []
    gone = {id(unit) for unit in sides.removed()}
    come = [unit for unit in sides.added() if not unit.imports]
    flagged = [unit for unit in flagged_units(sides, finding) if id(unit) in gone]
    reasons: list[str] = []
    for scope in sorted({unit.scope for unit in flagged}):
        own = [unit for unit in flagged if unit.scope == scope]
        added = [unit for unit in come if unit.scope == scope or unit.scope.startswith(f"{scope}.")]
        if added:
            reasons += compared(
                _Pair(sides, finding.rule.cwe or 0, Scope.of(sides.before, scope), Scope.of(sides.after, scope), own, added)
            )
    return list(dict.fromkeys(reasons))[:3]


@dataclass(frozen=True, slots=True)
class _Pair:
    """One function before and after: its flagged statements, and what the patch adds there."""

    sides: Sides
    cwe: int
    before: Scope
    after: Scope
    flagged: Sequence[Unit]
    added: Sequence[Unit]

    def fed(self) -> list[Unit]:
        """The flagged statements and those that made what they use."""
        starts = feeding(self.sides, self.flagged)
        return [unit for unit in self.sides.before.units if unit.start in starts]


# --- the text -------------------------------------------------------------------------------------------------------------------------


def _texts(scope: Scope, units: Sequence[Unit], calls_alone: bool = False) -> Iterator[list[Piece]]:
    """Every value that a statement hands to a call, gives back or puts somewhere."""
    for unit in units:
        for node in within(unit):
            if _is_filled(node):
                continue
            if node.type in CALLS:
                yield from (scope.pieces(argument) for argument in given_to(node) if argument.type != "keyword_argument")
            elif node.type == "keyword_argument" and (value := node.child_by_field_name("value")) is not None:
                yield scope.pieces(value)
            elif not calls_alone and node.type in ("assignment", "assignment_expression", "variable_declarator"):
                value = node.child_by_field_name("right") or node.child_by_field_name("value")
                if value is not None:
                    yield scope.pieces(value)
            elif not calls_alone and node.type in ("return_statement", "pair") and node.named_children:
                yield scope.pieces(node.named_children[-1])
        if unit.kind == "expression":
            yield scope.pieces(unit.node)


def _is_filled(node: Node) -> bool:
    """Whether a call only makes the text into which values are put: `Markup("<b>{}</b>")` of `Markup("<b>{}</b>").format(x)`."""
    parent = node.parent
    if parent is None or node.type not in CALLS:
        return False
    if parent.type in MEMBERS and owner(parent) == node:
        return last_name(parent) == "format"
    return parent.type == "binary_operator" and parent.child_by_field_name("left") == node and b"%" in (parent.text or b"")


def _statements(pair: _Pair) -> list[str]:
    wanted = [made for made in _texts(pair.before, pair.flagged) if is_statement(made)]
    wanted = wanted or [made for made in _texts(pair.before, pair.fed()) if is_statement(made)]
    now = [made for made in _texts(pair.after, pair.added, calls_alone=True) if is_statement(made)]
    now = now or [made for made in _texts(pair.after, pair.added) if is_statement(made)]
    if not wanted or not now:
        return []  # a mapper makes it, or it stands elsewhere: the names in it are compared by `pipeline.triage.remedy`
    around = [unit for unit in pair.sides.before.units if unit.scope == pair.before.name or not unit.scope]
    known = {tuple(tokens(made)) for made in [*wanted, *_texts(pair.before, around)] if is_statement(made)}
    reasons = []
    for made in now:
        if tuple(tokens(made)) not in known:
            reasons.append(_difference(tokens(wanted[0]), tokens(made)))
    full = {tuple(tokens(made)) for made in now}
    lost = [made for made in wanted if tuple(tokens(made)) not in full]
    if lost and not reasons and not any(tuple(tokens(made)) in full for made in wanted):
        reasons.append(_difference(tokens(lost[0]), tokens(now[0])))
    holes = holes_of(wanted[0])
    calls = [node for unit in pair.added for node in within(unit) if node.type in CALLS]
    if any(bound_otherwise(holes, call, pair.after) for call in calls):
        reasons.append("the values are bound to other places of the statement")
    others = [text_of(made) for made in _texts(pair.before, pair.sides.before.units) if is_statement(made)]
    asked = [pair.after.pieces(given[0]) for call in calls if last_name(called(call) or call) in _OF_DRIVERS and (given := given_to(call))]
    if any(is_statement(made) and strange_marks(text_of(made), pair.sides.after.imported.values(), others) for made in asked):
        reasons.append("the placeholders are those of another driver")
    kinds = {last_name(called(call) or call) for call in calls} & {"executescript", "executemany"}
    reasons += [f"`{kind}` is no call for one statement" for kind in sorted(kinds) if not any(kind in unit.text for unit in pair.flagged)]
    return reasons + _values(pair, holes, quotes_around(wanted[0]))


_OF_DRIVERS = frozenset(["execute", "executemany", "query", "fetch", "fetchrow", "fetchval"])
"""Methods of drivers, which take the driver's own placeholders."""


def _difference(old: Sequence[str], new: Sequence[str]) -> str:
    at = next((n for n, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))
    was, now = ((side[at].replace(HOLE, "a value") if at < len(side) else "its end") for side in (old, new))
    return f"the statement is another one: {_told(now)} stands where {_told(was)} did"


def _told(token: str) -> str:
    if token in ("a value", "its end"):
        return token
    return "a text" if token.startswith(("'", '"')) else f"`{shown(token)[:30]}`"


@dataclass(frozen=True, slots=True)
class _Command:
    """What a statement starts."""

    words: Sequence[str]
    holes: Sequence[Node]


def _started(scope: Scope, units: Sequence[Unit]) -> Iterator[_Command]:
    """Commands of these statements, of a text, a list, or a program and a list; without those of which a shell makes more than words."""
    for unit in units:
        for node in within(unit):
            target = called(node) if node.type in CALLS else None
            given = [argument for argument in given_to(node) if argument.type != "keyword_argument"] if target is not None else []
            if target is None or not given or not _STARTERS.match(last_name(target)):
                continue
            spread = given[0].type in ("list_splat", "spread_element") and given[0].named_children
            parts = scope.words(given[0].named_children[0] if spread else given[0])
            text = scope.pieces(given[0])
            if parts is None:
                listed = scope.words(given[1]) if len(given) > 1 else None
                if listed is None and last_name(target) in ("create_subprocess_exec", "execl", "execlp"):
                    listed = [scope.pieces(one) for one in given[1:]]
                parts = [text, *listed] if listed is not None else None
            words = list_words(parts) if parts is not None else command_words(text) or shell_words(text)
            if words is not None and (parts is not None or any(isinstance(piece, str) for piece in text)):
                yield _Command(words, [hole for part in parts or [text] for hole in holes_of(part)])


_SHELL = ["shell:"]


def _commands(pair: _Pair) -> list[str]:
    reasons = []
    now = list(_started(pair.after, pair.added))
    for was in _started(pair.before, pair.flagged):
        if was.words[:1] == _SHELL and not any(one.words[:1] == _SHELL for one in now):
            reasons += _lost_by_shell(pair, was, now)
            now = []  # what a shell did is done by the program itself
        same = [one for one in now if alike_words(was.words, one.words)]
        if same and all(out_of_order(was.holes, one.holes) for one in same):
            reasons.append("the values stand in other places of the command")
        if now and not same:
            near = max(now, key=lambda one: len(set(one.words) & set(was.words)))
            lost = [word for word in was.words if word not in near.words and HOLE not in word]
            come = [word for word in near.words if word not in was.words and HOLE not in word]
            told = (
                f"`{shown(lost[0])[:30]}` is gone"
                if lost
                else f"`{shown(come[0])[:30]}` is new"
                if come
                else "their order, or where they end"
            )
            reasons.append(f"the command has other words: {told}")
        if now:
            reasons += _values(pair, was.holes, [])
    return reasons


_REDIRECTED = re.compile(r"(?:^|\s)\d?>{1,2}\s*([^\s&|<>;]+)")


def _lost_by_shell(pair: _Pair, was: _Command, now: Sequence[_Command]) -> list[str]:
    """A command line that is handed over as one word, and output that goes to another file than the shell sent it to."""
    reasons = [f"`{shown(one.words[0])[:30]}` is a whole command line in one word" for one in now if " " in one.words[0].strip()]
    texts = " ".join(text for unit in pair.added for text in unit.strings)
    for target in _REDIRECTED.findall(" ".join(was.words[1:])):
        if HOLE not in target and target != "/dev/null" and target not in texts:
            reasons.append(f"what went to `{shown(target)[:30]}` goes elsewhere")
    return reasons


_MARK = re.compile(r"\{\{[^{}]*\}\}|\{\w*\}|%s|%\(\w+\)s")


def _markup(pair: _Pair) -> list[str]:
    wanted = [made for made in _texts(pair.before, pair.flagged) if _is_markup(made)]
    now = [made for made in _texts(pair.after, pair.added) if _is_markup(made)]
    if not wanted:
        return []
    reasons = []
    known = {_framed(made) for made in _texts(pair.before, pair.fed())}
    if not now:
        text = _framed(wanted[0]).replace(HOLE, "").strip()
        if pair.sides.edit.path.endswith(".py") and text and not _elsewhere(pair):
            reasons.append("the text around the value is gone")
    elif any(_framed(made) not in known for made in now):
        reasons.append("the markup around the value is another one")
    elif all(out_of_order(holes_of(wanted[0]), holes_of(made)) for made in now):
        reasons.append("the values stand in other places of the page")
    return reasons + _values(pair, [hole for made in wanted[:1] for hole in holes_of(made)], [])


def _is_markup(pieces: Sequence[Piece]) -> bool:
    text = text_of(pieces)
    return "<" in text and (HOLE in text or _MARK.search(text) is not None)


def _framed(pieces: Sequence[Piece]) -> str:
    return _MARK.sub(HOLE, text_of(pieces))


def _elsewhere(pair: _Pair) -> bool:
    """Whether the page comes out of a template or a maker of elements now."""
    return any(call.name.startswith(("render", "format_html", "get_template", "Template")) for unit in pair.added for call in unit.calls)


# --- the values -----------------------------------------------------------------------------------------------------------------------


def _values(pair: _Pair, holes: Sequence[Node], quoted: Sequence[str | None]) -> list[str]:
    """Values that arrive changed.

    Args:
        quoted: what stands in quotes around each of them (`quotes_around`); a value in quotes is a text, and no number.
    """
    reasons = []
    around: dict[str, set[str | None]] = {}
    for number, hole in enumerate(holes):
        around.setdefault(same_text(hole), set()).add(quoted[number] if number < len(quoted) else None)
    for hole in holes:
        texts = around[same_text(hole)]
        known = {text.replace(HOLE, "") for text in texts if text is not None} | {""}
        found = [_arrives(pair, name, known, None not in texts, set()) for name in spellings(hole)]
        if True not in found and False in found:
            reasons.append(f"the value of `{shown(flat(hole))}` is changed on its way")
    return reasons


def _arrives(pair: _Pair, name: str, known: set[str], quoted: bool, seen: set[str]) -> bool | None:
    """True when an added statement binds or passes exactly this; False when it only does so with something made of it."""
    if name in seen or len(seen) > 8:
        return None
    seen.add(name)
    found: list[bool | None] = []
    for unit in pair.added:
        for node in within(unit):
            if node.type in ("identifier", *MEMBERS, *INDEXED, *CALLS, "shorthand_property_identifier") and same_text(node) == name:
                found.append(_reached(pair, unit, node, known, quoted, seen))
    if False in found and any(_rebinds(pair, name)):
        return False
    return True if True in found else False if False in found else None


def _rebinds(pair: _Pair, name: str) -> Iterator[bool]:
    """Whether an added statement puts something else under the name."""
    for unit in pair.added:
        if name in unit.binds and name in unit.loads | unit.roots and not {call.name for call in unit.calls} & (NUMBERS | KEEPS):
            yield True


def _reached(pair: _Pair, unit: Unit, node: Node, known: set[str], quoted: bool, seen: set[str]) -> bool | None:
    """Where a value goes from here; None when it only decides about something."""
    child, parent = node, node.parent
    whole = False
    while parent is not None and parent.start_byte >= unit.node.start_byte:
        kind = parent.type
        if kind in ("assignment", "variable_declarator", "assignment_expression"):
            left = parent.child_by_field_name("left") or parent.child_by_field_name("name")
            if left is None or left == child:
                return None
            return _arrives(pair, same_text(left), known, quoted, seen) if left.type == "identifier" else True
        if kind in ("argument_list", "arguments") and parent.parent is not None:
            call = parent.parent
            name = last_name(called(call) or call)
            alone = len(given_to(call)) == 1 and not whole and child.type not in _HOLDERS
            if name in NUMBERS and not quoted:
                child, parent = call, call.parent
                continue
            if name in KEEPS or name == "format":
                child, parent, whole = call, call.parent, True
                continue
            if name in _DEEDS or not alone:
                return name not in _CHANGES
            return None if _is_condition(call) else False
        if kind == "boolean_operator" or (kind == "binary_expression" and operator(parent) not in ("+", "")):
            return None if _is_condition(parent) else False
        if kind in _BUILT:
            outer = _outermost(parent)
            text = text_of(pair.after.pieces(outer)).replace(HOLE, "")
            if not (text in known or is_statement(pair.after.pieces(outer)) or _may_be_built(pair, outer)):
                return None if _is_condition(outer) else False
            child, parent, whole = outer, outer.parent, True
            continue
        if kind in _ENDS:
            return True
        if kind in MEMBERS or kind in INDEXED:
            return None if _is_condition(parent) else False
        if kind not in _THROUGH:
            return None
        child, parent = parent, parent.parent
    return True


def _outermost(node: Node) -> Node:
    while node.parent is not None and node.parent.type in (*_BUILT, "interpolation", "template_substitution", "parenthesized_expression"):
        node = node.parent
    return node


def _may_be_built(pair: _Pair, node: Node) -> bool:
    """Commands and markup are put together of their own text: that is compared as a whole."""
    if pair.cwe == _STATEMENT:
        return False
    before = "".join(text_of(made).replace(HOLE, "") for made in _texts(pair.before, pair.fed()))
    return all(piece.strip() in before for piece in pair.after.pieces(node) if isinstance(piece, str))


_DEEDS = frozenset(
    """execute executemany query run get all each bind bindValue iterate one any none oneOrNone raw values params
    fetch fetchrow fetchval exec prepare bindparams bind_params literal append push extend add unshift call check_call
    check_output Popen spawn execFile format_html createTextNode render render_template render_template_string
    replaceChildren text json send write end jsonify make_response Response""".split()  # noqa: SIM905 - a list of words
)
"""Calls that do what the value is for, when they are given nothing else."""
_CHANGES = frozenset(["replace", "replaceAll", "sub", "substring", "slice", "padStart", "split", "get"])


def _is_condition(node: Node) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.type in ("if_statement", "while_statement", "assert_statement", "elif_clause"):
            return parent.child_by_field_name("condition") is not None
        if parent.type.endswith(("_statement", "_declaration")):
            return False
        parent = parent.parent
    return False
