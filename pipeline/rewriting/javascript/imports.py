"""Imports of Node's own modules: added and renamed in the file's own style, ECMAScript modules or CommonJS."""

from __future__ import annotations

from collections.abc import Sequence

from tree_sitter import Node

from pipeline.rewriting.javascript.code import Code, ancestors, drop_item
from pipeline.rewriting.source import Edit

# https://nodejs.org/api/modules.html#built-in-modules: those that a program is likely to import
# fmt: off
_BUILTIN = frozenset({
    "assert", "async_hooks", "buffer", "child_process", "cluster", "console", "crypto", "dgram", "dns", "events", "fs", "fs/promises",
    "http", "http2", "https", "inspector", "module", "net", "os", "path", "perf_hooks", "process", "querystring", "readline", "stream",
    "string_decoder", "timers", "timers/promises", "tls", "tty", "url", "util", "v8", "vm", "worker_threads", "zlib",
})
# fmt: on


def browser(code: Code) -> bool:
    """True when the file runs in a browser, as far as it tells: it names what only browsers have, and imports nothing of Node."""
    if any(name.split(".")[0] in _BUILTIN or name.split(".")[0] == "express" for name in code.imports.values()):
        return False
    return bool({"document", "window", "localStorage", "sessionStorage", "navigator", "HTMLElement"} & code.names()) or "react" in {
        name.split(".")[0] for name in code.imports.values()
    }


def member(code: Code, module: str, name: str) -> tuple[str, list[Edit]] | None:
    """How this file writes `module.name`, and the edits that make it possible; None when the name is taken."""
    for local, dotted in code.imports.items():
        if dotted == f"{module}.{name}":
            return local, []
    for local, dotted in code.imports.items():
        if dotted == module:
            return f"{local}.{name}", []
    taken = code.names()
    if code.module_style:
        if name in taken:
            return None
        statement = next((s for local, s in code.statements.items() if code.imports[local].startswith(f"{module}.")), None)
        if statement is not None:
            return _add_specifier(code, statement, name)
        return name, [_insert(code, f"import {{ {name} }} from {code.quote}{_prefix(code)}{module}{code.quote}{code.semicolon}")]
    if module in taken:
        return None
    return f"{module}.{name}", [_insert(code, f"const {module} = require({code.quote}{_prefix(code)}{module}{code.quote}){code.semicolon}")]


def _add_specifier(code: Code, statement: Node, name: str) -> tuple[str, list[Edit]] | None:
    last = next((n for n in code.all({"named_imports"}, statement)), None)
    if last is None or not last.named_children:
        return None
    end = last.named_children[-1].end_byte
    return name, [Edit(end, end, f", {name}")]


def _prefix(code: Code) -> str:
    return "node:" if b"node:" in code.source.data else ""


def _insert(code: Code, line: str) -> Edit:
    """Among the built-in modules at the top, else before the first import, else before the first statement."""
    top: list[tuple[Node, bool]] = []
    for statement in code.root.named_children:
        modules = [code.imports[local] for local, s in code.statements.items() if s == statement]
        if statement.type == "import_statement" or modules:
            top.append((statement, bool(modules) and all(m.split(".")[0] in _BUILTIN for m in modules)))
    source = code.source
    builtin = [statement for statement, ours in top if ours]
    if builtin:
        after = source.line_end(builtin[-1].end_byte)
        return Edit(after, after, line + "\n" if source.data[after - 1 : after] == b"\n" else "\n" + line)
    if top:
        at = source.line_start(top[0][0].start_byte)
        return Edit(at, at, line + "\n")
    for statement in code.root.named_children:
        directive = statement.type == "expression_statement" and code.text(statement).strip(";\"'") in {"use strict", "use client"}
        if statement.type in {"comment", "hash_bang_line"} or directive:
            continue
        at = source.line_start(statement.start_byte)
        return Edit(at, at, line + "\n\n")
    return Edit(0, 0, line + "\n")


def swap(code: Code, old: str, new: str, gone: Sequence[Node]) -> tuple[str, list[Edit]] | None:
    """Make `new` of a module available beside (or in place of) the imported name `old`, of which the uses `gone` are rewritten.

    Args:
        old: local name of `module.name`; it keeps its import as long as anything else uses it.
        new: the name of the other member of that module.

    Returns:
        The local name of the new member, and the edits; None when the import cannot be changed for certain.
    """
    dotted = code.imports.get(old, "")
    module, _, original = dotted.rpartition(".")
    have = next((local for local, name in code.imports.items() if name == f"{module}.{new}"), "")
    statement = code.statements.get(old)
    if not module or original != old or statement is None or (not have and new in code.names()):
        return None
    left = [use for use in code.uses(old) if use not in gone and use not in _specifiers(code, statement)]
    items = next((_items(n) for n in code.all({"named_imports", "object_pattern"}, statement) if _names(code, n, old)), None)
    if items is None:
        return _member_of_require(code, statement, old, new) if not left else None
    item = next(entry for entry in items if code.text(entry) == old)
    if not left:
        return (have, [drop_item(code, items, item)]) if have else (new, [Edit(item.start_byte, item.end_byte, new)])
    return (have, []) if have else (new, [Edit(item.end_byte, item.end_byte, f", {new}")])


def _member_of_require(code: Code, statement: Node, old: str, new: str) -> tuple[str, list[Edit]] | None:
    """`const exec = require("child_process").exec`."""
    edits = []
    for node in code.all({"identifier", "property_identifier"}, statement):
        if code.text(node) == old and (node.type == "property_identifier" or (node.parent and node.parent.type == "variable_declarator")):
            edits.append(Edit(node.start_byte, node.end_byte, new))
    return (new, edits) if len(edits) == 2 else None


def _specifiers(code: Code, statement: Node) -> list[Node]:
    kinds = {"identifier", "shorthand_property_identifier_pattern"}
    return [node for node in code.all(kinds, statement) if any(a == statement for a in ancestors(node))]


def _items(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _names(code: Code, node: Node, name: str) -> bool:
    return any(code.text(item) == name for item in _items(node))
