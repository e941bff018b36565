"""Which database driver a call speaks to: from its file, then the repository; unknown when these disagree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tree_sitter import Node

from pipeline.ports import SourceFiles
from pipeline.rewriting.javascript.code import Code, bare
from pipeline.rewriting.sql import Dialect, Style

Passing = Literal["array", "replacements", "statement"]


@dataclass(frozen=True, slots=True)
class Driver:
    """How one family of drivers takes parameters."""

    name: str
    dialect: Dialect
    passing: Passing


# Placeholders as each driver documents them: mysqljs and mysql2 "Escaping query values", node-postgres "Parameterized query",
# node-sqlite3 "Database#run", better-sqlite3 "Binding parameters", Sequelize "Replacements", Knex "raw parameter binding".
MYSQL = Driver("mysql", Dialect(Style.QMARK, double_quotes=True, binds_limit=False), "array")
POSTGRES = Driver("pg", Dialect(Style.DOLLAR), "array")
SQLITE = Driver("sqlite3", Dialect(Style.QMARK, double_quotes=True), "array")
BETTER_SQLITE = Driver("better-sqlite3", Dialect(Style.QMARK, double_quotes=True), "statement")
SEQUELIZE = Driver("sequelize", Dialect(Style.NAMED), "replacements")
KNEX = Driver("knex", Dialect(Style.QMARK), "array")

_MODULES = {
    "mysql": MYSQL,
    "mysql2": MYSQL,
    "mysql2/promise": MYSQL,
    "promise-mysql": MYSQL,
    "mariadb": MYSQL,
    "pg": POSTGRES,
    "pg-promise": POSTGRES,
    "@neondatabase/serverless": POSTGRES,
    "sqlite3": SQLITE,
    "sqlite": SQLITE,
    "better-sqlite3": BETTER_SQLITE,
    "sqlite:node": BETTER_SQLITE,
    "sequelize": SEQUELIZE,
    "sequelize-typescript": SEQUELIZE,
    "knex": KNEX,
}
_IMPORT = re.compile(r"""(?:require\(\s*|from\s+|import\s+)["']([^"'\n]{1,100})["']""")
_SCRIPTS = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx")

MAX_FILES = 80
"""How many files of the repository are read at most to learn its driver."""


def driver_of(code: Code, receiver: Node | None, files: SourceFiles) -> Driver | None:
    """The driver behind `receiver.query(...)`."""
    found = set(_of(code, receiver, 5, set())) if receiver is not None else set()
    if not found:
        found = _known(code.imports.values())
    if not found:
        found = _near(code, files) or _drivers_in([p for p in files.paths() if p.endswith(_SCRIPTS)], files) or _manifest(code, files)
    return _one(found)


def _one(found: set[Driver]) -> Driver | None:
    if found == {SQLITE, SEQUELIZE} or len(found) > 1:
        return None
    return next(iter(found), None)


def _known(modules: object) -> set[Driver]:
    names = [str(name) for name in modules] if hasattr(modules, "__iter__") else []
    found = {_MODULES.get(name) or _MODULES.get(name.split(".")[0]) for name in names}
    return {driver for driver in found if driver is not None}


def _of(code: Code, node: Node, depth: int, seen: set[str]) -> Iterator[Driver]:
    """Drivers of the values that an expression may have, as far as the file tells."""
    node = bare(node)
    if depth == 0 or code.text(node) in seen:
        return
    seen.add(code.text(node))
    name = code.qualified(node)
    yield from _known([name])
    if node.type == "new_expression":
        maker = node.child_by_field_name("constructor")
        yield from _known([code.qualified(maker)])
    elif node.type in {"await_expression", "call_expression"}:
        inner = node.child_by_field_name("function") or (node.named_children[0] if node.named_children else None)
        if inner is not None:
            yield from _of(code, inner, depth - 1, seen)
    elif node.type == "member_expression":
        base = node.child_by_field_name("object")
        for value in _assigned(code, code.text(node)):
            yield from _of(code, value, depth - 1, seen)
        if base is not None:
            yield from _of(code, base, depth - 1, seen)
    elif node.type == "identifier":
        for value in _assigned(code, code.text(node)):
            yield from _of(code, value, depth - 1, seen)


def _assigned(code: Code, name: str) -> Iterator[Node]:
    for node in code.all({"variable_declarator", "assignment_expression"}):
        target = node.child_by_field_name("name") or node.child_by_field_name("left")
        value = node.child_by_field_name("value") or node.child_by_field_name("right")
        if target is not None and value is not None and (code.text(target) == name or _destructures(code, target, name)):
            yield value


def _destructures(code: Code, target: Node, name: str) -> bool:
    return target.type in {"object_pattern", "array_pattern"} and any(code.text(part) == name for part in target.named_children)


def _near(code: Code, files: SourceFiles) -> set[Driver]:
    """Drivers in the files that this file imports by a relative path."""
    wanted = {name.rsplit("/", 1)[-1].split(".")[0] for name in code.imports.values() if name.startswith(".") and "/" in name}
    paths = []
    for path in files.paths():
        stem = path.removesuffix("/index.js").removesuffix("/index.ts").rsplit("/", 1)[-1].split(".")[0]
        if path.endswith(_SCRIPTS) and path != code.source.path and stem in wanted:
            paths.append(path)
    return _drivers_in(paths, files)


def _drivers_in(paths: list[str], files: SourceFiles) -> set[Driver]:
    found: set[Driver] = set()
    for path in [p for p in paths if "node_modules/" not in p][:MAX_FILES]:
        text = (files.read(path) or b"").decode("utf-8", "replace")
        found |= _known(_IMPORT.findall(text))
    return found


def _manifest(code: Code, files: SourceFiles) -> set[Driver]:
    """Drivers in the nearest package.json."""
    folder = code.source.path
    while True:
        folder = folder.rpartition("/")[0]
        content = files.read(f"{folder}/package.json" if folder else "package.json")
        if content is not None:
            try:
                parsed: object = json.loads(content)
            except (ValueError, RecursionError):
                return set()
            dependencies = parsed.get("dependencies") if isinstance(parsed, dict) else None
            return _known(list(dependencies)) if isinstance(dependencies, dict) else set()
        if not folder:
            return set()
