"""What in a patch has nothing to do with its finding: another file, a statement changed by the way, a line that nothing led to.

A fix of one finding changes the flagged statement, what made its values, and what used its result when that has another shape now. Each
other change must be tied to these by a name. What is not may be right; it belongs into a patch of its own.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from pipeline.model.finding import Finding
from pipeline.model.fix import FileEdit, Patch
from pipeline.patches import added_lines, removed_lines
from pipeline.triage.nodes import HEADERS, OUTSIDE, TEXT_METHODS
from pipeline.triage.outline import Outline, Unit
from pipeline.triage.survival import Sides, arriving, emptied_branches, feeding, flagged_units, flagged_values, only_tells

_TOLD = ("CHANGELOG*", "CHANGES*", "HISTORY*", "NEWS*")
"""Files that tell people what changed, by name."""

_SAMPLES = (".env.*", "*.env.*", "env.example", "env.sample", "example.env", "sample.env", ".env.*.example")
_SAMPLE_WORDS = ("example", "sample", "template", "dist", "tpl")

_EVERYWHERE = frozenset(["self", "cls", "this", "print", "console", "str", "int", "len", "String", "Number", "process", "os", "document"])
"""Names that tie nothing together."""

_KNOWN_TO_ALL = frozenset(
    [*TEXT_METHODS, "", "get", "set", "append", "push", "add", "toString", "slice", "strip", "decode", "encode", "send", "open"]
)


# --- files ----------------------------------------------------------------------------------------------------------------------------


def stray_files(patch: Patch, sides: Sequence[Sides], finding: Finding) -> list[str]:
    """Changed files in which the finding neither lies nor is mended."""
    home = next((side for side in sides if side.edit.path == finding.location.path), None)
    reasons = []
    for edit in patch.edits:
        name = edit.path.rsplit("/", 1)[-1]
        if edit.path == finding.location.path or any(fnmatch.fnmatchcase(name.upper(), told) for told in _TOLD):
            continue
        if finding.secret is not None and _is_sample(name):
            continue
        if home is not None and (_is_imported(edit, home) or _names_what_is_imported(edit, home)):
            continue
        reasons.append(f"{edit.path} has nothing to do with the finding")
    return reasons


def _is_sample(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, sample) for sample in _SAMPLES) and any(word in name for word in _SAMPLE_WORDS)


def _is_imported(edit: FileEdit, home: Sides) -> bool:
    """Whether the file is a module that the flagged file imports, by its name."""
    stem = re.sub(r"(/__init__|/index)?\.[cm]?[jt]sx?$|(/__init__)?\.pyw?$", "", edit.path)
    if stem == edit.path:
        return False
    last = stem.rsplit("/", 1)[-1]
    parts = {part for origin in home.after.imported.values() for part in re.split(r"[./]+", origin)}
    return last in parts


def _names_what_is_imported(edit: FileEdit, home: Sides) -> bool:
    """Whether a list of requirements only gets what the flagged file imports now."""
    if not re.fullmatch(r"(.*/)?requirements[\w.-]*\.(txt|in)", edit.path) or removed_lines(edit):
        return False
    now = {_root(origin) for origin in home.after.imported.values()} - {_root(origin) for origin in home.before.imported.values()}
    wanted = {re.split(r"[\s=<>~!;\[]", text.decode("utf-8", "replace").strip(), maxsplit=1)[0] for _, text in added_lines(edit)} - {""}
    return bool(wanted) and {name.lower().replace("-", "_") for name in wanted} <= now


def _root(origin: str) -> str:
    return re.split(r"[./]", origin)[0].lower()


# --- statements -----------------------------------------------------------------------------------------------------------------------


def stray_statements(sides: Sides, finding: Finding) -> list[str]:
    """Statements of the flagged file that the patch takes, changes or adds although nothing ties them to the flagged one."""
    if sides.edit.path != finding.location.path:
        return []
    flagged = flagged_units(sides, finding)
    if not flagged:
        return []
    removed = sides.removed()
    added = [unit for unit in sides.added() if not unit.empty and unit.kind not in OUTSIDE]
    explained, ties = _explain_removed(sides, finding, flagged, removed)
    ties |= _of_successors(sides, flagged, removed, added)
    reasons = []
    for unit in removed:
        if unit.start not in explained and unit.kind not in ("pass_statement", *OUTSIDE):
            reasons.append(f"line {unit.line} is changed, and it has nothing to do with the flagged statement")
    reasons += _lost_values(sides, flagged, [unit for unit in removed if unit.start in explained], added)
    reasons += _lost_imports(sides, [unit for unit in removed if unit.start in explained])
    fed = feeding(sides, flagged)
    fed_names = {name for unit in sides.before.units if unit.start in fed for name in unit.loads}
    reasons += _changed_answers(sides, flagged, removed, added, flagged_values(sides, finding) | fed_names)
    reasons += [*_other_constants(flagged, removed, added), *_new_addresses(sides, finding, added)]
    reasons += [f"line {unit.line} imports everything of a module" for unit in added if unit.imports and unit.text.endswith("import *")]
    reasons += _unused(sides, removed, added)
    for unit in _untied(sides, removed, added, ties):
        reasons.append(f"line {unit.line} is added, and it has nothing to do with the flagged statement")
    return reasons


def _of_successors(sides: Sides, flagged: Sequence[Unit], removed: Sequence[Unit], added: Sequence[Unit]) -> set[str]:
    """Names of the statements that stand for the flagged ones now: of their kind, in their scope, with the same call."""
    names: set[str] = set()
    for unit in flagged:
        calls = {call.path for call in unit.calls} - _KNOWN_TO_ALL
        if unit in removed:
            same = (o for o in added if (o.scope, o.kind) == (unit.scope, unit.kind) and calls & {call.path for call in o.calls})
            names |= {name for o in same for name in _names(o)}
    return names - set(sides.before.imported)


def _names(unit: Unit) -> set[str]:
    return (unit.loads | unit.roots | unit.binds | unit.targets | unit.built) - _EVERYWHERE


def _explain_removed(sides: Sides, finding: Finding, flagged: Sequence[Unit], removed: Sequence[Unit]) -> tuple[set[int], set[str]]:
    """Starts of the removed statements that the rewrite of the flagged one explains, and the names that tie others to them."""
    fed = feeding(sides, flagged)
    own = [unit for unit in sides.before.units if unit.start in fed]
    values = {name for unit in own for name in unit.binds}
    worked_on = {name for unit in own for name in unit.loads | unit.roots} - set(sides.before.imported) - _EVERYWHERE
    sinks = {call.name for unit in flagged for call in unit.calls} - _KNOWN_TO_ALL
    written = {name for unit in flagged for name in unit.written}
    reached = {name for unit in flagged for call in unit.calls for name in (call.root,)} - _EVERYWHERE - {""}
    members = {member for unit in own for member in unit.parts}
    gone = values - {name for unit in sides.after.units for name in unit.binds}
    branches = emptied_branches(sides, flagged)
    explained = set()
    for unit in removed:
        inside = any(u.node.start_byte <= unit.start < u.node.end_byte for u in flagged)
        uses = bool((unit.loads | unit.roots) & (values if unit.kind not in ("return_statement", *HEADERS) else gone))
        same = bool({call.name for call in unit.calls} & sinks or unit.written & written)
        sets = bool(unit.targets & (values | worked_on) or unit.written & members)
        spans = unit.line <= finding.location.end_line and unit.end_line >= finding.location.line
        makes = not unit.scope and bool(unit.binds & reached)
        if unit.start in fed | branches or unit.imports or inside or uses or same or sets or spans or makes or _answers(unit, flagged):
            explained.add(unit.start)
    ties = {name for unit in sides.before.units if unit.start in fed | explained and not unit.imports for name in _names(unit)}
    return explained, (ties | {name for unit in flagged for name in _names(unit)}) - set(sides.before.imported)


def _answers(unit: Unit, flagged: Sequence[Unit]) -> bool:
    """A return of what a flagged statement made: looked at by `_changed_answers`."""
    made = {name for one in flagged for name in one.binds}
    return unit.kind in ("return_statement", "expression") and bool((unit.loads | unit.roots) & made)


def _lost_values(sides: Sides, flagged: Sequence[Unit], explained: Sequence[Unit], added: Sequence[Unit]) -> list[str]:
    """Values that a rewritten statement beside the flagged one worked with, that are still there, and that nothing takes in its place."""
    reasons = []
    own = {unit.start for unit in flagged}
    made = {name for unit in flagged for name in unit.binds}
    for unit in explained:
        if unit.start in own or unit.imports or not unit.calls or any(u.node.start_byte <= unit.start < u.node.end_byte for u in flagged):
            continue
        here = {n for o in sides.after.units if o.scope == unit.scope and not o.imports for n in o.binds}
        here |= {name for d in sides.after.definitions if d.name == unit.scope for name in d.parameters}
        wanted = (unit.loads | unit.roots) & here - unit.binds - made - set(sides.before.imported) - _EVERYWHERE
        taken = {name for o in added if o.scope == unit.scope or o.scope.startswith(unit.scope) for name in o.loads | o.roots}
        for name in sorted(wanted - taken)[:1]:
            reasons.append(f"the value of `{name}` no longer arrives where it did (line {unit.line})")
    return reasons


def _changed_answers(sides: Sides, flagged: Sequence[Unit], removed: Sequence[Unit], added: Sequence[Unit], values: set[str]) -> list[str]:
    """A `return` of a value that is still there, with something cut off or turned round."""
    turned = re.compile(r"return ?(not\b|!)")
    known = {unit.scope for unit in removed if turned.match(unit.text)}
    reasons = [f"what line {unit.line} gives back is turned round" for unit in added if turned.match(unit.text) and unit.scope not in known]
    bound = {name for unit in sides.after.units for name in unit.binds}
    for unit in removed:
        if not _answers(unit, flagged) or unit in flagged or any(other.text == unit.text for other in added):
            continue
        made = (unit.loads | unit.roots) & {name for one in flagged for name in one.binds}
        if not made <= bound:
            continue
        here = {name for other in sides.after.units if other.scope == unit.scope for name in other.binds}
        wanted = {name for one in flagged for name in arriving(sides, one)}
        direct = (u for u in added if u.scope == unit.scope and u.kind == unit.kind and u.calls)
        if not made & here and wanted and any(wanted <= u.loads | u.roots for u in direct):
            continue  # given back where it is made, without a name for it
        now = [u for u in added if u.scope == unit.scope and u.kind == unit.kind]
        # `statement.all(name)` for `statement.all()`: what was put into the text is handed over beside it.
        handed = [(u.loads | u.roots) - (unit.loads | unit.roots) for u in now if u.roots >= unit.roots and _shape(u) == _shape(unit)]
        if any(call.root in made for call in unit.calls) and any(more and more <= values for more in handed):
            continue
        # `done.stdout` for `done.read()`: what was made has another shape now, and only what looked into it may change.
        looked = bool(unit.parts) or any(call.root in made for call in unit.calls)
        if not looked or not any((u.loads | u.roots) >= (unit.loads | unit.roots) and _shape(u) != _shape(unit) for u in now):
            reasons.append(f"what line {unit.line} gave back is another value now")
    return reasons


def _shape(unit: Unit) -> tuple[frozenset[str], tuple[str, ...]]:
    return frozenset(unit.parts), tuple(sorted(call.path for call in unit.calls))


def _other_constants(flagged: Sequence[Unit], removed: Sequence[Unit], added: Sequence[Unit]) -> list[str]:
    """What made a value for the flagged statement is the same but for a constant: another column, another file, another field."""
    reasons = []
    own = {unit.start for unit in flagged}
    for unit in removed:
        if unit.start in own or not unit.binds or not unit.calls or unit.built:
            continue
        for now in added:
            same = now.scope == unit.scope and now.binds == unit.binds and now.loads == unit.loads and now.roots == unit.roots
            if same and not now.built and _shape(now) == _shape(unit) and now.strings != unit.strings:
                reasons.append(f"line {unit.line} has another constant now")
    return reasons


def _unused(sides: Sides, removed: Sequence[Unit], added: Sequence[Unit]) -> list[str]:
    """Names that the patch makes of values in a function and that nothing reads: the values went where they were used before."""
    reasons = []
    before = {(unit.scope, name) for unit in removed for name in unit.binds}
    for unit in added:
        makes = unit.kind in ("lexical_declaration", "variable_declaration", "expression_statement") and unit.assigns and not unit.written
        if not makes or not unit.scope or unit.imports or not (unit.loads | unit.roots) - set(sides.after.imported):
            continue
        inside = [o for o in sides.after.units if (o.scope == unit.scope or o.scope.startswith(f"{unit.scope}.")) and not only_tells(o)]
        read = {name for other in inside for name in other.loads | other.roots} | {c.name for o in inside for c in o.calls}
        if unit.binds and not unit.binds & read and not any((unit.scope, name) in before for name in unit.binds):
            reasons.append(f"`{min(unit.binds)}` is made of values and nothing uses it (line {unit.line})")
    return reasons


def _new_addresses(sides: Sides, finding: Finding, added: Sequence[Unit]) -> list[str]:
    """Addresses of other machines in added statements that the file did not have. A rule about addresses may need some."""
    if finding.rule.cwe in (601, 918):
        return []
    known = {_bare(text) for unit in sides.before.units for text in unit.strings}
    new = {text for unit in added for text in unit.strings if re.match(r"(https?|wss?|ftp)://", text) and _bare(text) not in known}
    return ["an address of another machine is added that the file did not have"] if new else []


def _bare(text: str) -> str:
    return re.sub(r"^\w+://", "", text)


def _lost_imports(sides: Sides, explained: Sequence[Unit]) -> list[str]:
    """Imports that went although something still uses them, or although the rewrite did not make them useless."""
    used = {name for unit in sides.after.units if not unit.imports for name in unit.loads | unit.roots}
    used |= {call.root for unit in sides.after.units for call in unit.calls} | {
        c.name for u in sides.after.units for c in u.calls if c.path == c.name
    }
    bound = {name for unit in sides.after.units for name in unit.binds} | set(sides.after.imported)
    bound |= {definition.name for definition in sides.after.definitions}
    freed = {name for unit in explained if not unit.imports for name in unit.loads | unit.roots}
    freed |= {part for unit in explained for call in unit.calls for part in (call.root, call.name)}
    freed |= {part for unit in explained for part in unit.parts | unit.mentions}
    reasons = []
    for name in sorted(set(sides.before.imported) - bound):
        if name in used:
            reasons.append(f"`{name}` is no longer imported, but still used")
        elif name not in freed and name in _loaded(sides.before):
            reasons.append(f"the import of `{name}` is gone, and the flagged statement did not use it")
    return reasons


def _loaded(side: Outline) -> set[str]:
    return {name for unit in side.units if not unit.imports for name in unit.loads | unit.roots}


def _untied(sides: Sides, removed: Sequence[Unit], added: Sequence[Unit], ties: set[str]) -> list[Unit]:
    """Added statements that no chain of names leads to from the flagged one."""
    new = {d.name for d in sides.after.definitions} - {d.name for d in sides.before.definitions}
    waiting = [unit for unit in added if not unit.imports]
    known = {unit.text for unit in removed}
    ties = set(ties)
    tied: list[Unit] = []
    moved = True
    while moved:
        moved = False
        for unit in list(waiting):
            own = (_names(unit) | {call.name for call in unit.calls if call.path == call.name}) - set(sides.before.imported)
            inside = any(o.kind in HEADERS and o.node.start_byte <= unit.start and unit.end <= o.node.end_byte for o in tied)
            called = any(unit.scope == name or unit.scope.startswith(name + ".") for name in new if name.split(".")[-1] in ties)
            if own & ties or inside or called or unit.text in known:
                ties |= own
                tied.append(unit)
                waiting.remove(unit)
                moved = True
    left = [unit for unit in waiting if not any(unit.node.start_byte <= o.start and o.end <= unit.node.end_byte for o in tied)]
    # What has no name in common with what it replaces: one statement for one, of its kind and in its place.
    for unit in removed:
        if unit.imports or any(o.scope == unit.scope and o.kind == unit.kind for o in tied):
            continue
        place = next((o for o in left if o.scope == unit.scope and o.kind == unit.kind), None)
        if place is not None:
            left.remove(place)
    return left
