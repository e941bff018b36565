"""Commands that need their shell (a pipe, a redirection): each value is quoted for it, in place."""

from __future__ import annotations

import libcst as cst

from pipeline.fixers.python.queries import find_built
from pipeline.fixers.python.texts import is_text
from pipeline.rewriting import shell
from pipeline.rewriting.python import imports
from pipeline.rewriting.python.code import Code, argument
from pipeline.rewriting.source import Change, Edit
from pipeline.rewriting.template import join


def fix_call(code: Code, call: cst.Call) -> Change | None:
    """Put `shlex.quote` around every value of the command line; None when one of them is no single argument."""
    command = argument(call, 0, "args")
    built = find_built(code, command.value, call) if command is not None else None
    if built is None:
        return None
    found = shell.quotable(join([statement.template for statement in built.statements]).parts)
    reference = imports.refer(code, "shlex", "quote")
    if not found or reference is None:
        return None
    quote, edits = reference
    for entry in found:
        hole = entry.hole
        end = hole.start + len(hole.code.encode())
        if hole.code.startswith(("shlex.quote(", f"{quote}(")):
            continue
        if code.source.slice(hole.start, end) != hole.code or any(unit.at < 0 for unit in entry.drop):
            return None
        value = hole.code if is_text(code, hole, call, paths=False) else f"str({hole.code})"
        edits.append(Edit(hole.start, end, f"{quote}({value})"))
        edits += [Edit(unit.at, unit.at + len(unit.raw.encode()), "") for unit in entry.drop]
    if all(entry.hole.code.startswith(("shlex.quote(", f"{quote}(")) for entry in found):
        return None
    return Change(
        tuple(edits),
        "quote values in shell command",
        "The command line needs its shell, so each value is quoted for it: whatever it contains, it stays one argument.",
    )
