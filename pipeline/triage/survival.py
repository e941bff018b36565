"""Does the program still do its work after a patch? What a fix may not take away, and behind what it may not hide a weakness.

An engine that no longer fires proves nothing when the flagged code is gone, unreachable, or reached under another name. Everything
here is a decision on two outlines of a file (`pipeline.triage.outline`); each reason is one sentence.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.model.finding import Finding, Location
from pipeline.model.fix import FileEdit, Patch
from pipeline.patches import changed_ranges, split_lines
from pipeline.triage.nodes import HEADERS, TEXT_METHODS, constant_truth, last_line, parameters_in, shown, words_of
from pipeline.triage.outline import Definition, Outline, Unit, outline

_GUARDS = {
    "if_statement": "a condition",
    "elif_clause": "a condition",
    "raise_statement": "a `raise`",
    "throw_statement": "a `throw`",
    "assert_statement": "an `assert`",
    "return_statement": "a `return`",
    "except_clause": "an `except`",
}

_NOISE = frozenset(["print", "log", "debug", "info", "warning", "warn", "error", "exception", "critical"])
"""Calls that only tell: they do not stand for a statement that did something, and text may be built for them."""

_FILLING = frozenset(["append", "extend", "insert", "push", "unshift"])
"""Methods by which something is put into a list."""
_LIST = re.compile(r"= ?(\[|(new )?Array\b|list\()")

_BUILT_STRINGS = frozenset([89, 78])
"""CWE of weaknesses that *are* a string built from a value: handing the same string to another function mends nothing."""


@dataclass(frozen=True, slots=True)
class Sides:
    """One changed file before and after, read."""

    edit: FileEdit
    before: Outline
    after: Outline
    also: tuple[Finding, ...] = ()
    """Other findings of the same rule that are known to be gone with the patch: their statements are its business, too."""

    def removed(self) -> list[Unit]:
        """Statements that are no longer there in these words, in their scope."""
        return self._differ()[0]

    def added(self) -> list[Unit]:
        """Statements that were not there in these words, in their scope."""
        return self._differ()[1]

    def _differ(self) -> tuple[list[Unit], list[Unit]]:
        lines = _changed_lines(self.edit.before or b"", self.edit.after or b"")
        gone, come = _less(self.before.units, self.after.units, lines[0]), _less(self.after.units, self.before.units, lines[1])
        return _worded(gone, come), _worded(come, gone)


@functools.lru_cache(maxsize=16)
def _changed_lines(before: bytes, after: bytes) -> tuple[frozenset[int], frozenset[int]]:
    """The changed lines of both sides, 1-based."""
    old: set[int] = set()
    new: set[int] = set()
    for first, end, new_first, new_end in changed_ranges(split_lines(before), split_lines(after)):
        old.update(range(first + 1, end + 1))
        new.update(range(new_first + 1, new_end + 1))
    return frozenset(old), frozenset(new)


def _less(these: Sequence[Unit], those: Sequence[Unit], changed: frozenset[int]) -> list[Unit]:
    """Those without an equal one on the other side. Of several equal ones it is the one on a changed line."""
    known = Counter((unit.scope, unit.kind, unit.text) for unit in those)
    left: set[int] = set()
    for unit in sorted(these, key=lambda unit: unit.line in changed):
        key = (unit.scope, unit.kind, unit.text)
        if known[key]:
            known[key] -= 1
        else:
            left.add(id(unit))
    return [unit for unit in these if id(unit) in left]


def only_tells(unit: Unit) -> bool:
    """Whether a statement does nothing but tell somebody something."""
    names = {call.name for call in unit.calls}
    return unit.kind == "expression_statement" and not unit.assigns and bool(names & _NOISE) and names <= _NOISE | TEXT_METHODS


def _worded(these: Sequence[Unit], those: Sequence[Unit]) -> list[Unit]:
    """Those that do not stand among the others with other blanks between the same words and signs: `() => x` for `()=>x`."""
    known = Counter((unit.scope, unit.kind, words_of(unit.node, unit.end)) for unit in those)
    left = []
    for unit in these:
        key = (unit.scope, unit.kind, words_of(unit.node, unit.end))
        if known[key]:
            known[key] -= 1
        else:
            left.append(unit)
    return left


def sides_of(patch: Patch, also: Sequence[Finding] = ()) -> list[Sides]:
    """The changed files whose language we read. A new file has an empty outline before."""
    found = []
    for edit in sorted(patch.edits, key=lambda e: e.path):
        after = outline(edit.path, edit.after) if edit.after is not None else None
        if after is not None:
            before = outline(edit.path, edit.before) if edit.before is not None else None
            found.append(Sides(edit, before or Outline(), after, tuple(one for one in also if one.location.path == edit.path)))
    return found


def lost_behaviour(sides: Sides, finding: Finding) -> list[str]:
    """What the program no longer does or offers in this file."""
    if sides.before.too_deep or sides.after.too_deep:
        return [f"{sides.edit.path} is nested too deep to tell what the patch changes"]
    here = sides.edit.path == finding.location.path
    flagged = flagged_units(sides, finding) if here else []
    reasons = [*_lost_definitions(sides, finding if here else None, flagged), *_unreachable(sides)]
    for unit in flagged:
        reasons += _replaced(sides, unit, finding)
    if not reasons:
        reasons += _lost_around(sides, flagged)
    return list(dict.fromkeys(reasons))


def flagged_units(sides: Sides, finding: Finding) -> list[Unit]:
    """The statements at which the finding points, and those of the others that the patch mends as well."""
    units: list[Unit] = []
    for one in (finding, *sides.also):
        units += [unit for unit in _units_of(sides, one) if unit not in units]
    return units


def _units_of(sides: Sides, finding: Finding) -> list[Unit]:
    """The smallest statement that holds all of a finding, else those on its lines."""
    location = finding.location
    holding = sides.before.around(*_range(sides.edit.before or b"", location))
    units = [holding] if holding is not None else sides.before.at(location.line, location.end_line)
    # A finding may stand where the data enters; its text then says where it ends.
    ends = re.search(r"^ends in .* \(line (\d+)\)$", finding.detail)
    if ends is not None:
        units += [unit for unit in sides.before.at(int(ends[1]), int(ends[1])) if unit not in units]
    return [u for u in units if not u.empty and not u.imports]


def _range(content: bytes, location: Location) -> tuple[int, int]:
    """Bytes of a location, first and end; an empty range when it has no columns."""
    if location.end_line == location.line and location.end_column <= location.column:
        return 0, 0
    starts = [0]
    for line in split_lines(content):
        starts.append(starts[-1] + len(line))
    if location.end_line >= len(starts):
        return 0, 0
    return starts[location.line - 1] + location.column - 1, starts[location.end_line - 1] + location.end_column - 1


# --- definitions and reach ------------------------------------------------------------------------------------------------------------


def _lost_definitions(sides: Sides, finding: Finding | None, flagged: Sequence[Unit]) -> list[str]:
    before, after = _by_name(sides.before.definitions), _by_name(sides.after.definitions)
    reasons = []
    for name, old in before.items():
        new = after.get(name, [])
        if len(new) < len(old):
            # A function that is nothing but a part of the flagged statement (`checkServerIdentity: () => ...`) may go with it.
            if not all(any(u.line <= d.line and d.end_line <= _end_line(u) and u.kind not in HEADERS for u in flagged) for d in old):
                reasons.append(f"`{name}` is gone")
            continue
        for was, now in zip(old, new, strict=False):
            reasons += _changed_definition(was, now, finding)
    for name, new in after.items():
        if len(new) > max(1, len(before.get(name, []))):
            reasons.append(f"`{name}` is defined twice: the second one hides the first")
    for route in (Counter(sides.before.routes) - Counter(sides.after.routes)).elements():
        reasons.append(f"the route `{route}` is gone")
    used = {n for u in sides.after.units for n in u.loads | u.roots}
    named = {n for u in sides.after.units for n in u.binds} | {n.split(".")[0] for n in after}
    for unit in sides.before.units:
        if not unit.scope and not unit.imports and unit.kind != "decorator":
            kept = unit.binds if _is_public(sides, unit) else unit.binds & used
            reasons += [f"`{name}` is no longer defined" for name in sorted(kept - named)]
    return reasons


def _is_public(sides: Sides, unit: Unit) -> bool:
    """Whether other files may use what a statement at the top of a file names: in Python everything, in JavaScript what is exported."""
    if sides.edit.path.endswith((".py", ".pyi", ".pyw")):
        return True
    return unit.node.parent is not None and unit.node.parent.type == "export_statement"


def _end_line(unit: Unit) -> int:
    return last_line(unit.node)


def _by_name(definitions: Iterable[Definition]) -> dict[str, list[Definition]]:
    out: dict[str, list[Definition]] = {}
    for definition in definitions:
        out.setdefault(definition.name, []).append(definition)
    return out


def _changed_definition(was: Definition, now: Definition, finding: Finding | None) -> list[str]:
    reasons = []
    more = now.signature[len(was.signature) :]
    flagged_here = finding is not None and was.line <= finding.location.line <= was.head_line
    if now.parameters[: len(was.parameters)] != was.parameters:
        reasons.append(f"the parameters of `{was.name}` changed")
    elif not flagged_here and now.signature[: len(was.signature)] != was.signature:
        reasons.append(f"the parameters of `{was.name}` are taken in another way")
    elif any("=" not in one and not one.startswith(("*", "...")) for one in more) and was.name.rsplit(".", 1)[-1].isidentifier():
        reasons.append(f"`{was.name}` needs a parameter more: who calls it does not know")
    if was.named and now.answers != was.answers:
        reasons.append(f"`{was.name}` is {now.answers or 'a plain function'} now, which its callers do not expect")
    if not flagged_here and now.bases != was.bases:
        reasons.append(f"`{was.name}` is made of other classes")
    gone = list((Counter(was.decorators) - Counter(now.decorators)).elements())
    # A finding on a decorator is mended there.
    on_head = finding is not None and finding.location.line < was.line and finding.location.end_line >= was.line - len(was.decorators)
    if gone and not on_head:
        reasons.append(f"`{shown(gone[0])}` was taken from `{was.name}`")
    return reasons


def _unreachable(sides: Sides) -> list[str]:
    reasons = []
    if sides.after.swallows > sides.before.swallows:
        reasons.append("errors are caught and thrown away")
    before = sum(unit.unreachable for unit in sides.before.units)
    after = [unit for unit in sides.after.units if unit.unreachable]
    if len(after) > before:
        reasons.append(f"line {after[-1].line} can never run")
    for unit in sides.added():
        condition = unit.node.child_by_field_name("condition") if unit.kind in ("if_statement", "elif_clause", "while_statement") else None
        truth = constant_truth(condition)
        if truth is False or (truth is True and unit.kind != "while_statement"):
            reasons.append(f"line {unit.line} has a condition that never changes")
    return reasons


# --- the flagged statement ------------------------------------------------------------------------------------------------------------


def _within(units: Sequence[Unit], scope: str) -> list[Unit]:
    return [unit for unit in units if not scope or unit.scope == scope or unit.scope.startswith(scope + ".")]


def _replaced(sides: Sides, unit: Unit, finding: Finding) -> list[str]:
    """Why nothing does the flagged statement's work any more; empty when something does."""
    is_secret = finding.secret is not None
    around = _within(sides.after.units, unit.scope)
    before = sum(u.text == unit.text for u in _within(sides.before.units, unit.scope))
    if sum(u.text == unit.text for u in around if not u.unreachable) >= before:
        return []
    new = [u for u in _within(sides.added(), unit.scope) if not u.unreachable and not u.empty and not u.imports]
    values = arriving(sides, unit)
    if unit.assigns and not unit.calls and not unit.binds and values <= unit.targets:
        return []  # a setting such as `app.debug = True`: to take it back is the fix
    if finding.rule.cwe == 489 and unit.targets >= values and [call.name for call in unit.calls] == ["DebuggedApplication"]:
        return []  # what was put around the application is taken off again
    if unit.kind == "decorator":
        return []  # see _changed_definition
    what = f"the flagged statement (line {unit.line})"
    if not new:
        return [f"{what} was deleted and nothing does its work"]
    if unit.kind in ("return_statement", "expression"):
        answers = [u for u in new if u.kind in ("return_statement", "expression") and (u.loads or u.calls or u.strings)]
        if not answers and not any(u.kind in ("return_statement", "expression") and u.text == "return" for u in new):
            return [f"{what} no longer returns what it did"]
        if not answers and (unit.loads or unit.calls):
            return [f"{what} no longer returns what it did"]
    elif unit.calls and not any(call.name not in _NOISE for u in new for call in u.calls) and not any(u.assigns for u in new):
        return [f"{what} called something; nothing is called in its place"]
    elif unit.binds and (unit.calls or unit.loads or is_secret) and not any(u.binds & unit.binds and (u.calls or u.loads) for u in new):
        if is_secret or any(name in u.loads | u.roots for name in unit.binds for u in around):
            return [f"{what} made a value; a constant stands in its place"]
    elif unit.assigns and not unit.binds and not any(u.assigns or u.calls for u in new):
        return [f"{what} was deleted and nothing does its work"]
    unbound = [n for n in sorted(unit.binds) if not any(n in u.binds for u in around) and any(n in u.loads | u.roots for u in around)]
    if unbound:
        return [f"`{unbound[0]}` is no longer set, but still used"]
    used = {n for u in new for n in u.loads | u.roots}
    missing = sorted(values - used)
    return [f"the value of `{missing[0]}` no longer arrives where it did (line {unit.line})"] if missing else []


def _locals(side: Outline, scope: str) -> set[str]:
    """Names that are bound in a scope: its parameters, and what its statements set; the module's names for the top."""
    names = {n for u in side.units if u.scope == scope and not u.imports for n in u.binds}
    for definition in side.definitions:
        if definition.name == scope or (scope and scope.startswith(definition.name + ".")):
            names |= set(definition.parameters)
    return names - {"self", "cls", "this"}


def arriving(sides: Sides, unit: Unit) -> set[str]:
    """The local values that a statement works with. One whose definition went with the patch stands for what it was made of."""
    here, there = _locals(sides.before, unit.scope), _locals(sides.after, unit.scope)
    wanted = (unit.loads | unit.roots) & here - set(sides.before.imported) - unit.binds
    out: set[str] = set()
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in there:
            out.add(name)
            continue
        for other in sides.before.units:
            if other.scope == unit.scope and name in other.binds:
                wanted |= ((other.loads | other.roots) & here) - {name}
    return out


# --- everything else in the file ------------------------------------------------------------------------------------------------------


def feeding(sides: Sides, flagged: Sequence[Unit]) -> set[int]:
    """Starts of the statements that made what the flagged ones used: a fix may rewrite them."""
    places = {unit.start for unit in flagged}
    wanted = {(unit.scope, name) for unit in flagged for name in unit.loads | unit.roots}
    seen: set[tuple[str, str]] = set()
    while wanted:
        scope, name = wanted.pop()
        if (scope, name) in seen:
            continue
        seen.add((scope, name))
        for other in sides.before.units:
            if other.scope == scope and (name in other.binds or _puts_into(other, name, sides)) and other.start not in places:
                places.add(other.start)
                # The body of a function without a name (`map(() => make(x))`) reads for the statement in which it stands.
                inside = [u for u in sides.before.units if u.kind == "expression" and other.start < u.start and u.end <= other.end]
                wanted |= {(scope, n) for unit in (other, *inside) for n in unit.loads | unit.roots}
    return places


def emptied_branches(sides: Sides, flagged: Sequence[Unit]) -> set[int]:
    """Starts of the conditions that decided about the flagged statements alone, where a patch only takes out: nothing is left for them."""
    own = {unit.start for unit in flagged}
    found: set[int] = set()
    for unit in reversed(sides.removed()) if not sides.added() else ():  # an inner one before the one around it
        body = unit.node.child_by_field_name("consequence")
        if unit.kind != "if_statement" or unit.calls or body is None or unit.node.child_by_field_name("alternative") is not None:
            continue
        held = body.named_children if body.type in ("block", "statement_block") else [body]
        if all(statement.start_byte in own | found for statement in held):
            found.add(unit.start)
    return found


def _puts_into(unit: Unit, name: str, sides: Sides) -> bool:
    """Whether a statement puts something into a list of the function: `paths[0] = x`, `args.push(x)`."""
    puts = (name in unit.targets and "" in unit.written) or any(
        call.path == f"{name}.{call.name}" for call in unit.calls if call.name in _FILLING
    )
    return puts and any(name in o.binds and o.scope == unit.scope and _LIST.search(o.text) for o in sides.before.units)


def _lost_around(sides: Sides, flagged: Sequence[Unit]) -> list[str]:
    reasons = []
    own = {unit.kind for unit in flagged}
    kinds_before, kinds_after = (Counter(u.kind for u in side.units) for side in (sides.before, sides.after))
    excusable = Counter({"if_statement": len(emptied_branches(sides, flagged))})
    for kind, word in _GUARDS.items():
        if kinds_after[kind] < kinds_before[kind] - excusable[kind] and kind not in own:
            reasons.append(f"{word} was removed")
    fed = feeding(sides, flagged)
    excused = {call.name for unit in sides.before.units if unit.start in fed for call in unit.calls}
    read_before, read_after = ({n for u in side.units for n in u.loads | u.roots} for side in (sides.before, sides.after))
    for name in sorted({n for unit in flagged for n in unit.binds} & (read_before - read_after)):
        reasons.append(f"`{name}` is still there, but nothing uses it any more")
    vanished = {name for unit in flagged for name in unit.binds} - {n for u in sides.after.units for n in u.binds}
    now = Counter(call.name for unit in sides.after.units for call in unit.calls)
    then = Counter(call.name for unit in sides.before.units for call in unit.calls)
    closed = {name for unit in sides.after.units if unit.kind == "with_statement" for name in unit.binds}
    for unit in sides.removed():
        for call in unit.calls if not unit.imports else ():
            if call.name == "close" and call.root in closed:
                continue
            if call.name in excused or call.name in TEXT_METHODS or call.root in vanished or not call.name:
                continue
            if now[call.name] < then[call.name]:
                reasons.append(f"`{shown(call.path)}` is no longer called (line {unit.line} before)")
    return reasons


def flagged_values(sides: Sides, finding: Finding) -> set[str]:
    """Names of the values that the flagged statement put into a string, itself or through a variable."""
    names: set[str] = set()
    fed = feeding(sides, flagged_units(sides, finding))
    texts: set[str] = set()
    for unit in sides.before.units:
        if unit.start in fed and unit.built:
            names |= unit.built
            texts |= unit.binds
    return names - texts - _constants(sides)


def _constants(sides: Sides) -> set[str]:
    """Names at the top of the file that hold one plain text, before the patch and after it: nobody brings anything in by them."""
    found = []
    for side in (sides.before, sides.after):
        bound = Counter(name for unit in side.units for name in unit.binds)
        plain = (unit for unit in side.units if not unit.scope and not (unit.loads or unit.calls or unit.built) and unit.strings)
        found.append({name for unit in plain for name in unit.binds if bound[name] == 1})
    return found[0] & found[1]


def handed_on(sides: Sides, finding: Finding) -> list[str]:
    """Calls to which the patch hands a string that is still built from the flagged values."""
    if finding.rule.cwe not in _BUILT_STRINGS or sides.edit.path != finding.location.path:
        return []
    values = flagged_values(sides, finding)
    added = sides.added()
    scopes = {unit.scope for unit in flagged_units(sides, finding)}
    # What a callback is handed in the same statement is made by whoever calls it.
    carrying = {
        name
        for unit in sides.after.units
        if unit.scope in scopes and unit.built & values and not _listed(unit)
        for name in unit.binds - parameters_in(unit.node)
    }
    reasons = []
    for unit in added:
        for call in unit.calls:
            told = call.name in _NOISE or call.name.endswith(("Error", "Exception")) or call.name in ("split", "quote", "format", "join")
            if not told and (call.built & values or call.given & carrying):
                reasons.append(f"line {unit.line} hands `{shown(call.path)}` a text that is still built from the flagged value")
    return reasons


def _listed(unit: Unit) -> bool:
    """Whether a statement puts a list of arguments into a variable: what is built in it stays one argument each."""
    for node in (unit.node, *unit.node.named_children):
        value = node.child_by_field_name("right") or node.child_by_field_name("value")
        if value is not None:
            return value.type in ("list", "tuple", "array")
    return False
