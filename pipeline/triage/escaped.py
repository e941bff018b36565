"""Is a patch nothing but an escape around values that stood there before?

Such a patch leaves the dangerous call where it is, on purpose: `subprocess.run(f"ls {shlex.quote(path)} | wc -l", shell=True)`. It cannot
have hidden anything else, as without the escapes it is the file before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.model.finding import Finding
from pipeline.model.fix import Patch
from pipeline.patches import added_lines
from pipeline.triage.outline import Outline, outline

_ESCAPES: Mapping[int, frozenset[str]] = {
    78: frozenset({"shlex.quote", "pipes.quote"}),
    79: frozenset({"markupsafe.escape", "flask.escape", "html.escape", "django.utils.html.escape"}),
}
"""CWE -> what makes a value harmless there."""

_CALL = re.compile(rb"(?<![\w.])([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)\(")
_QUOTES = re.compile(r"['\"\\\\$`]")
"""Inside of the shell's own quotes an escape does not hold."""


def only_escaped(patch: Patch, finding: Finding) -> bool:
    """True when the patch changes one file in Python, and only puts the escape for this kind of weakness around values."""
    names = _ESCAPES.get(finding.rule.cwe or 0)
    if names is None or len(patch.edits) != 1 or not patch.edits[0].path.endswith(".py"):
        return False
    (edit,) = patch.edits
    before = outline(edit.path, edit.before) if edit.before is not None else None
    after = outline(edit.path, edit.after) if edit.after is not None else None
    if before is None or after is None or edit.before is None or edit.after is None:
        return False
    added = {number for number, _ in added_lines(edit)}
    scopes = {unit.scope for unit in after.units if not unit.imports and added & set(range(unit.line, unit.end_line + 1))}
    texts = [text for unit in after.units if unit.scope in scopes for text in unit.strings]
    if finding.rule.cwe == 78 and any(_QUOTES.search(text) for text in texts):
        return False
    known = _known(after, names)
    lines = edit.after.split(b"\n")
    bare = [_bare(line, known) if number in added else line for number, line in enumerate(lines, 1)]
    return bare != lines and _without_imports(bare, after) == _without_imports(edit.before.split(b"\n"), before)


def _known(side: Outline, names: frozenset[str]) -> frozenset[bytes]:
    """How the file calls these functions, where no statement gives the name to something else."""
    bound = {name for unit in side.units if not unit.imports for name in unit.binds} | {d.name for d in side.definitions}
    found = {name for name, origin in side.imported.items() if origin in names}
    found |= {
        f"{name}.{full.rpartition('.')[2]}" for name, origin in side.imported.items() for full in names if full.rpartition(".")[0] == origin
    }
    return frozenset(name.encode() for name in found if name.partition(".")[0] not in bound)


def _bare(line: bytes, known: frozenset[bytes]) -> bytes:
    """The line without these calls, and without `str` directly inside of or around them: what they were put around."""
    for match in _CALL.finditer(line):
        if match[1] in known and (end := _closing(line, match.end())) is not None:
            inner = line[match.end() : end]
            whole = (match.start(), end + 1)
            if inner.startswith(b"str(") and _closing(inner, 4) == len(inner) - 1:
                inner = inner[4:-1]
            if line[: match.start()].endswith(b"str(") and line[end + 1 : end + 2] == b")":
                whole = (match.start() - 4, end + 2)
            return _bare(line[: whole[0]] + inner + line[whole[1] :], known)
    return line


def _closing(text: bytes, start: int) -> int | None:
    """Index of the bracket that closes the one before `start`, on this line."""
    depth = 1
    for at in range(start, len(text)):
        depth += (text[at] in b"([{") - (text[at] in b")]}")
        if not depth:
            return at
    return None


def _without_imports(lines: list[bytes], side: Outline) -> list[bytes]:
    gone = {line for unit in side.units if unit.imports for line in range(unit.line, unit.end_line + 1)}
    return [line for number, line in enumerate(lines, 1) if number not in gone and line.strip()]
