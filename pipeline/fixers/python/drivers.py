"""Which database driver a call speaks to: from the call itself, its file, then the repository; unknown when these disagree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import libcst as cst

from pipeline.ports import SourceFiles
from pipeline.rewriting.python.code import Code
from pipeline.rewriting.sql import Dialect, Style

Passing = Literal["sequence", "varargs", "mapping"]


@dataclass(frozen=True, slots=True)
class Driver:
    """How one family of drivers takes parameters."""

    name: str
    dialect: Dialect
    passing: Passing


# PEP 249 `paramstyle` as each driver documents it; asyncpg and SQLAlchemy are not PEP 249 (their own pages on query arguments, `text()`).
SQLITE = Driver("sqlite3", Dialect(Style.QMARK, double_quotes=True), "sequence")
SQLITE_NAMED = Driver("sqlite3", Dialect(Style.NAMED, double_quotes=True), "mapping")
"""The other way that sqlite3 documents ("How to use placeholders to bind values in SQL queries")."""
QMARK = Driver("qmark", Dialect(Style.QMARK), "sequence")
POSTGRES = Driver("psycopg", Dialect(Style.FORMAT), "sequence")
MYSQL = Driver("mysql", Dialect(Style.FORMAT, double_quotes=True, binds_limit=False), "sequence")
MARIADB = Driver("mariadb", Dialect(Style.QMARK, double_quotes=True, binds_limit=False), "sequence")
MSSQL = Driver("pymssql", Dialect(Style.FORMAT, binds_limit=False), "sequence")
DJANGO = Driver("django", Dialect(Style.FORMAT), "sequence")
ASYNCPG = Driver("asyncpg", Dialect(Style.DOLLAR, binds_limit=False, strict_types=True), "varargs")
CS50 = Driver("cs50", Dialect(Style.QMARK), "varargs")
SQLALCHEMY = Driver("sqlalchemy", Dialect(Style.NAMED), "mapping")

_MODULES = {
    "sqlite3": SQLITE,
    "aiosqlite": SQLITE,
    "pysqlite3": SQLITE,
    "duckdb": QMARK,
    "pyodbc": QMARK,
    "psycopg2": POSTGRES,
    "psycopg": POSTGRES,
    "psycopg_pool": POSTGRES,
    "aiopg": POSTGRES,
    "pymysql": MYSQL,
    "MySQLdb": MYSQL,
    "mysql": MYSQL,
    "aiomysql": MYSQL,
    "flask_mysqldb": MYSQL,
    "flaskext": MYSQL,
    "mariadb": MARIADB,
    "pymssql": MSSQL,
    "django": DJANGO,
    "asyncpg": ASYNCPG,
    "cs50": CS50,
    "sqlalchemy": SQLALCHEMY,
    "flask_sqlalchemy": SQLALCHEMY,
    "sqlmodel": SQLALCHEMY,
}
_PACKAGES = {
    **{module.lower().replace("_", "-"): driver for module, driver in _MODULES.items() if module not in {"mysql", "flaskext", "sqlite3"}},
    "psycopg2-binary": POSTGRES,
    "mysqlclient": MYSQL,
    "mysql-connector-python": MYSQL,
    "flask-mysql": MYSQL,
}
_MANIFESTS = ("requirements.txt", "requirements/base.txt", "requirements/prod.txt", "pyproject.toml", "Pipfile", "setup.cfg", "setup.py")
_IMPORT = re.compile(rb"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)

MAX_FILES = 80
"""How many files of the repository are read at most to learn its driver."""


def driver_of(code: Code, receiver: cst.BaseExpression | None, files: SourceFiles) -> Driver | None:
    """The driver behind `receiver.execute(...)`."""
    found = set(_of(code, receiver, 5, set())) if receiver is not None else set()
    if not found:
        roots = {name.split(".")[0] if not name.startswith("django.") else name for name in code.imports.values()}
        found = {driver for driver in (_module(root) for root in roots) if driver is not None}
    if not found:
        found = _imported_files(code, files) or _all_files(code, files) or _manifests(files)
    if len(found) > 1 and receiver is not None and re.search(r"(?i)(?:^|[._])cur(?:sor)?\d?(?:\(\))?$", code.inner(receiver)):
        found -= {SQLALCHEMY}  # what is called a cursor is the driver's own
    return next(iter(found)) if len(found) == 1 else None


def _module(dotted: str) -> Driver | None:
    root = dotted.split(".")[0]
    if root == "django" and not dotted.startswith("django.db"):
        return None
    return _MODULES.get(root)


def _of(code: Code, node: cst.BaseExpression, depth: int, seen: set[str]) -> Iterator[Driver]:
    """Drivers of all values that an expression may have, as far as the file tells; each name is followed once (`seen`)."""
    if depth == 0:
        return
    if isinstance(node, cst.Await):
        yield from _of(code, node.expression, depth, seen)
    elif isinstance(node, cst.Call):
        if (driver := _from_import(code, node.func)) is not None:
            yield driver
        elif isinstance(node.func, cst.Attribute):
            yield from _of(code, node.func.value, depth - 1, seen)
        elif isinstance(node.func, cst.Name):
            yield from _returned(code, node.func.value, depth - 1, seen)
    elif isinstance(node, cst.Name | cst.Attribute) and code.inner(node) not in seen:
        seen.add(code.inner(node))
        if (driver := _from_import(code, node)) is not None:
            yield driver
            return
        for value in _values(code, code.inner(node)):
            yield from _of(code, value, depth - 1, seen)
        if isinstance(node, cst.Attribute):
            yield from _of(code, node.value, depth - 1, seen)


def _from_import(code: Code, node: cst.BaseExpression) -> Driver | None:
    base: cst.BaseExpression = node
    while isinstance(base, cst.Attribute):
        base = base.value
    if not isinstance(base, cst.Name) or base.value not in code.imports:
        return None
    return _module(code.qualified(node) or code.imports[base.value])


def _values(code: Code, name: str) -> Iterator[cst.BaseExpression]:
    """Everything that the file assigns to a name or attribute, and the type that it is annotated with."""
    for assign in code.all(cst.Assign):
        if any(code.inner(target.target) == name for target in assign.targets):
            yield assign.value
    for item in code.all(cst.WithItem):
        if item.asname is not None and code.inner(item.asname.name) == name:
            yield item.item
    for parameter in code.all(cst.Param):
        if parameter.name.value == name and parameter.annotation is not None:
            yield parameter.annotation.annotation


def _returned(code: Code, function: str, depth: int, seen: set[str]) -> Iterator[Driver]:
    for definition in code.all(cst.FunctionDef):
        if definition.name.value == function and f"{function}()" not in seen:
            seen.add(f"{function}()")
            for statement in code.all(cst.Return, definition):
                if statement.value is not None:
                    yield from _of(code, statement.value, depth, seen)


def _imported_files(code: Code, files: SourceFiles) -> set[Driver]:
    """Drivers in the modules of the repository that this file imports."""
    wanted: set[str] = set()
    for dotted in code.imports.values():
        parts = [part for part in dotted.split(".") if part]
        wanted |= {f"{part}.py" for part in parts} | {f"{part}/__init__.py" for part in parts}
    near = [path for path in files.paths() if path != code.source.path and any(path == w or path.endswith("/" + w) for w in wanted)]
    return _drivers_in(near, files)


def _all_files(code: Code, files: SourceFiles) -> set[Driver]:
    return _drivers_in([path for path in files.paths() if path.endswith(".py") and path != code.source.path], files)


def _drivers_in(paths: list[str], files: SourceFiles) -> set[Driver]:
    found: set[Driver] = set()
    for path in paths[:MAX_FILES]:
        for match in _IMPORT.finditer(files.read(path) or b""):
            driver = _module(match[1].decode())
            if driver is not None:
                found.add(driver)
    return found


def _manifests(files: SourceFiles) -> set[Driver]:
    found: set[Driver] = set()
    for path in _MANIFESTS:
        content = files.read(path)
        if content is not None:
            words = set(re.findall(r"[a-z0-9][a-z0-9._-]*", content.decode("utf-8", "replace").lower()))
            found |= {driver for package, driver in _PACKAGES.items() if package in {word.replace("_", "-") for word in words}}
    return found
