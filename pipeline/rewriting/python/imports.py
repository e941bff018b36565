"""Imports at the top of a Python file: added where isort would put them, taken out when nothing needs them any more."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import libcst as cst

from pipeline.rewriting.python.code import Code, dotted, drop_item, imported, string_value
from pipeline.rewriting.source import Edit

Span = tuple[int, int]


def ensure(code: Code, module: str) -> tuple[str, list[Edit]] | None:
    """The local name of a standard library module and the edits that import it; None when its name is taken by something else."""
    local = code.import_name(module)
    if local is not None and not _rebound(code, local):
        return local, []
    if module in code.imports.values() or any(name.value == module and not _in_import(code, name) for name in code.all(cst.Name)):
        return None
    return module, [_insertion(code, module)]


def refer(code: Code, module: str, attribute: str) -> tuple[str, list[Edit]] | None:
    """How this file writes `module.attribute`, and the edits that make it possible."""
    for local, full in code.imports.items():
        if full == f"{module}.{attribute}" and not _rebound(code, local):
            return local, []
    found = ensure(code, module)
    return (f"{found[0]}.{attribute}", found[1]) if found else None


def refer_from(code: Code, module: str, name: str, *, beside: str, merge: bool = True) -> tuple[str, list[Edit]] | None:
    """How this file writes `name` of a package that is installed, and the `from module import name` that makes it possible.

    Args:
        beside: the package among whose imports a new one may stand.
        merge: False to leave an import of the same module as it is, for whoever changes it as well.
    """
    for local, full in code.imports.items():
        if full == f"{module}.{name}" and not _rebound(code, local):
            return local, []
    if name in code.imports or name in code.names():
        return None
    group = [(line, part) for line, part in _top(code) if min(imported(part).values(), default="").split(".")[0] == beside]
    if not group:
        return None
    same = [part for _, part in group if isinstance(part, cst.ImportFrom) and part.module is not None and dotted(part.module) == module]
    for known in same if merge else ():
        if not isinstance(known.names, cst.ImportStar) and known.lpar is None and not known.relative:
            end = code.span(known.names[-1])[1]
            return name, [Edit(end, end, f", {name}")]
    text = f"from {module} import {name}\n"
    line, part = group[-1]
    before = isinstance(part, cst.ImportFrom) and part.module is not None and dotted(part.module) > module
    return name, [_before(code, line, text) if before else _after(code, line, text)]


def _rebound(code: Code, name: str) -> bool:
    """True when the file gives an imported name another value somewhere."""
    scopes = [code.module, *code.all(cst.FunctionDef)]
    return any(not _in_import(code, binding) for scope in scopes for binding in code.bindings(name, scope))


def _in_import(code: Code, node: cst.CSTNode) -> bool:
    return any(isinstance(around, cst.Import | cst.ImportFrom) for around in code.ancestors(node))


def _top(code: Code) -> list[tuple[cst.SimpleStatementLine, cst.Import | cst.ImportFrom]]:
    """The import statements at the top level, before other code begins to matter."""
    found = []
    for statement in code.module.body:
        if isinstance(statement, cst.SimpleStatementLine):
            found += [(statement, part) for part in statement.body if isinstance(part, cst.Import | cst.ImportFrom)]
    return found


def _insertion(code: Code, module: str) -> Edit:
    """`import module` among the standard library's imports; a group of its own when there are none."""
    source = code.source
    ours = [(line, part) for line, part in _top(code) if not _of_future(part)]
    group = _first_group(code, [entry for entry in ours if _standard(entry[1])])
    text = f"import {module}\n"
    plain = [(line, part) for line, part in group if isinstance(part, cst.Import)]
    for line, part in plain:
        if min(imported(part).values(), default="") > module:
            return _before(code, line, text)
    if plain:
        return _after(code, plain[-1][0], text)
    if group:
        return _before(code, group[0][0], text)
    if ours:
        return _before(code, ours[0][0], text + "\n")
    head = _head(code)
    if head is not None:
        at = source.line_end(code.span(head)[1])
        lead = "\n" if source.data[at - 1 : at] == b"\n" else "\n\n"
        rest = source.data[at:].lstrip(b"\r\n")
        return Edit(at, at, lead + text + ("" if source.data[at:].startswith((b"\n", b"\r")) or not rest else "\n"))
    first = next(iter(code.module.body), None)
    at = source.line_start(code.span(first)[0]) if first is not None else len(source.data)
    blank = "\n\n" if isinstance(first, cst.FunctionDef | cst.ClassDef) else "\n"
    return Edit(at, at, text + blank)


def _first_group(
    code: Code, entries: Sequence[tuple[cst.SimpleStatementLine, cst.Import | cst.ImportFrom]]
) -> list[tuple[cst.SimpleStatementLine, cst.Import | cst.ImportFrom]]:
    """The first run of imports without a blank line between them."""
    group: list[tuple[cst.SimpleStatementLine, cst.Import | cst.ImportFrom]] = []
    for line, part in entries:
        if group:
            between = code.source.data[code.span(group[-1][0])[1] : code.span(line)[0]]
            if between.count(b"\n") > 1:
                break
        group.append((line, part))
    return group


def _before(code: Code, line: cst.SimpleStatementLine, text: str) -> Edit:
    at = code.source.line_start(code.span(line)[0])
    return Edit(at, at, text)


def _after(code: Code, line: cst.SimpleStatementLine, text: str) -> Edit:
    at = code.source.line_end(code.span(line)[1])
    complete = code.source.data[at - 1 : at] == b"\n"
    return Edit(at, at, text if complete else "\n" + text.rstrip("\n"))


def _of_future(part: cst.Import | cst.ImportFrom) -> bool:
    return any(name.startswith("__future__") for name in imported(part).values())


def _standard(part: cst.Import | cst.ImportFrom) -> bool:
    names = imported(part).values()
    return bool(names) and all(name.split(".")[0] in sys.stdlib_module_names for name in names)


def _head(code: Code) -> cst.SimpleStatementLine | None:
    """The last of docstring and `__future__` imports, after which the first import may stand."""
    head: cst.SimpleStatementLine | None = None
    for index, statement in enumerate(code.module.body):
        if not isinstance(statement, cst.SimpleStatementLine):
            break
        part = statement.body[0]
        doc = index == 0 and isinstance(part, cst.Expr) and string_value(part.value) is not None
        if not doc and not (isinstance(part, cst.ImportFrom) and _of_future(part)):
            break
        head = statement
    return head


def drop_unused(code: Code, names: Collection[str], removed: Sequence[Span], added: Sequence[Edit] = ()) -> list[Edit]:
    """Edits that take out top-level imports of `names` which nothing uses but the `removed` places.

    `added` are the edits that are made already: where one of them puts another import in the place, its blank lines stay.
    """
    edits: list[Edit] = []
    for name in sorted(names):
        left = [use for use in _uses(code, name) if not any(start <= code.span(use)[0] < end for start, end in removed)]
        exported = any(string_value(node) == name for node in code.all(cst.SimpleString))
        if not left and not exported:
            edits += _drop(code, name, added)
    return edits


def _uses(code: Code, name: str) -> list[cst.Name]:
    return [use for use in code.uses(name, code.module) if not _in_import(code, use)]


def _drop(code: Code, name: str, added: Sequence[Edit]) -> list[Edit]:
    for line, part in _top(code):
        if name not in imported(part) or isinstance(part.names, cst.ImportStar):
            continue
        source = code.source
        tail = source.data[code.span(line)[1] : source.line_end(code.span(line)[1])].strip()
        if tail:
            return []  # a comment (for a linter) says that somebody wants it there
        if len(part.names) > 1:
            alias = next(a for a in part.names if _local(a) == name)
            return [drop_item(code, part.names, alias)]
        if len(line.body) > 1:
            return []
        plain, tidy = remove_line(code, line), _with_blank_lines(code, line)
        return [plain if any(plain.start <= edit.start <= tidy.end for edit in added) else tidy]
    return []


def _with_blank_lines(code: Code, line: cst.SimpleStatementLine) -> Edit:
    """The line, and the blank lines that would stand twice without it."""
    edit, data = remove_line(code, line), code.source.data
    before = data[: edit.start].rstrip(b" \t")
    if edit.start and not before.endswith((b"\n\n", b"\n\r\n")):
        return edit
    end = edit.end
    while end < len(data) and not data[end : code.source.line_end(end)].strip():
        end = code.source.line_end(end)
        if edit.start:
            break
    return Edit(edit.start, end, "")


def _local(alias: cst.ImportAlias) -> str:
    if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
        return alias.asname.name.value
    return dotted(alias.name).split(".")[0]


def remove_line(code: Code, line: cst.SimpleStatementLine) -> Edit:
    """Take out a statement with its whole line."""
    start, end = code.span(line)
    return Edit(code.source.line_start(start), code.source.line_end(end), "")


def removable(code: Code, line: cst.SimpleStatementLine, going: Sequence[cst.SimpleStatementLine] = ()) -> bool:
    """True when a statement stands alone on its line and its block keeps another one than those that are `going`."""
    if len(line.body) != 1:
        return False
    block = code.parent(line)
    leaving = {id(entry) for entry in (line, *going)}
    return isinstance(block, cst.Module) or (
        isinstance(block, cst.IndentedBlock) and any(id(statement) not in leaving for statement in block.body)
    )


def remove_branch(code: Code, line: cst.SimpleStatementLine) -> Edit | None:
    """Take out an `if` that holds this statement alone; None when it has an alternative or calls something to decide."""
    if len(line.body) != 1:
        return None
    gone: cst.CSTNode = line
    block = code.parent(gone)
    while isinstance(block, cst.IndentedBlock) and len(block.body) == 1:
        branch = code.parent(block)
        if not isinstance(branch, cst.If) or branch.orelse is not None or any(code.all(cst.Call, branch.test)):
            return None
        gone, block = branch, code.parent(branch)
    if gone is line or not isinstance(block, cst.Module | cst.IndentedBlock):
        return None
    start, end = code.span(gone)
    return Edit(code.source.line_start(start), code.source.line_end(end), "")
